// The fields of binary protocols that several peers have in common: big-endian numbers, texts with
// 16 bits of length, blobs with 32. Values; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace andyx::compare {

// Appends fields to a request.
class FieldWriter {
 public:
  explicit FieldWriter(std::string& out) : out_(out) {}

  template <typename Integer>
  void integer(Integer value) {
    for (int shift = static_cast<int>(sizeof value - 1) * 8; shift >= 0; shift -= 8) {
      out_.push_back(static_cast<char>(static_cast<std::uint64_t>(value) >> shift));
    }
  }
  void text(std::string_view text) {
    integer(static_cast<std::int16_t>(text.size()));
    out_.append(text);
  }
  void null_text() { integer(std::int16_t{-1}); }
  void varint(std::int64_t value);  // zigzag

 private:
  std::string& out_;
};

// Takes fields from a response. After its end everything is 0, and ok() is false.
class FieldReader {
 public:
  explicit FieldReader(std::string_view bytes) : bytes_(bytes) {}

  template <typename Integer>
  Integer integer() {
    if (bytes_.size() < sizeof(Integer)) return failed<Integer>();
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < sizeof(Integer); ++i) {
      value = value << 8 | static_cast<unsigned char>(bytes_[i]);
    }
    bytes_.remove_prefix(sizeof(Integer));
    return static_cast<Integer>(value);
  }
  std::string_view text() { return bytes(integer<std::int16_t>()); }  // of a null one: nothing
  std::string_view blob() { return bytes(integer<std::int32_t>()); }
  std::string_view bytes(std::int64_t count);
  std::int64_t varint();
  void skip(std::size_t count) { bytes(static_cast<std::int64_t>(count)); }

  std::size_t left() const { return bytes_.size(); }
  bool ok() const { return ok_; }

 private:
  template <typename Integer>
  Integer failed() {
    ok_ = false;
    bytes_ = {};
    return 0;
  }

  std::string_view bytes_;
  bool ok_ = true;
};

}  // namespace andyx::compare
