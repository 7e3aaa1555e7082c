// A consumer of one nonresilient subscription on a raw connection: notes what is delivered, answers
// what it is told to. One thread.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>

#include "tests/integration/support/raw_connection.h"

namespace andyx::test {

class RawConsumer {
 public:
  // Attaches to every partition. attached() is false when the server refused.
  RawConsumer(RawConnection& connection, const std::string& topic_path,
              const std::string& subscription);
  ~RawConsumer();

  bool attached() const { return attached_; }
  // Receives until the offset was delivered; false when the server ends the stream or the
  // connection.
  bool wait_delivered(std::uint32_t partition, Offset offset);
  // Receives until so many different messages were delivered in all; false as above.
  bool wait_count(std::uint64_t count);
  // Acknowledges; true when the server confirmed it.
  bool acknowledge(std::uint32_t partition, Offset offset);

  const std::map<std::uint32_t, std::set<Offset>>& delivered() const { return delivered_; }

 private:
  void take(const Received& pushed);
  bool receive_one();
  std::uint64_t count() const;

  RawConnection& connection_;
  bool attached_ = false;
  bool ended_ = false;
  std::map<std::uint32_t, std::set<Offset>> delivered_;  // by partition; stream = partition + 1
};

}  // namespace andyx::test
