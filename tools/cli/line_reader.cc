#include "tools/cli/line_reader.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>

namespace andyx::cli {

LineReader::LineReader(int fd, std::size_t block_bytes)
    : fd_(fd),
      block_bytes_(block_bytes),
      capacity_(2 * block_bytes),
      buffer_(std::make_unique_for_overwrite<char[]>(capacity_)) {}

bool LineReader::take(std::string_view& line, std::size_t size, std::size_t skip) {
  line = {buffer_.get() + begin_, size};
  begin_ += size + skip;
  scanned_ = begin_;
  ++lines_;
  bytes_ += size;
  return true;
}

Result<bool> LineReader::next(std::string_view& line) {
  while (true) {
    const char* from = buffer_.get() + scanned_;
    if (const void* lf = scanned_ < end_ ? std::memchr(from, '\n', end_ - scanned_) : nullptr) {
      const auto at = static_cast<std::size_t>(static_cast<const char*>(lf) - buffer_.get());
      return take(line, at - begin_, 1);
    }
    scanned_ = end_;
    if (ended_) {
      if (begin_ == end_) return false;
      return take(line, end_ - begin_, 0);
    }
    const Result<bool> filled = fill();
    if (!filled) return std::unexpected(filled.error());
    ended_ = !*filled;
  }
}

Status LineReader::make_room() {
  if (capacity_ - end_ >= block_bytes_) return {};
  const std::size_t kept = end_ - begin_;
  if (kept > kMaxLineBytes) {
    return fail(ErrorCode::kMessageTooLarge, "line " + std::to_string(lines_ + 1) +
                                                 " of the input is longer than " +
                                                 std::to_string(kMaxLineBytes) + " bytes");
  }
  if (kept + block_bytes_ > capacity_) {
    capacity_ = std::max(2 * capacity_, kept + block_bytes_);
    auto larger = std::make_unique_for_overwrite<char[]>(capacity_);
    std::memcpy(larger.get(), buffer_.get() + begin_, kept);
    buffer_ = std::move(larger);
  } else {
    std::memmove(buffer_.get(), buffer_.get() + begin_, kept);
  }
  scanned_ -= begin_;
  end_ = kept;
  begin_ = 0;
  return {};
}

Result<bool> LineReader::fill() {
  if (begin_ == end_) begin_ = scanned_ = end_ = 0;
  if (const Status room = make_room(); !room) return std::unexpected(room.error());
  while (true) {
    const ssize_t count = ::read(fd_, buffer_.get() + end_, block_bytes_);
    if (count > 0) {
      end_ += static_cast<std::size_t>(count);
      return true;
    }
    if (count == 0) return false;
    if (errno != EINTR) {
      return fail(ErrorCode::kIo, std::string("reading the input failed: ") + std::strerror(errno));
    }
  }
}

}  // namespace andyx::cli
