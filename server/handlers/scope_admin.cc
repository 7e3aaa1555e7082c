// Tenants, products, components: create, delete, list, describe; a tenant's activation.
#include "frame_generated.h"
#include "server/handlers/handlers.h"
#include "server/handlers/routing.h"
#include "server/handlers/scope_info.h"
#include "server/metadata/effective.h"

namespace andyx::server {
namespace {

constexpr std::size_t kMaxListed = 10'000;  // each is a table of a frame that the client verifies

// What stands directly in `parent`; without one, the tenants.
std::vector<LevelPath> listed(const Image& image, const std::optional<LevelPath>& parent) {
  const LevelPath first =
      parent ? LevelPath{below(parent->level), parent->path + '/'} : LevelPath{Level::kTenant, ""};
  std::vector<LevelPath> out;
  for (auto it = image.scopes.lower_bound(first); it != image.scopes.end(); ++it) {
    if (it->where.level != first.level || !it->where.path.starts_with(first.path)) break;
    out.push_back(it->where);
  }
  return out;
}

}  // namespace

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
  std::optional<LevelPath> parent;
  if (body.parent() != nullptr && body.parent()->size() > 0) {
    auto path = LevelPath::parse(body.parent()->string_view(), Level::kProduct);
    if (!path) return reply.error(path.error());
    if (auto there = check_exists(image, *path); !there) return reply.error(there.error());
    parent = std::move(*path);
  }
  const std::vector<LevelPath> scopes = listed(image, parent);
  if (scopes.size() > kMaxListed) {
    return reply.error({ErrorCode::kLimitReached,
                        std::to_string(scopes.size()) + " are there, and one answer lists " +
                            std::to_string(kMaxListed) + "; describe them one by one"});
  }
  reply.body(protocol::Body::ScopeReply, [&](flatbuffers::FlatBufferBuilder& builder) {
    std::vector<flatbuffers::Offset<protocol::ScopeInfo>> infos;
    for (const LevelPath& path : scopes) {
      infos.push_back(make_scope_info(builder, here.node(), image, path, ScopeDetail::kNone));
    }
    return protocol::CreateScopeReply(builder, builder.CreateVector(infos));
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
