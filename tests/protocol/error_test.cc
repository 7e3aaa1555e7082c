#include "protocol/base/error.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

namespace andyx {
namespace {

// Numbers that have an entry of their own. The others give that of kInternal.
std::vector<std::uint16_t> known_numbers() {
  std::vector<std::uint16_t> numbers;
  for (std::uint16_t number = 0; number < 1'000; ++number) {
    const auto code = static_cast<ErrorCode>(number);
    if (error_info(code).code == code) numbers.push_back(number);
  }
  return numbers;
}

TEST_CASE("every code of the header has an entry") {
  // A gap here is a code without text; numbers are never taken away.
  std::vector<std::uint16_t> expected = {0};
  const auto add = [&](std::uint16_t first, std::uint16_t last) {
    for (auto number = first; number <= last; ++number) expected.push_back(number);
  };
  add(1, 10);
  add(20, 34);
  add(40, 53);
  add(60, 63);
  add(80, 99);
  std::ranges::sort(expected);
  CHECK(known_numbers() == expected);
}

TEST_CASE("an unknown number is an internal error") {
  for (const int number : {11, 19, 79, 100, 1'000, 65'535}) {
    CHECK(error_info(static_cast<ErrorCode>(number)).code == ErrorCode::kInternal);
  }
}

TEST_CASE("names are unique and fit for scripts, texts and remedies are there") {
  std::set<std::string_view> names;
  for (const auto number : known_numbers()) {
    const auto& info = error_info(static_cast<ErrorCode>(number));
    CAPTURE(info.name);
    CHECK(names.insert(info.name).second);
    CHECK(
        std::ranges::all_of(info.name, [](char c) { return (c >= 'a' && c <= 'z') || c == '_'; }));
    CHECK_FALSE(info.text.empty());
    CHECK(info.remedy.ends_with('.'));
  }
}

// A client that is told not_stored sends again under a new sequence: a wrong entry doubles
// messages.
TEST_CASE("a produce may have been stored after exactly these codes") {
  const std::set<ErrorCode> maybe = {
      ErrorCode::kOk,       ErrorCode::kIdleTimeout,    ErrorCode::kDuplicateUnknown,
      ErrorCode::kTimedOut, ErrorCode::kCorrupt,        ErrorCode::kStorageFailed,
      ErrorCode::kDataLoss, ErrorCode::kConnectionLost, ErrorCode::kIo,
      ErrorCode::kInternal};
  for (const auto number : known_numbers()) {
    const auto& info = error_info(static_cast<ErrorCode>(number));
    CAPTURE(info.name);
    CHECK((info.stored == Storedness::kMaybeStored) == maybe.contains(info.code));
  }
}

TEST_CASE("the same bytes may succeed later after exactly these codes") {
  const std::set<ErrorCode> retriable = {
      ErrorCode::kTooManyConnections, ErrorCode::kTooManyRequests,
      ErrorCode::kIdleTimeout,        ErrorCode::kNotMain,
      ErrorCode::kOutOfSequence,      ErrorCode::kNotInSync,
      ErrorCode::kOverloaded,         ErrorCode::kDiskFull,
      ErrorCode::kStorageFailed,      ErrorCode::kShuttingDown,
      ErrorCode::kTimedOut,           ErrorCode::kConnectionLost,
      ErrorCode::kUnreachable,        ErrorCode::kNotController,
      ErrorCode::kNoController};
  for (const auto number : known_numbers()) {
    const auto& info = error_info(static_cast<ErrorCode>(number));
    CAPTURE(info.name);
    CHECK(info.retriable == retriable.contains(info.code));
  }
}

TEST_CASE("an error carries its own message and the table's remedy") {
  const Status status = fail(ErrorCode::kUnknownTopic, "no topic 'orders'");
  REQUIRE(!status);
  CHECK(status.error().name() == "unknown_topic");
  CHECK(status.error().message == "no topic 'orders'");
  CHECK(status.error().remedy() == error_info(ErrorCode::kUnknownTopic).remedy);
  CHECK_FALSE(status.error().retriable());
}

}  // namespace
}  // namespace andyx
