// Tenants, products, components: create, delete, list, describe; a tenant's activation.
#include "frame_generated.h"
#include "server/handlers/handlers.h"
#include "server/handlers/list_page.h"
#include "server/handlers/routing.h"
#include "server/handlers/scope_info.h"
#include "server/metadata/effective.h"

namespace andyx::server {
void handle(ClientConnection& client, const protocol::ScopeCreate& body, Reply reply) {
  auto path = LevelPath::parse(body.path()->string_view(), Level::kComponent);
  if (!path) return reply.error(path.error());
  CoreLoop& here = client.loop();
  std::string description = body.description() == nullptr ? "" : body.description()->str();
  auto done = then_answer_scope(here, *path, ScopeDetail::kAll, std::move(reply));
  here.node().controller->create_scope(*path, std::move(description), std::move(done));
}

void handle(ClientConnection& client, const protocol::ScopeDelete& body, Reply reply) {
  auto path = LevelPath::parse(body.path()->string_view(), Level::kComponent);
  if (!path) return reply.error(path.error());
  CoreLoop& here = client.loop();
  here.node().controller->delete_scope(*path, then_done(here, std::move(reply)));
}

void handle(ClientConnection& client, const protocol::ScopeList& body, Reply reply) {
  CoreLoop& here = client.loop();
  const Image& image = here.image();
  LevelPath all{Level::kTenant, ""};  // of what is listed, the level and what its paths begin with
  if (body.parent() != nullptr && body.parent()->size() > 0) {
    auto path = LevelPath::parse(body.parent()->string_view(), Level::kProduct);
    if (!path) return reply.error(path.error());
    if (auto there = check_exists(image, *path); !there) return reply.error(there.error());
    all = {below(path->level), path->path + '/'};
  }
  auto first = image.scopes.lower_bound(all);
  if (body.after() != nullptr && body.after()->size() > 0) {
    const auto after = LevelPath::parse(body.after()->string_view(), Level::kComponent);
    if (!after) return reply.error(after.error());
    if (after->level != all.level || !after->path.starts_with(all.path)) {
      return reply.error({ErrorCode::kBadArgument,
                          after->describe() + " is not directly in what is to be listed"});
    }
    first = first_behind(image.scopes, *after);
  }
  reply.body(protocol::Body::ScopeReply, [&](flatbuffers::FlatBufferBuilder& builder) {
    ListPage page(builder);
    std::vector<flatbuffers::Offset<protocol::ScopeInfo>> infos;
    for (auto it = first; it != image.scopes.end(); ++it) {
      if (it->where.level != all.level || !it->where.path.starts_with(all.path)) break;
      if (!page.takes(1)) break;
      infos.push_back(make_scope_info(builder, here.node(), image, it->where, ScopeDetail::kNone));
    }
    return protocol::CreateScopeReply(builder, builder.CreateVector(infos), page.more());
  });
}

void handle(ClientConnection& client, const protocol::ScopeDescribe& body, Reply reply) {
  auto path = LevelPath::parse(body.path()->string_view(), Level::kComponent);
  if (!path) return reply.error(path.error());
  answer_scope(client.loop(), *path, ScopeDetail::kAll, std::move(reply));
}

void handle(ClientConnection& client, const protocol::TenantActivate& body, Reply reply) {
  auto path = LevelPath::parse(body.tenant()->string_view(), Level::kTenant);
  if (!path) return reply.error(path.error());
  CoreLoop& here = client.loop();
  here.node().controller->activate_tenant(*path, body.active(), then_done(here, std::move(reply)));
}

}  // namespace andyx::server
