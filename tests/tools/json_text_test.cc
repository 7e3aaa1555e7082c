#include "tools/common/json_text.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <random>
#include <string>

using namespace andyx::tools;

namespace {

std::string json_string(std::string_view text) {
  std::string out;
  append_json_string(out, text);
  return out;
}

std::string base64(std::string_view bytes) {
  std::string out;
  append_base64(out, bytes);
  return out;
}

}  // namespace

TEST_CASE("UTF-8 is told from other bytes, also behind long ASCII") {
  for (const char* text : {"", "a", "0123456789abcdef", "\xC2\x80", "\xE2\x82\xAC", "\xED\x9F\xBF",
                           "\xF0\x9F\x98\x80", "\xF4\x8F\xBF\xBF", "12345678\xC3\xA4"}) {
    CAPTURE(text);
    CHECK(is_utf8(text));
  }
  for (const char* text : {"\x80", "\xC0\x80", "\xC1\xBF", "\xC2", "\xE0\x9F\xBF", "\xED\xA0\x80",
                           "\xE2\x82", "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80",
                           "\xFF", "12345678\xC3", "abc\xC3(", "0123456789abcde\xFF"}) {
    CAPTURE(text);
    CHECK_FALSE(is_utf8(text));
  }
  CHECK(is_utf8(std::string_view("\0", 1)));
}

TEST_CASE("JSON strings escape what JSON demands and keep the rest") {
  CHECK(json_string("plain") == "\"plain\"");
  CHECK(json_string("a\"b\\c") == R"("a\"b\\c")");
  CHECK(json_string("\n\r\t\x01\x1F") == R"("\n\r\t\u0001\u001f")");
  CHECK(json_string(std::string_view("\0", 1)) == R"("\u0000")");
  CHECK(json_string("\xE2\x82\xAC") == "\"\xE2\x82\xAC\"");
  CHECK(json_string("a\xFF"
                    "b") ==
        "\"a\xEF\xBF\xBD"
        "b\"");
}

TEST_CASE("base64 pads every remainder") {
  // The vectors of RFC 4648.
  CHECK(base64("") == "");
  CHECK(base64("f") == "Zg==");
  CHECK(base64("fo") == "Zm8=");
  CHECK(base64("foo") == "Zm9v");
  CHECK(base64("foobar") == "Zm9vYmFy");
  CHECK(base64("\xFB\xFF\xFE") == "+//+");
}

TEST_CASE("bytes become text or base64, under a name that says which") {
  std::string out;
  append_json_bytes(out, "payload", "hi");
  out += ',';
  append_json_bytes(out, "payload", "\xFF");
  CHECK(out == R"("payload":"hi","payload_base64":"/w==")");
}

TEST_CASE("a JSON reader gets back every string of random code points") {
  const unsigned seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937 random(seed);
  for (int round = 0; round < 2000; ++round) {
    nlohmann::json text = nlohmann::json::array();
    std::string bytes;
    for (unsigned n = random() % 40; n > 0; --n) {
      const unsigned point = random() % 3 == 0 ? random() % 0x80 : random() % 0xD800;
      if (point < 0x80) {
        bytes += static_cast<char>(point);
      } else if (point < 0x800) {
        bytes += static_cast<char>(0xC0 | point >> 6);
        bytes += static_cast<char>(0x80 | (point & 63));
      } else {
        bytes += static_cast<char>(0xE0 | point >> 12);
        bytes += static_cast<char>(0x80 | (point >> 6 & 63));
        bytes += static_cast<char>(0x80 | (point & 63));
      }
    }
    REQUIRE(is_utf8(bytes));
    REQUIRE(nlohmann::json::parse(json_string(bytes)).get<std::string>() == bytes);
  }
}
