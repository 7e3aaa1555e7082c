#include "tools/common/exit_status.h"

#include <cstdio>
#include <string>

namespace andyx::tools {

ExitStatus exit_status_of_start(const Error& error) {
  switch (error.code) {
    case ErrorCode::kBadArgument:
      return kWrongUsage;
    case ErrorCode::kUnreachable:
    case ErrorCode::kConnectionLost:
    case ErrorCode::kTimedOut:
      return kNotReachable;
    default:
      return kRefused;
  }
}

ExitStatus exit_status_of(const Error& error) {
  switch (error.code) {
    case ErrorCode::kIo:
      return kWrongUsage;
    case ErrorCode::kUnreachable:
    case ErrorCode::kConnectionLost:
    case ErrorCode::kTimedOut:
      return kTimedOut;
    default:
      return kRefused;
  }
}

namespace {

// The list's remedies for these speak to programs that use the client library.
std::string_view remedy_of(const Error& error) {
  if (exit_status_of(error) != kTimedOut || error.code == ErrorCode::kUnreachable) {
    return error.remedy();
  }
  return "Check that the server runs and is reachable (andyx-cli node status), or allow more time with "
         "--timeout.";
}

}  // namespace

void print_error(std::string_view program, const Error& error) {
  std::string text(program);
  text += ": " + std::to_string(static_cast<unsigned>(error.code)) + ' ';
  text += error.name();
  text += ": ";
  text += error.message.empty() ? std::string(error_info(error.code).text) : error.message;
  text += '\n';
  if (const std::string_view remedy = remedy_of(error); !remedy.empty()) {
    text += "remedy: ";
    text += remedy;
    text += '\n';
  }
  std::fputs(text.c_str(), stderr);
}

}  // namespace andyx::tools
