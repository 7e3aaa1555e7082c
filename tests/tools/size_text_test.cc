#include "tools/common/size_text.h"

#include <doctest/doctest.h>

using namespace andyx;

TEST_CASE("lengths of time, in every unit and without one") {
  CHECK(tools::parse_duration_ms("0") == 0);
  CHECK(tools::parse_duration_ms("1500") == 1'500);
  CHECK(tools::parse_duration_ms("250ms") == 250);
  CHECK(tools::parse_duration_ms("30s") == 30'000);
  CHECK(tools::parse_duration_ms("5m") == 300'000);
  CHECK(tools::parse_duration_ms("12h") == 43'200'000);
  CHECK(tools::parse_duration_ms("7d") == 604'800'000);
  CHECK(tools::parse_duration_ms("2w") == 1'209'600'000);
}

TEST_CASE("sizes, in powers of 1000 and of 1024") {
  CHECK(tools::parse_bytes("7") == 7);
  CHECK(tools::parse_bytes("64kB") == 64'000);
  CHECK(tools::parse_bytes("64KiB") == 65'536);
  CHECK(tools::parse_bytes("10GB") == 10'000'000'000);
  CHECK(tools::parse_bytes("512MiB") == 536'870'912);
  CHECK(tools::parse_bytes("1TiB") == 1'099'511'627'776);
}

TEST_CASE("what is neither is refused, and never a small number instead of a large one") {
  for (const char* bad : {"", "s", "-1s", "+1s", "1.5h", "1 h", "1y", "1S", "99999999999999999999",
                          "9223372036854775807w"}) {
    CAPTURE(bad);
    const auto parsed = tools::parse_duration_ms(bad);
    REQUIRE_FALSE(parsed);
    CHECK(parsed.error().code == ErrorCode::kBadArgument);
    CHECK(parsed.error().message.find("12h") != std::string::npos);
  }
  for (const char* bad : {"", "GB", "-1", "1gb", "1Gb", "1.5GB", "9223372036854775807TB"}) {
    CAPTURE(bad);
    CHECK_FALSE(tools::parse_bytes(bad));
  }
}
