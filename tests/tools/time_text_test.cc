#include "tools/common/time_text.h"

#include <doctest/doctest.h>

#include <string>

using andyx::tools::format_duration_ms;
using andyx::tools::format_time;
using andyx::tools::parse_time;

namespace {

constexpr andyx::TimeUs kNow = 1'700'000'000'000'000;
constexpr andyx::TimeUs kSecond = 1'000'000;

}  // namespace

TEST_CASE("RFC 3339 times in every zone and precision mean the same instant") {
  // 2024-02-29T12:30:00Z, by `date -d … +%s`.
  constexpr andyx::TimeUs kLeapDay = 1'709'209'800 * kSecond;
  CHECK(parse_time("2024-02-29T12:30:00Z", kNow) == kLeapDay);
  CHECK(parse_time("2024-02-29t12:30:00z", kNow) == kLeapDay);
  CHECK(parse_time("2024-02-29 13:30:00+01:00", kNow) == kLeapDay);
  CHECK(parse_time("2024-02-29T07:00:00-05:30", kNow) == kLeapDay);
  CHECK(parse_time("2024-02-29T12:30:00.25Z", kNow) == kLeapDay + 250'000);
  CHECK(parse_time("2024-02-29T12:30:00.000001Z", kNow) == kLeapDay + 1);
  CHECK(parse_time("2024-02-29T12:30:00.1234567890Z", kNow) == kLeapDay + 123'456);
  CHECK(parse_time("1970-01-01T00:00:00Z", kNow) == 0);
}

TEST_CASE("a leap second is the first of the next minute") {
  CHECK(parse_time("2016-12-31T23:59:60Z", kNow).value() ==
        parse_time("2017-01-01T00:00:00Z", kNow).value());
}

TEST_CASE("relative times count back from now in their unit") {
  CHECK(parse_time("-500ms", kNow) == kNow - kSecond / 2);
  CHECK(parse_time("-30s", kNow) == kNow - 30 * kSecond);
  CHECK(parse_time("-15m", kNow) == kNow - 15 * 60 * kSecond);
  CHECK(parse_time("-1h", kNow) == kNow - 3600 * kSecond);
  CHECK(parse_time("-2d", kNow) == kNow - 2 * 86'400 * kSecond);
  CHECK(parse_time("-1w", kNow) == kNow - 7 * 86'400 * kSecond);
}

TEST_CASE("a plus counts on from now") {
  CHECK(parse_time("+500ms", kNow) == kNow + kSecond / 2);
  CHECK(parse_time("+10s", kNow) == kNow + 10 * kSecond);
  CHECK(parse_time("+2d", kNow) == kNow + 2 * 86'400 * kSecond);
}

TEST_CASE("what is no time is refused with the accepted forms") {
  for (const char* text : {"",
                           "-",
                           "-h",
                           "-1",
                           "-1x",
                           "-1hh",
                           "+",
                           "+1",
                           "+-1h",
                           "+9223372036854775807w",
                           "+300000000000000ms",
                           "+9999999d",
                           "--1h",
                           "-1 h",
                           "1h",
                           "-99999999999999999999h",
                           "-9223372036854775807w",
                           "-100000d",
                           "2024",
                           "2024-02-30T00:00:00Z",
                           "2023-02-29T00:00:00Z",
                           "2024-13-01T00:00:00Z",
                           "2024-02-29",
                           "2024-02-29T12:30Z",
                           "2024-02-29T12:30:00",
                           "2024-02-29T24:00:00Z",
                           "2024-02-29T12:60:00Z",
                           "2024-02-29T12:30:61Z",
                           "2024-02-29T12:30:00.Z",
                           "2024-02-29T12:30:00+1:00",
                           "2024-02-29T12:30:00+01:60",
                           "2024-02-29T12:30:00Zx",
                           "2024-2-29T12:30:00Z",
                           "1969-12-31T23:59:59Z",
                           "1970-01-01T00:00:00+00:01"}) {
    CAPTURE(text);
    const auto time = parse_time(text, kNow);
    REQUIRE_FALSE(time.has_value());
    CHECK(time.error().code == andyx::ErrorCode::kBadArgument);
    CHECK(time.error().message.find("RFC 3339") != std::string::npos);
  }
}

TEST_CASE("formatted times are UTC with six digits and parse back") {
  CHECK(format_time(0) == "1970-01-01T00:00:00.000000Z");
  CHECK(format_time(1'709'209'800 * kSecond + 42) == "2024-02-29T12:30:00.000042Z");
  for (const andyx::TimeUs time : {kNow, kNow + 1, kNow + 999'999, 86'400 * kSecond - 1}) {
    CHECK(parse_time(format_time(time), 0) == time);
  }
}

TEST_CASE("durations are shown in the two units that matter") {
  CHECK(format_duration_ms(1'500) == "1.5 s");
  CHECK(format_duration_ms(200'000) == "3 min 20 s");
  CHECK(format_duration_ms(7'260'000) == "2 h 1 min");
  CHECK(format_duration_ms(187'200'000) == "2 d 4 h");
}
