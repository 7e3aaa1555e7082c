#include "protocol/batch/compression.h"

#include <doctest/doctest.h>

#include <zstd.h>
#include <string_view>

namespace andyx::batch {
namespace {

std::vector<std::uint8_t> bytes_of(std::string_view text) { return {text.begin(), text.end()}; }

const std::vector<std::uint8_t> kText = bytes_of(std::string(5'000, 'a') + std::string(5'000, 'b'));

TEST_CASE("both algorithms give back exactly what went in, appended to what was there") {
  for (const auto kind : {Compression::kLz4, Compression::kZstd}) {
    CAPTURE(static_cast<int>(kind));
    auto packed = bytes_of("before");
    REQUIRE(compress(kind, kText, packed));
    CHECK(packed.size() < kText.size());
    CHECK(std::string_view(reinterpret_cast<const char*>(packed.data()), 6) == "before");
    std::vector<std::uint8_t> out(kText.size());
    CHECK(decompress(kind, ByteSpan(packed).subspan(6), out));
    CHECK(out == kText);
  }
}

TEST_CASE("what would not be smaller is left alone") {
  for (const auto kind : {Compression::kNone, Compression::kLz4, Compression::kZstd}) {
    auto out = bytes_of("before");
    CHECK_FALSE(compress(kind, bytes_of("abcdefgh"), out));
    CHECK(out == bytes_of("before"));
  }
}

TEST_CASE("another size than stated, a cut and a damaged input are refused") {
  for (const auto kind : {Compression::kLz4, Compression::kZstd}) {
    CAPTURE(static_cast<int>(kind));
    std::vector<std::uint8_t> packed;
    REQUIRE(compress(kind, kText, packed));
    std::vector<std::uint8_t> smaller(kText.size() - 1), larger(kText.size() + 1),
        same(kText.size());
    const auto code = [&](const std::vector<std::uint8_t>& in, std::vector<std::uint8_t>& out) {
      const auto status = decompress(kind, in, out);
      return status ? ErrorCode::kOk : status.error().code;
    };
    CHECK(code(packed, smaller) == ErrorCode::kDecompressionFailed);
    CHECK(code(packed, larger) == ErrorCode::kDecompressionFailed);
    CHECK(code({}, same) == ErrorCode::kDecompressionFailed);
    auto cut = packed;
    cut.pop_back();
    CHECK(code(cut, same) == ErrorCode::kDecompressionFailed);
    auto longer = packed;
    longer.push_back(0);
    CHECK(code(longer, same) == ErrorCode::kDecompressionFailed);
  }
}

TEST_CASE("two Zstd frames in a row are not one") {
  std::vector<std::uint8_t> packed;
  REQUIRE(compress(Compression::kZstd, kText, packed));
  auto twice = packed;
  twice.insert(twice.end(), packed.begin(), packed.end());
  std::vector<std::uint8_t> out(2 * kText.size());
  const auto status = decompress(Compression::kZstd, twice, out);
  REQUIRE(!status);
  CHECK(status.error().code == ErrorCode::kDecompressionFailed);
}

}  // namespace
}  // namespace andyx::batch
