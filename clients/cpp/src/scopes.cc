#include "andyx/scopes.h"

#include "clients/cpp/src/ask.h"

namespace andyx::client {
namespace {

ScopeInfo scope_info(const protocol::ScopeInfo& in) {
  const auto text = [](const flatbuffers::String* s) { return s == nullptr ? "" : s->str(); };
  ScopeInfo out{.path = text(in.path()),
                .description = text(in.description()),
                .active = in.active(),
                .created_us = in.created_us(),
                .children = in.children(),
                .settings = {},
                .retention = {},
                .retention_origin = text(in.retention_origin())};
  if (in.settings() != nullptr) {
    for (const auto* setting : *in.settings()) {
      out.settings.push_back(
          {text(setting->key()), text(setting->value()), text(setting->origin())});
    }
  }
  if (const auto* policy = in.retention()) {
    out.retention = RetentionPolicy{policy->soft_ms(), policy->hard_ms(), policy->size_bytes()};
  }
  return out;
}

Result<Page<ScopeInfo>> scope_page(const ReplyFrame& reply) {
  const auto* body = reply.frame->body_as_ScopeReply();
  if (body == nullptr) return fail(ErrorCode::kInternal, "the answer has another type");
  Page<ScopeInfo> out{.entries = {}, .more = body->more()};
  if (body->scopes() != nullptr) {
    for (const auto* scope : *body->scopes()) out.entries.push_back(scope_info(*scope));
  }
  return out;
}
Result<std::vector<ScopeInfo>> scopes_of(const ReplyFrame& reply) {
  return entries_of(scope_page(reply));
}

Result<ScopeInfo> ask_one(ClientImpl& client, Fill fill, Repeat repeat) {
  return only(ask<std::vector<ScopeInfo>>(client, 0, std::move(fill), repeat, scopes_of));
}

}  // namespace

Result<ScopeInfo> Scopes::create(const std::string& path, const std::string& description) {
  auto fill = [path, description](Builder& builder) {
    const auto path_text = builder.CreateString(path);
    const auto text = builder.CreateString(description);
    return body_of(protocol::Body::ScopeCreate,
                   protocol::CreateScopeCreate(builder, path_text, text));
  };
  return ask_one(*impl_, fill, Repeat::kNo);
}

Status Scopes::remove(const std::string& path) {
  auto fill = [path](Builder& builder) {
    const auto text = builder.CreateString(path);
    return body_of(protocol::Body::ScopeDelete, protocol::CreateScopeDelete(builder, text));
  };
  return plain(ask<bool>(*impl_, 0, fill, Repeat::kNo, done_of));
}

Result<std::vector<ScopeInfo>> Scopes::list(const std::string& parent) {
  const auto fill_after = [parent](const std::string& after) {
    return [parent, after](Builder& builder) {
      const auto text = builder.CreateString(parent);
      const auto after_text = builder.CreateString(after);
      return body_of(protocol::Body::ScopeList,
                     protocol::CreateScopeList(builder, text, after_text));
    };
  };
  return ask_pages<ScopeInfo>(*impl_, fill_after, scope_page,
                              [](const ScopeInfo& scope) { return scope.path; });
}

Result<ScopeInfo> Scopes::describe(const std::string& path) {
  auto fill = [path](Builder& builder) {
    const auto text = builder.CreateString(path);
    return body_of(protocol::Body::ScopeDescribe, protocol::CreateScopeDescribe(builder, text));
  };
  return ask_one(*impl_, fill, Repeat::kYes);
}

Status Scopes::activate(const std::string& tenant, bool active) {
  auto fill = [tenant, active](Builder& builder) {
    const auto text = builder.CreateString(tenant);
    return body_of(protocol::Body::TenantActivate,
                   protocol::CreateTenantActivate(builder, text, active));
  };
  return plain(ask<bool>(*impl_, 0, fill, Repeat::kYes, done_of));
}

Result<ScopeInfo> Scopes::settings(const std::string& path) {
  auto fill = [path](Builder& builder) {
    const auto text = builder.CreateString(path);
    return body_of(protocol::Body::SettingsShow, protocol::CreateSettingsShow(builder, text));
  };
  return ask_one(*impl_, fill, Repeat::kYes);
}

Result<ScopeInfo> Scopes::set_settings(
    const std::string& path, const std::vector<std::pair<std::string, std::string>>& settings) {
  auto fill = [path, settings](Builder& builder) {
    std::vector<flatbuffers::Offset<protocol::Setting>> list;
    for (const auto& [key, value] : settings) {
      const auto key_text = builder.CreateString(key);
      const auto value_text = builder.CreateString(value);
      list.push_back(protocol::CreateSetting(builder, key_text, value_text));
    }
    const auto text = builder.CreateString(path);
    const auto vector = builder.CreateVector(list);
    return body_of(protocol::Body::SettingsSet, protocol::CreateSettingsSet(builder, text, vector));
  };
  return ask_one(*impl_, fill, Repeat::kYes);
}

Result<ScopeInfo> Scopes::retention(const std::string& path) {
  auto fill = [path](Builder& builder) {
    const auto text = builder.CreateString(path);
    return body_of(protocol::Body::RetentionShow, protocol::CreateRetentionShow(builder, text));
  };
  return ask_one(*impl_, fill, Repeat::kYes);
}

Result<ScopeInfo> Scopes::set_retention(const std::string& path, const RetentionPolicy& policy) {
  auto fill = [path, policy](Builder& builder) {
    const auto text = builder.CreateString(path);
    const protocol::Retention retention(policy.soft_ms, policy.hard_ms, policy.size_bytes);
    return body_of(protocol::Body::RetentionSet,
                   protocol::CreateRetentionSet(builder, text, &retention));
  };
  return ask_one(*impl_, fill, Repeat::kYes);
}

Result<ScopeInfo> Scopes::delete_retention(const std::string& path) {
  auto fill = [path](Builder& builder) {
    const auto text = builder.CreateString(path);
    return body_of(protocol::Body::RetentionDelete, protocol::CreateRetentionDelete(builder, text));
  };
  return ask_one(*impl_, fill, Repeat::kYes);
}

}  // namespace andyx::client
