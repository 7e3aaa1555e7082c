#include "tests/integration/support/failure_watch.h"

#include <atomic>

namespace andyx::test {
namespace {

std::atomic<bool> failed{false};

}  // namespace

void note_failure() { failed.store(true); }
void forget_failure() { failed.store(false); }
bool any_failure() { return failed.load(); }

}  // namespace andyx::test
