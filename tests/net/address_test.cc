#include <doctest/doctest.h>

#include "protocol/net/tcp.h"

namespace andyx::net {

TEST_CASE("addresses are read and written in both families") {
  const auto v4 = Address::parse("127.0.0.1:6540");
  REQUIRE(v4.has_value());
  CHECK(v4->host == "127.0.0.1");
  CHECK(v4->port == 6540);
  CHECK(v4->text() == "127.0.0.1:6540");
  const auto v6 = Address::parse("[::1]:0");
  REQUIRE(v6.has_value());
  CHECK(v6->host == "::1");
  CHECK(v6->text() == "[::1]:0");
  CHECK(Address::parse("node-1.example:65535")->port == 65535);
}

TEST_CASE("what is no address is refused with a word on how to write one") {
  for (const char* text : {"", "host", ":1", "host:", "host:65536", "host:-1", "host:1x", "::1:5",
                           "[::1]", "[::1]5", "a b:1", "host: 1"}) {
    CAPTURE(text);
    const auto address = Address::parse(text);
    REQUIRE_FALSE(address.has_value());
    CHECK(address.error().code == ErrorCode::kBadArgument);
    CHECK(address.error().message.find("HOST:PORT") != std::string::npos);
  }
}

}  // namespace andyx::net
