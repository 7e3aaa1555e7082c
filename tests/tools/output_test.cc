#include "tools/common/output.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <csignal>
#include <string>
#include <thread>

using andyx::tools::Output;

TEST_CASE("everything arrives, also through a full non-blocking pipe") {
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  REQUIRE(::fcntl(ends[1], F_SETFL, O_NONBLOCK) == 0);
  const std::string sent(1'000'000, 'x');
  std::string received;
  std::jthread reader([&] {
    char block[65'536];
    for (ssize_t n = 0; (n = ::read(ends[0], block, sizeof block)) > 0;) {
      received.append(block, static_cast<std::size_t>(n));
    }
  });
  Output output(ends[1]);
  output.buffer() = sent;
  CHECK(output.written().has_value());
  ::close(ends[1]);
  reader.join();
  CHECK(received == sent);
  CHECK_FALSE(output.closed());
  ::close(ends[0]);
}

TEST_CASE("a reader that has gone ends the output without an error") {
  std::signal(SIGPIPE, SIG_IGN);
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  ::close(ends[0]);
  Output output(ends[1]);
  output.buffer() = "lost";
  CHECK(output.flush().has_value());
  CHECK(output.closed());
  ::close(ends[1]);
}

TEST_CASE("a full disk is an error") {
  const int full = ::open("/dev/full", O_WRONLY | O_CLOEXEC);
  REQUIRE(full >= 0);
  Output output(full);
  output.buffer() = "x";
  const auto flushed = output.flush();
  REQUIRE_FALSE(flushed.has_value());
  CHECK(flushed.error().code == andyx::ErrorCode::kIo);
  ::close(full);
}
