#include "protocol/base/names.h"

#include <doctest/doctest.h>

namespace andyx {
namespace {

ErrorCode code_of(std::string_view text) {
  const auto name = TopicName::parse(text);
  return name ? ErrorCode::kOk : name.error().code;
}

TEST_CASE("a topic is named by its url, its path or alone") {
  const TopicName full{"acme", "shop", "checkout", "orders"};
  CHECK(*TopicName::parse("andyx://acme/shop/checkout/orders") == full);
  CHECK(*TopicName::parse("acme/shop/checkout/orders") == full);
  CHECK(full.path() == "acme/shop/checkout/orders");
  CHECK(full.url() == "andyx://acme/shop/checkout/orders");
  CHECK(*TopicName::parse("orders") == TopicName{"default", "default", "default", "orders"});
}

TEST_CASE("bad topic names are refused") {
  for (const std::string_view text :
       {"", "/", "a/b", "a/b/c", "a/b/c/d/e", "/a/b/c", "a/b/c/", "a//b/c", "andyx://",
        "andyx://orders", "andyx:///a/b/c", "http://a/b/c/d", ".hidden", "a/b/c/.d", "a b", "a\nb",
        "grün", "a/b/c/d?"}) {
    CAPTURE(text);
    CHECK(code_of(text) == ErrorCode::kBadName);
  }
}

TEST_CASE("names end at 128 bytes and take letters, digits, dot, underscore and dash") {
  CHECK(check_name(std::string(128, 'x'), "the name"));
  CHECK_FALSE(check_name(std::string(129, 'x'), "the name"));
  CHECK(check_name("aZ09._-", "the name"));
  CHECK(check_name("-", "the name"));
  CHECK_FALSE(check_name(".", "the name"));
  CHECK_FALSE(check_name("..", "the name"));
  CHECK_FALSE(check_name(std::string_view("a\0b", 3), "the name"));
}

TEST_CASE("the message says whose name is bad and shows it without control characters") {
  const auto name = TopicName::parse("acme/sh\x1bop/checkout/orders");
  REQUIRE(!name);
  CHECK(name.error().message.find("product") != std::string::npos);
  CHECK(name.error().message.find('\x1b') == std::string::npos);
  const auto status = check_name(std::string(5'000, '!'), "the subscription");
  REQUIRE(!status);
  CHECK(status.error().message.starts_with("the subscription"));
  CHECK(status.error().message.size() < 400);
}

}  // namespace
}  // namespace andyx
