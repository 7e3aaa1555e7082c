#include "protocol/batch/varint.h"

#include <doctest/doctest.h>

#include <limits>
#include <vector>

namespace andyx::batch {
namespace {

TEST_CASE("varints come back, and cut ones are refused at every length") {
  std::vector<std::uint64_t> values = {0, 1, 127, 128, 16'383, 16'384, ~std::uint64_t{0}};
  for (unsigned bit = 0; bit < 64; ++bit) values.push_back(std::uint64_t{1} << bit);
  for (const auto value : values) {
    CAPTURE(value);
    std::uint8_t bytes[kMaxVarintBytes];
    const auto* const end = put_varint(bytes, value);
    std::uint64_t read = 0;
    CHECK(get_varint(bytes, end, read) == end);
    CHECK(read == value);
    for (const std::uint8_t* cut = bytes; cut != end; ++cut)
      CHECK(get_varint(bytes, cut, read) == nullptr);
  }
}

TEST_CASE("a varint over 64 bits is refused") {
  std::uint64_t read = 0;
  const std::uint8_t too_large[] = {0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x02};
  CHECK(get_varint(too_large, too_large + sizeof too_large, read) == nullptr);
  const std::uint8_t endless[] = {0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00};
  CHECK(get_varint(endless, endless + sizeof endless, read) == nullptr);
}

TEST_CASE("zigzag maps small numbers of either sign to small ones") {
  CHECK(zigzag(0) == 0);
  CHECK(zigzag(-1) == 1);
  CHECK(zigzag(1) == 2);
  CHECK(zigzag(-2) == 3);
  for (const std::int64_t value : {std::numeric_limits<std::int64_t>::min(), std::int64_t{-70},
                                   std::numeric_limits<std::int64_t>::max()}) {
    CHECK(unzigzag(zigzag(value)) == value);
  }
}

}  // namespace
}  // namespace andyx::batch
