// The generated code of metadata_entry.fbs, and the conversion of ids. For .cc files of this folder
// and tests.
#pragma once

#include "metadata_entry_generated.h"
#include "server/metadata/uuid.h"

namespace andyx::server {

inline wire::Id128 to_wire(const Uuid& id) { return {id.hi, id.lo}; }
inline Uuid from_wire(const wire::Id128& id) { return {id.hi(), id.lo()}; }

}  // namespace andyx::server
