#include "tools/cli/line_reader.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <random>
#include <string>
#include <thread>
#include <vector>

using andyx::cli::LineReader;

namespace {

// A file in memory that holds `bytes`.
class MemoryFile {
 public:
  explicit MemoryFile(const std::string& bytes) : fd_(::memfd_create("lines", MFD_CLOEXEC)) {
    REQUIRE(fd_ >= 0);
    REQUIRE(::write(fd_, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
    REQUIRE(::lseek(fd_, 0, SEEK_SET) == 0);
  }
  ~MemoryFile() { ::close(fd_); }
  int fd() const { return fd_; }

 private:
  int fd_;
};

std::vector<std::string> lines_of(const std::string& bytes, std::size_t block_bytes = 1024) {
  const MemoryFile file(bytes);
  LineReader reader(file.fd(), block_bytes);
  std::vector<std::string> lines;
  std::string_view line;
  while (true) {
    const auto more = reader.next(line);
    REQUIRE(more.has_value());
    if (!*more) break;
    lines.emplace_back(line);
  }
  CHECK(reader.lines() == lines.size());
  return lines;
}

using Lines = std::vector<std::string>;

}  // namespace

TEST_CASE("a line is the bytes up to LF: empty lines, CR and zero bytes are kept") {
  CHECK(lines_of("a\nb\n") == Lines{"a", "b"});
  CHECK(lines_of("a\n\n\nb\n") == Lines{"a", "", "", "b"});
  CHECK(lines_of("\n") == Lines{""});
  CHECK(lines_of("a\r\nb\r\n") == Lines{"a\r", "b\r"});
  CHECK(lines_of(std::string("a\0b\n\0\n", 6)) == Lines{std::string("a\0b", 3), std::string(1, 0)});
}

TEST_CASE("a last line without LF counts, the end after LF is no line") {
  CHECK(lines_of("") == Lines{});
  CHECK(lines_of("a") == Lines{"a"});
  CHECK(lines_of("a\nb") == Lines{"a", "b"});
  CHECK(lines_of("a\nb\n").size() == 2);
}

TEST_CASE("lines that cross blocks come out whole, whatever the block size") {
  const unsigned seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937 random(seed);
  for (int round = 0; round < 200; ++round) {
    Lines expected;
    std::string bytes;
    for (unsigned n = random() % 30; n > 0; --n) {
      expected.emplace_back(random() % 60, static_cast<char>('a' + n % 26));
      bytes += expected.back() + '\n';
    }
    REQUIRE(lines_of(bytes, 1 + random() % 40) == expected);
  }
}

TEST_CASE("a line of the largest message is read, a longer one is refused by its number") {
  const std::string largest(andyx::limits::kMaxMessageBytes, 'x');
  CHECK(lines_of("a\n" + largest + "\nb\n", 1 << 20) == Lines{"a", largest, "b"});

  const MemoryFile file("a\n" + std::string(2 * LineReader::kMaxLineBytes, 'x') + "\n");
  LineReader reader(file.fd());
  std::string_view line;
  REQUIRE(reader.next(line).value());
  const auto more = reader.next(line);
  REQUIRE_FALSE(more.has_value());
  CHECK(more.error().code == andyx::ErrorCode::kMessageTooLarge);
  CHECK(more.error().message.starts_with("line 2 "));
}

TEST_CASE("a line is handed out before the next block has arrived") {
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  LineReader reader(ends[0]);
  std::string_view line;
  REQUIRE(::write(ends[1], "first\nsec", 9) == 9);
  REQUIRE(reader.next(line).value());
  CHECK(line == "first");
  std::jthread writer([&ends] {
    CHECK(::write(ends[1], "ond", 3) == 3);
    ::close(ends[1]);
  });
  REQUIRE(reader.next(line).value());
  CHECK(line == "second");
  CHECK_FALSE(reader.next(line).value());
  ::close(ends[0]);
}

TEST_CASE("a descriptor that cannot be read gives an error, not an end") {
  LineReader reader(-1);
  std::string_view line;
  const auto more = reader.next(line);
  REQUIRE_FALSE(more.has_value());
  CHECK(more.error().code == andyx::ErrorCode::kIo);
}
