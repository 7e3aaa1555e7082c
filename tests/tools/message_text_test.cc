#include "tools/cli/message_text.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

using namespace andyx;

namespace {

std::string text_of(const client::Message& message, cli::Print print) {
  std::string out;
  cli::append_message(out, print, message);
  return out;
}

client::Message sample() {
  client::Message message;
  message.partition = 3;
  message.offset = 12'345'678'901;
  message.time_us = 1'000'000;
  message.append_time_us = 1'709'209'800'000'042;
  message.payload = "pay";
  return message;
}

}  // namespace

TEST_CASE("value and key-value are what produce --key-separator would take back") {
  client::Message message = sample();
  CHECK(text_of(message, cli::Print::kValue) == "pay\n");
  CHECK(text_of(message, cli::Print::kKeyValue) == "pay\n");
  message.key = "k";
  CHECK(text_of(message, cli::Print::kValue) == "pay\n");
  CHECK(text_of(message, cli::Print::kKeyValue) == "k\tpay\n");
  message.key = "";
  CHECK(text_of(message, cli::Print::kKeyValue) == "\tpay\n");
}

TEST_CASE("the JSON line has stable names, and says when bytes are not text") {
  client::Message message = sample();
  CHECK(text_of(message, cli::Print::kJson) ==
        R"({"partition":3,"offset":12345678901,"append_time":"2024-02-29T12:30:00.000042Z",)"
        R"("time":"1970-01-01T00:00:01.000000Z","payload":"pay"})"
        "\n");

  const std::vector<client::Header> headers{
      {"a", "old"}, {"text", "v\"1"}, {"raw", "\xFF"}, {"a", "new"}};
  message.headers = headers;
  message.key = "\xFE";
  message.payload = std::string_view("\x00\xFF", 2);
  message.delivery_count = 3;
  message.first_delivered_us = 1'000'000;
  const auto json = nlohmann::json::parse(text_of(message, cli::Print::kJson));
  CHECK_FALSE(json.contains("key"));
  CHECK(json["key_base64"] == "/g==");
  CHECK_FALSE(json.contains("payload"));
  CHECK(json["payload_base64"] == "AP8=");
  CHECK(json["redelivered"] == 2);
  CHECK(json["first_delivered"] == "1970-01-01T00:00:01.000000Z");
  CHECK(json["headers"] == nlohmann::json{{"a", "new"}, {"text", "v\"1"}});
  CHECK(json["headers_base64"] == nlohmann::json{{"raw", "/w=="}});
}
