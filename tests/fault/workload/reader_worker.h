// Reads a topic without a subscription, through one node: follows its end, and reads random parts
// of it again. A thread of its own.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <random>
#include <thread>
#include <vector>

#include "andyx/client.h"
#include "tests/fault/history/history.h"
#include "tests/fault/workload/producer_worker.h"

namespace andyx::test::fault {

// One read from `from`, written down. Where to read on; nothing: it failed.
std::optional<Offset> read_once(Stage& stage, client::Admin& admin, ReaderId reader,
                                std::uint32_t partition, Offset from, std::uint32_t max_bytes);

class ReaderWorker {
 public:
  // `server`: the only one that this reader says hello to.
  ReaderWorker(Stage& stage, std::string server, ReaderId id, std::uint32_t partitions,
               std::uint64_t seed);
  ~ReaderWorker();
  void stop();

 private:
  void run();
  bool connect();

  Stage& stage_;
  const std::string server_;
  const ReaderId id_;
  std::mt19937_64 random_;
  std::optional<client::Client> client_;
  std::vector<Offset> next_;  // by partition
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

// Reads all of every partition through `server`, to the ends committed now. The ends; nothing: an
// error, which is noted.
std::optional<std::vector<Offset>> read_everything(Stage& stage, const std::string& server,
                                                   ReaderId reader, std::uint32_t partitions);

}  // namespace andyx::test::fault
