// Forward declaration of the root table, so that headers need not include the generated code.
#pragma once

namespace andyx::protocol {
struct Frame;
}
