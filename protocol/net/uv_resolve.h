// Host names and numbers to socket addresses, for the other uv_* files. No state.
#pragma once

#include <uv.h>

#include <optional>
#include <vector>

#include "protocol/net/tcp.h"

namespace andyx::net {

using SocketAddress = sockaddr_storage;

// A numeric IPv4 or IPv6 host; nothing when it is a name.
std::optional<SocketAddress> numeric_address(const Address& address);
std::vector<SocketAddress> to_list(const addrinfo* found, std::uint16_t port);
// Blocks for names: for starting up only.
Result<SocketAddress> resolve_to_bind(const Address& address);
socklen_t length_of(const SocketAddress& address);
std::uint16_t port_of(const SocketAddress& address);

}  // namespace andyx::net
