// How `read` and `consume` print a message: --print value|key-value|json. Any thread.
#pragma once

#include <cstdint>
#include <string>

#include "andyx/message_batch.h"

namespace andyx::cli {

enum class Print : std::uint8_t { kValue, kKeyValue, kJson };

// Appends one line, LF included.
//   value      the payload
//   key-value  key, TAB, payload; the payload alone for a message without a key
//   json       the object that JSON.md describes
void append_message(std::string& out, Print print, const client::Message& message);

}  // namespace andyx::cli
