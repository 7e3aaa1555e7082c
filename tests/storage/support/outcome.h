// What a shard makes of a directory that somebody damaged.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "protocol/base/ids.h"

namespace andyx::storage::test {

// What the directory held before: logs 1 and 2, both from 0 to `end`.
struct Expected {
  Offset end = 0;
  std::size_t payload_bytes = 0;
  std::size_t generation_bytes = 0;
};

enum class Outcome : std::uint8_t {
  kWhole,
  kRefused,     // at open: lost, damaged, or not readable
  kReadFails,   // as damaged
  kAborted,     // the process ended with a message of RocksDB
  kShort,       // wrong: something is missing, and nothing says so
  kOtherError,  // wrong: an error that does not name the damage
};

Outcome outcome_of(const std::string& directory, const Expected& expected);

// The same in a process of its own. Debian's RocksDB is built with its assertions, and it parses
// the properties block of a table file before it compares the checksum: one flipped bit there (the
// flag "has a hash index") ends the process instead of the open.
Outcome outcome_in_child(const std::string& directory, const Expected& expected);

// What main() does in the child: `arguments` are those of outcome_in_child, as text.
int run_outcome(char** arguments);

}  // namespace andyx::storage::test
