// Wishes as bytes (wish.fbs), for the way to the controller. Any thread.
//
// A new alternative of Wish needs: a table and a member of the union in wish.fbs, and an overload
// of Encoder and of Decoder in wish.cc. A new field of a command does not compile there until it is
// written too.
#pragma once

#include <cstdint>
#include <vector>

#include "protocol/base/error.h"
#include "protocol/base/shared_bytes.h"
#include "server/metadata/proposal.h"

namespace andyx::server {

inline constexpr std::uint32_t kWishVersion = 1;

std::vector<std::uint8_t> encode_wish(const Wish& wish);

// Names and numbers are as they came: resolve() and apply_entry() judge them. kBadArgument:
// damaged. kUnsupportedVersion: of a newer program. `bytes` may lie anywhere.
Result<Wish> decode_wish(ByteSpan bytes);

}  // namespace andyx::server
