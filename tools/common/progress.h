// One line of progress, rewritten in place on a terminal; nothing at all on a pipe or a file.
// Owned by one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace andyx::tools {

class Progress {
 public:
  Progress();   // shows on stderr, when that is a terminal
  ~Progress();  // clears the line

  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // Cheap: looks at the clock, and asks for the text at most five times a second.
  void update(const std::function<std::string()>& text);
  void clear();

 private:
  bool terminal_;
  bool shown_ = false;
  std::uint64_t next_ms_ = 0;
};

// "1.25 million", "830 thousand": short for people, not for scripts.
std::string short_count(double count);
std::string short_bytes(double bytes);

}  // namespace andyx::tools
