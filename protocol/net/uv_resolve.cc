#include "protocol/net/uv_resolve.h"

#include <cstring>

namespace andyx::net {
namespace {

void set_port(SocketAddress& address, std::uint16_t port) {
  if (address.ss_family == AF_INET6) {
    reinterpret_cast<sockaddr_in6*>(&address)->sin6_port = htons(port);
  } else {
    reinterpret_cast<sockaddr_in*>(&address)->sin_port = htons(port);
  }
}

}  // namespace

std::optional<SocketAddress> numeric_address(const Address& address) {
  SocketAddress out{};
  if (uv_ip4_addr(address.host.c_str(), address.port, reinterpret_cast<sockaddr_in*>(&out)) == 0)
    return out;
  out = {};
  if (uv_ip6_addr(address.host.c_str(), address.port, reinterpret_cast<sockaddr_in6*>(&out)) == 0)
    return out;
  return std::nullopt;
}

std::vector<SocketAddress> to_list(const addrinfo* found, std::uint16_t port) {
  std::vector<SocketAddress> list;
  for (; found != nullptr; found = found->ai_next) {
    if (found->ai_family != AF_INET && found->ai_family != AF_INET6) continue;
    SocketAddress one{};
    std::memcpy(&one, found->ai_addr, found->ai_addrlen);
    set_port(one, port);
    list.push_back(one);
  }
  return list;
}

Result<SocketAddress> resolve_to_bind(const Address& address) {
  if (auto numeric = numeric_address(address)) return *numeric;
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* found = nullptr;
  const int rc = getaddrinfo(address.host.c_str(), nullptr, &hints, &found);
  if (rc != 0) {
    return fail(ErrorCode::kBadArgument,
                "cannot listen on " + address.text() + ": " + gai_strerror(rc));
  }
  const auto list = to_list(found, address.port);
  freeaddrinfo(found);
  if (list.empty())
    return fail(ErrorCode::kBadArgument, "cannot listen on " + address.text() + ": no address");
  return list.front();
}

socklen_t length_of(const SocketAddress& address) {
  return address.ss_family == AF_INET6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in);
}

std::uint16_t port_of(const SocketAddress& address) {
  return ntohs(address.ss_family == AF_INET6
                   ? reinterpret_cast<const sockaddr_in6*>(&address)->sin6_port
                   : reinterpret_cast<const sockaddr_in*>(&address)->sin_port);
}

}  // namespace andyx::net
