// What a run of andyx-bench found: as text for people and as JSON (BENCHMARKS.md describes it).
// Values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "protocol/base/error.h"
#include "tools/bench/histogram.h"

namespace andyx::bench {

struct Report {
  std::string command;               // limit, produce, consume, end-to-end, idle
  std::uint64_t messages_acked = 0;  // produced and acknowledged
  std::uint64_t messages_consumed = 0;
  double elapsed_s = 0;     // first send to last acknowledgement
  std::uint64_t bytes = 0;  // of payloads, of what messages_per_s counts
  std::uint64_t errors = 0;
  std::string first_error;            // empty: none
  std::string acks;                   // none, main, quorum; empty where nothing was produced
  std::optional<bool> fsync;          // of the server; unknown for none
  std::optional<double> limit_share;  // of messages_per_s in that of `limit`
  std::optional<double> limit_messages_per_s;
  // The same beside `limit` that writes each byte `write_factor` times; of `limit`: its own.
  std::optional<double> write_factor;
  std::optional<double> limit_of_writes_share, limit_of_writes_messages_per_s;
  Histogram limit_latency;  // of `limit` at the same rate: due to acknowledged; empty: not measured
  Histogram latency;        // empty: not measured
  std::string latency_of;   // what it is the latency of
  // What was asked for and other numbers, in this order.
  std::vector<std::pair<std::string, std::uint64_t>> details;

  // What came through: consumed where nothing was produced, else acknowledged.
  std::uint64_t messages() const {
    return messages_acked != 0 ? messages_acked : messages_consumed;
  }
  double messages_per_s() const;
  double bytes_per_s() const;
};

std::string to_text(const Report& report);
std::string to_json(const Report& report);  // one object, indented, LF at the end

// To a file, or to stdout for "-". kIo.
Status write_text(const std::string& text, const std::string& path);
Status write_json(const Report& report, const std::string& path);

// messages_per_s of a report that `limit --json` saved. kIo, kBadArgument.
Result<double> read_limit_messages_per_s(const std::string& path);

}  // namespace andyx::bench
