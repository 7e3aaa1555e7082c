// A tenant, product, component or topic of the image as the wire's ScopeInfo.
#pragma once

#include "server/app/node.h"
#include "server/loop/reply.h"
#include "server/metadata/level_path.h"
#include "settings_generated.h"

namespace andyx::server {

enum class ScopeDetail : std::uint8_t { kNone, kSettings, kRetention, kAll };

// `path` is in `image`.
flatbuffers::Offset<protocol::ScopeInfo> make_scope_info(flatbuffers::FlatBufferBuilder& builder,
                                                         const Node& node, const Image& image,
                                                         const LevelPath& path, ScopeDetail detail);

// kUnknownScope, kUnknownTopic where it is not there (any more).
void answer_scope(CoreLoop& here, const LevelPath& path, ScopeDetail detail, Reply reply);

// For the controller's StatusDone: when every loop has the change, the level as it is then.
std::move_only_function<void(Status)> then_answer_scope(CoreLoop& here, LevelPath path,
                                                        ScopeDetail detail, Reply reply);
// The same, answered by Done.
std::move_only_function<void(Status)> then_done(CoreLoop& here, Reply reply);

}  // namespace andyx::server
