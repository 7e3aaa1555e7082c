// `v1 l2 r3 u4`: voter, learner, remove, update.
#pragma once

#include <expected>
#include <string>
#include <vector>

#include "raft/core/types.h"

namespace andyx::raft::transcripts {

// Or the text that stands in the transcript.
std::expected<std::vector<ConfChangeSingle>, std::string> parse_changes(const std::string& text);

}  // namespace andyx::raft::transcripts
