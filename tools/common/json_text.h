// The pieces of a message's JSON line, written by hand because there may be millions of them; all
// other JSON goes through nlohmann-json. Any thread.
#pragma once

#include <string>
#include <string_view>

namespace andyx::tools {

// Whether `bytes` is well-formed UTF-8 (RFC 3629: no overlong forms, no surrogates, up to
// U+10FFFF).
bool is_utf8(std::string_view bytes);

// Appends `text` in quotes, escaped. Bytes that are not UTF-8 become U+FFFD.
void append_json_string(std::string& out, std::string_view text);

// Appends standard base64 with padding, without quotes.
void append_base64(std::string& out, std::string_view bytes);

// Appends `"NAME":"text"`, or `"NAME_base64":"…"` where `bytes` is not UTF-8.
void append_json_bytes(std::string& out, std::string_view name, std::string_view bytes);

}  // namespace andyx::tools
