#include "server/handlers/scope_info.h"

#include "frame_generated.h"
#include "server/handlers/routing.h"
#include "server/metadata/effective.h"

namespace andyx::server {
namespace {

using flatbuffers::FlatBufferBuilder;
using flatbuffers::Offset;

// Where no level says anything, this node does.
std::string value_here(const Node& node, const ShownSetting& shown) {
  if (!shown.value.empty()) return shown.value;
  if (shown.key == setting::kDefaultPartitions) {
    return std::to_string(node.config.default_partitions);
  }
  return std::to_string(node.config.max_message_bytes);
}

Offset<flatbuffers::Vector<Offset<protocol::Setting>>> make_settings(FlatBufferBuilder& builder,
                                                                     const Node& node,
                                                                     const Image& image,
                                                                     const LevelPath& path) {
  std::vector<Offset<protocol::Setting>> settings;
  for (const ShownSetting& shown : shown_settings(image, path)) {
    const auto key = builder.CreateString(shown.key);
    const auto value = builder.CreateString(value_here(node, shown));
    const auto origin = builder.CreateString(shown.origin);
    settings.push_back(protocol::CreateSetting(builder, key, value, origin));
  }
  return builder.CreateVector(settings);
}

struct Basics {
  std::string description;
  bool active = true;
  TimeUs created_us = 0;
};

Basics basics_of(const Image& image, const LevelPath& path) {
  Basics out;
  if (path.level == Level::kTopic) {
    const auto topic = image.find_topic(path.topic_name());
    return {.description = {},
            .active = topic->effective.tenant_active,
            .created_us = topic->created_us};
  }
  const auto scope = image.scopes.find(path);
  const auto tenant = image.scopes.find(LevelPath{Level::kTenant, path.topic_name().tenant});
  return {
      .description = scope->description, .active = tenant->active, .created_us = scope->created_us};
}

}  // namespace

Offset<protocol::ScopeInfo> make_scope_info(FlatBufferBuilder& builder, const Node& node,
                                            const Image& image, const LevelPath& path,
                                            ScopeDetail detail) {
  const Basics basics = basics_of(image, path);
  const auto path_text = builder.CreateString(path.path);
  const auto description = builder.CreateString(basics.description);
  Offset<flatbuffers::Vector<Offset<protocol::Setting>>> settings;
  if (detail == ScopeDetail::kSettings || detail == ScopeDetail::kAll) {
    settings = make_settings(builder, node, image, path);
  }
  std::optional<FoundRetention> found;
  if (detail == ScopeDetail::kRetention || detail == ScopeDetail::kAll) {
    found = find_retention(image, path);
  }
  const RetentionPolicy policy = found ? found->policy : RetentionPolicy{};
  const protocol::Retention retention(policy.soft_ms, policy.hard_ms, policy.size_bytes);
  Offset<flatbuffers::String> origin;
  if (found) origin = builder.CreateString(found->origin);
  return protocol::CreateScopeInfo(builder, path_text, description, basics.active,
                                   basics.created_us, count_children(image, path), settings,
                                   found ? &retention : nullptr, origin);
}

void answer_scope(CoreLoop& here, const LevelPath& path, ScopeDetail detail, Reply reply) {
  const Image& image = here.image();
  if (auto there = check_exists(image, path); !there) return reply.error(there.error());
  reply.body(protocol::Body::ScopeReply, [&](FlatBufferBuilder& builder) {
    auto info = make_scope_info(builder, here.node(), image, path, detail);
    return protocol::CreateScopeReply(builder, builder.CreateVector({info}));
  });
}

std::move_only_function<void(Status)> then_answer_scope(CoreLoop& here, LevelPath path,
                                                        ScopeDetail detail, Reply reply) {
  return [&here, path = std::move(path), detail, reply = std::move(reply)](Status changed) mutable {
    if (!changed) return reply.error(changed.error());
    after_all_loops(here.node(), here,
                    [&here, path = std::move(path), detail, reply = std::move(reply)]() mutable {
                      answer_scope(here, path, detail, std::move(reply));
                    });
  };
}

std::move_only_function<void(Status)> then_done(CoreLoop& here, Reply reply) {
  return [&here, reply = std::move(reply)](Status changed) mutable {
    if (!changed) return reply.error(changed.error());
    after_all_loops(here.node(), here, [reply = std::move(reply)]() mutable { reply.done(); });
  };
}

}  // namespace andyx::server
