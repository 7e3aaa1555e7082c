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

void print_error(std::string_view program, const Error& error) {
  std::string text(program);
  text += ": " + std::to_string(static_cast<unsigned>(error.code)) + ' ';
  text += error.name();
  text += ": ";
  text += error.message.empty() ? std::string(error_info(error.code).text) : error.message;
  text += '\n';
  if (!error.remedy().empty()) {
    text += "remedy: ";
    text += error.remedy();
    text += '\n';
  }
  std::fputs(text.c_str(), stderr);
}

}  // namespace andyx::tools
