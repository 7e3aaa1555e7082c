// Tenants, products and components, the settings of every level and retention. Blocking calls,
// thread-safe, as Admin's. A path is "tenant", "tenant/product", "tenant/product/component" and,
// for settings and retention, "tenant/product/component/topic"; with or without andyx://.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "andyx/types.h"

namespace andyx::client {

class ClientImpl;

struct Setting {
  std::string key, value;
  std::string origin;  // the path that says it; empty: the default
};

// Judged by append time, in each partition. -1: not set.
struct RetentionPolicy {
  std::int64_t soft_ms = -1;     // deleted when older and answered by every subscription
  std::int64_t hard_ms = -1;     // deleted when older; at least soft_ms
  std::int64_t size_bytes = -1;  // over this the oldest are deleted, answered or not

  bool operator==(const RetentionPolicy&) const = default;
};

struct ScopeInfo {
  std::string path;
  std::string description;
  bool active = true;  // its tenant
  TimeUs created_us = 0;
  std::uint32_t children = 0;                // products, components or topics in it
  std::vector<Setting> settings;             // in force; of describe and settings only
  std::optional<RetentionPolicy> retention;  // in force; of describe and retention only
  std::string retention_origin;
};

class Scopes {
 public:
  // kScopeExists; kUnknownScope when the level above is missing.
  Result<ScopeInfo> create(const std::string& path, const std::string& description = {});
  Status remove(const std::string& path);  // kNotEmpty while something is in it
  // What is in `parent`, a tenant or a product; empty: the tenants.
  Result<std::vector<ScopeInfo>> list(const std::string& parent = {});
  Result<ScopeInfo> describe(const std::string& path);
  // While a tenant is not active, nobody produces to it or consumes from it (kTenantInactive).
  Status activate(const std::string& tenant, bool active);

  Result<ScopeInfo> settings(const std::string& path);
  // All or nothing. An empty value removes what this level says.
  Result<ScopeInfo> set_settings(const std::string& path,
                                 const std::vector<std::pair<std::string, std::string>>& settings);

  Result<ScopeInfo> retention(const std::string& path);
  Result<ScopeInfo> set_retention(const std::string& path, const RetentionPolicy& policy);
  Result<ScopeInfo> delete_retention(const std::string& path);  // the level above decides again

 private:
  friend class Admin;
  explicit Scopes(std::shared_ptr<ClientImpl> impl) : impl_(std::move(impl)) {}
  std::shared_ptr<ClientImpl> impl_;
};

}  // namespace andyx::client
