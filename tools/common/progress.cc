#include "tools/common/progress.h"

#include <unistd.h>

#include <cstdio>

#include "protocol/net/loop.h"

namespace andyx::tools {
namespace {

constexpr std::uint64_t kEveryMs = 200;

std::string scaled(double value, double step, const char* const* units, int count) {
  int unit = 0;
  while (value >= step && unit + 1 < count) {
    value /= step;
    ++unit;
  }
  char text[64];
  std::snprintf(text, sizeof text, unit == 0 ? "%.0f%s" : "%.2f%s", value, units[unit]);
  return text;
}

}  // namespace

Progress::Progress() : terminal_(::isatty(STDERR_FILENO) == 1) {}

Progress::~Progress() { clear(); }

void Progress::update(const std::function<std::string()>& text) {
  if (!terminal_) return;
  const std::uint64_t now_ms = net::monotonic_ns() / 1'000'000;
  if (now_ms < next_ms_) return;
  next_ms_ = now_ms + kEveryMs;
  shown_ = true;
  std::fprintf(stderr, "\r\033[K%s", text().c_str());
}

void Progress::clear() {
  if (!shown_) return;
  shown_ = false;
  std::fputs("\r\033[K", stderr);
}

std::string short_count(double count) {
  static constexpr const char* kUnits[] = {"", " thousand", " million", " billion"};
  return scaled(count, 1000, kUnits, 4);
}

std::string short_bytes(double bytes) {
  static constexpr const char* kUnits[] = {" B", " KB", " MB", " GB", " TB"};
  return scaled(bytes, 1000, kUnits, 5);
}

}  // namespace andyx::tools
