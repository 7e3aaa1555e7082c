// The generated code of metadata_entry.fbs, and the conversion of small values. For .cc files of
// this folder and tests.
#pragma once

#include <vector>

#include "metadata_entry_generated.h"
#include "server/metadata/settings.h"
#include "server/metadata/uuid.h"

namespace andyx::server {

inline wire::Id128 to_wire(const Uuid& id) { return {id.hi, id.lo}; }
inline Uuid from_wire(const wire::Id128& id) { return {id.hi(), id.lo()}; }
inline wire::RetentionValue to_wire(const RetentionPolicy& policy) {
  return {policy.soft_ms, policy.hard_ms, policy.size_bytes};
}
inline RetentionPolicy from_wire(const wire::RetentionValue& policy) {
  return {policy.soft_ms(), policy.hard_ms(), policy.size_bytes()};
}

// Of pairs of texts: a map or a vector.
template <typename Pairs>
flatbuffers::Offset<flatbuffers::Vector<flatbuffers::Offset<wire::SettingValue>>> write_settings(
    flatbuffers::FlatBufferBuilder& out, const Pairs& pairs) {
  std::vector<flatbuffers::Offset<wire::SettingValue>> settings;
  for (const auto& [key, value] : pairs) {
    const auto key_text = out.CreateString(key);
    const auto value_text = out.CreateString(value);
    settings.push_back(wire::CreateSettingValue(out, key_text, value_text));
  }
  return out.CreateVector(settings);
}

}  // namespace andyx::server
