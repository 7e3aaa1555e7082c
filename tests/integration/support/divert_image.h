// Makes the image of the metadata of a stopped node another one than the others have, at the
// position that they have too: as damaged memory, or a defect in apply(), would have left it.
#pragma once

#include <string>

#include "protocol/base/error.h"
#include "protocol/base/ids.h"

namespace andyx::test {

// `data_dir` of a voter that does not run. Blocks.
Status divert_image(const std::string& data_dir, NodeId node);

}  // namespace andyx::test
