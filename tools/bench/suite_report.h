// What `andyx-bench subscriptions` found: a table for people, JSON for scripts (BENCHMARKS.md
// describes both). Values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "protocol/base/error.h"

namespace andyx::bench {

// A load on the server, and the CPU time that the server spent on it.
struct Load {
  std::uint64_t messages = 0;
  double elapsed_s = 0;
  std::uint64_t cpu_us = 0;

  double messages_per_s() const;
  double cpu_us_per_message() const;
};

// The middle one; of an even number the mean of both in the middle. 0 of none.
double median(std::vector<double> values);

// One line of the table. What was not measured, or makes no sense in that part, is empty.
struct SuiteRow {
  std::string part;  // as --parts names it
  std::string load;  // "4 consumers", "1000 subscriptions"
  double messages_per_s = 0;
  std::optional<double> without_messages_per_s;  // the same without consumers or subscriptions
  std::optional<double> cpu_us;                  // of the server, for each message
  std::optional<double> without_cpu_us;
  std::optional<double> added_cpu_us;  // for each message: what delivery and answers cost
  std::optional<double> bytes_per_s;   // of payloads
  std::optional<std::uint64_t> rss_before_bytes, rss_after_bytes, rss_peak_bytes;
  std::optional<double> bytes_each;  // memory of one partition of one subscription
  std::string goal;                  // what the issue asks for; empty: nothing in numbers
  std::optional<bool> met;
  std::vector<Load> with_runs, without_runs;  // what the medians are of, in the order of the runs

  std::optional<double> rate_ratio() const;  // with / without
  std::optional<double> cpu_ratio() const;
};

// Fills in the runs with and without, and the medians of their rates and of their CPU.
void set_runs(SuiteRow& row, std::vector<Load> with, std::vector<Load> without);

struct SuiteReport {
  std::uint64_t messages = 0, message_bytes = 0;
  std::optional<bool> fsync;
  std::vector<SuiteRow> rows;
  std::string first_error;  // why rows are missing; empty: none is
};

std::string to_table(const SuiteReport& report);
std::string to_json(const SuiteReport& report);  // one object, indented, LF at the end

}  // namespace andyx::bench
