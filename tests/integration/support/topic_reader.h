// Reads partitions back over the wire, without the client library, and checks every batch on the
// way. One thread.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "protocol/batch/batch_reader.h"
#include "tests/integration/support/raw_connection.h"

namespace andyx::test {

// Reads [from, committed end at the call) in order; REQUIREs that the answers go on without gaps
// and that every batch passes its checksum. Returns the end.
using VisitRecord = std::function<void(const batch::Record&)>;
Offset read_partition(RawConnection& connection, RawConnection::Partition partition, Offset from,
                      const VisitRecord& visit);

// What `subscription describe` says of one partition.
struct CursorState {
  Offset floor = 0;
  std::uint64_t answered_above_floor = 0;
  std::uint64_t lag_messages = 0;
};
std::vector<CursorState> describe_cursors(RawConnection& connection, const std::string& topic_path,
                                          const std::string& subscription);

}  // namespace andyx::test
