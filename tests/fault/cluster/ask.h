// One question to one node, over a connection of its own: for looking at nodes that may be dead,
// stopped or cut off, where no answer is an answer. Any thread; blocks for at most `deadline`.
#pragma once

#include "protocol/net/tcp.h"
#include "tests/integration/support/raw_connection.h"

namespace andyx::test::fault {

// The answer to `frame` (made by make_frame with correlation id kQuestion). kUnreachable,
// kTimedOut, kConnectionLost, or what the node answered with an error (its `node` too).
inline constexpr std::uint64_t kQuestion = 2;
Result<Received> ask(const net::Address& node, const Bytes& frame, Millis deadline);

}  // namespace andyx::test::fault
