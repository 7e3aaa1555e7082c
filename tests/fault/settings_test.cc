// Which faults a run draws from.
#include "tests/fault/settings.h"

#include <doctest/doctest.h>
#include <stdlib.h>

#include <algorithm>
#include <set>
#include <string_view>

namespace andyx::test::fault {
namespace {

using enum FaultKind;

// A variable of the environment for one test.
class Variable {
 public:
  Variable(const char* name, const char* value) : name_(name) { setenv(name, value, 1); }
  ~Variable() { unsetenv(name_); }

 private:
  const char* name_;
};

TEST_CASE("every kind has a name of its own and is found by it") {
  std::set<std::string_view> names;
  for (const KindInfo& each : all_kinds()) {
    CHECK(names.insert(each.name).second);
    CHECK(kind_named(each.name) == each.kind);
    CHECK(info(each.kind).name == each.name);
  }
  CHECK_FALSE(kind_named("no-such-fault").has_value());
}

TEST_CASE("a list names the faults that may come, or those that may not") {
  {
    const Variable list("ANDYX_FAULT_KINDS", "move,kill-main");
    CHECK(settings_from_environment().kinds == std::vector{kMove, kKillMain});
  }
  {
    const Variable list("ANDYX_FAULT_KINDS", "-move,-drain");
    const auto kinds = settings_from_environment().kinds;
    CHECK(kinds.size() == all_kinds().size() - 2);
    CHECK(std::ranges::count(kinds, kMove) == 0);
  }
  CHECK(settings_from_environment().kinds.size() == all_kinds().size());
}

TEST_CASE("faults that a cluster cannot have are left out") {
  const std::vector<FaultKind> wanted = {kKillMain, kCutPair, kPowerLoss, kFullDisk};
  CHECK(possible_kinds(wanted, 3, true, true) == wanted);
  CHECK(possible_kinds(wanted, 1, true, true) == std::vector{kKillMain, kPowerLoss, kFullDisk});
  CHECK(possible_kinds(wanted, 3, false, false) == std::vector{kKillMain, kCutPair});
  CHECK(any_needs_small_disk(wanted));
  CHECK_FALSE(any_needs_small_disk({kKillMain}));
}

}  // namespace
}  // namespace andyx::test::fault
