#include "protocol/base/backup_file.h"

#include <doctest/doctest.h>

namespace andyx {
namespace {

struct Written {
  BackupHead head{.cluster_id = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16},
                  .version = 0x0102030405060708,
                  .image_hash = 77,
                  .created_us = 99};
  std::vector<std::uint8_t> image = std::vector<std::uint8_t>(300, 0xa5);
  std::vector<std::uint8_t> bytes = encode_backup(head, image);
};

ErrorCode code_of(const std::vector<std::uint8_t>& bytes) {
  const auto file = decode_backup(bytes);
  return file ? ErrorCode::kOk : file.error().code;
}

TEST_CASE_FIXTURE(Written, "a backup gives back what it is of") {
  const auto file = decode_backup(bytes);
  REQUIRE(file.has_value());
  CHECK(file->head.cluster_id == head.cluster_id);
  CHECK(file->head.version == head.version);
  CHECK(file->head.image_hash == head.image_hash);
  CHECK(file->head.created_us == head.created_us);
  CHECK(std::vector<std::uint8_t>(file->image.begin(), file->image.end()) == image);
  CHECK(code_of(encode_backup(head, {})) == ErrorCode::kOk);
}

TEST_CASE_FIXTURE(Written, "its bytes are those that FORMAT.md says") {
  CHECK(bytes.size() == 64 + 300 + 8);
  CHECK(std::string(bytes.begin(), bytes.begin() + 8) == "ANDYXMD\n");
  CHECK(bytes[8] == 1);
  CHECK(bytes[16] == 1);
  CHECK(bytes[31] == 16);
  CHECK(bytes[32] == 8);  // version, little-endian
  CHECK(bytes[39] == 1);
  CHECK(bytes[40] == 77);
  CHECK(bytes[48] == 99);
  CHECK(bytes[56] + 256 * bytes[57] == 300);
  CHECK(bytes[64] == 0xa5);
}

TEST_CASE_FIXTURE(Written, "of any other length it is refused") {
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    CAPTURE(size);
    CHECK(code_of({bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size)}) ==
          ErrorCode::kCorrupt);
  }
  bytes.push_back(0);
  CHECK(code_of(bytes) == ErrorCode::kCorrupt);
}

TEST_CASE_FIXTURE(Written, "with any bit turned it is refused") {
  for (std::size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
    const auto mask = static_cast<std::uint8_t>(1u << (bit % 8));
    bytes[bit / 8] ^= mask;
    const ErrorCode code = code_of(bytes);
    bytes[bit / 8] ^= mask;
    CAPTURE(bit);
    // The format is looked at before the checksum, whose place another one may have moved.
    const bool in_format = bit / 8 >= 8 && bit / 8 < 12;
    CHECK((code == ErrorCode::kCorrupt || (in_format && code == ErrorCode::kUnsupportedVersion)));
  }
}

TEST_CASE_FIXTURE(Written, "one of a newer program says so") {
  bytes[8] = 2;
  CHECK(code_of(bytes) == ErrorCode::kUnsupportedVersion);
}

}  // namespace
}  // namespace andyx
