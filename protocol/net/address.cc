#include <arpa/inet.h>

#include <charconv>
#include <string_view>

#include "protocol/net/tcp.h"

namespace andyx::net {
namespace {

Result<Address> bad(std::string_view text, std::string_view why) {
  return fail(ErrorCode::kBadArgument, "address '" + std::string(text) + "': " + std::string(why) +
                                           "; write HOST:PORT or [IPv6]:PORT");
}

}  // namespace

Result<Address> Address::parse(std::string_view text) {
  std::string_view host, port;
  if (text.starts_with('[')) {
    const auto end = text.find("]:");
    if (end == std::string_view::npos) return bad(text, "']:' is missing");
    host = text.substr(1, end - 1);
    port = text.substr(end + 2);
  } else {
    const auto colon = text.rfind(':');
    if (colon == std::string_view::npos) return bad(text, "the port is missing");
    host = text.substr(0, colon);
    port = text.substr(colon + 1);
    if (host.find(':') != std::string_view::npos)
      return bad(text, "an IPv6 address needs brackets");
  }
  if (host.empty()) return bad(text, "the host is missing");
  if (host.find_first_of(" \t\r\n/") != std::string_view::npos || host.size() > 255) {
    return bad(text, "that is no host");
  }
  Address address{.host = std::string(host)};
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), address.port);
  if (error != std::errc{} || end != port.data() + port.size()) {
    return bad(text, "the port is not a number from 0 to 65535");
  }
  return address;
}

std::string Address::text() const {
  const bool v6 = host.find(':') != std::string::npos;
  return (v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

bool is_loopback(const Address& address) {
  if (address.host == "localhost") return true;
  in_addr v4{};
  if (inet_pton(AF_INET, address.host.c_str(), &v4) == 1) return ntohl(v4.s_addr) >> 24 == 127;
  in6_addr v6{};
  return inet_pton(AF_INET6, address.host.c_str(), &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

}  // namespace andyx::net
