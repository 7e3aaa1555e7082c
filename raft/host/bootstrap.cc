#include "raft/host/bootstrap.h"

#include <algorithm>
#include <chrono>
#include <future>
#include <memory>
#include <string>

namespace andyx::raft {
namespace {

// A disk that does not write a few bytes in this time will not run a group.
constexpr auto kPatience = std::chrono::seconds(60);

bool is_empty(const RaftStore& store) {
  const auto snapshot = store.snapshot();
  return store.initial_state().hard.empty() && store.last_index() == 0 &&
         (!snapshot || (*snapshot)->meta.index == 0);
}

}  // namespace

Status bootstrap(RaftStore& store, PeerId self, std::vector<PeerId> voters,
                 const std::function<SharedBytes()>& initial_state) {
  if (voters.empty() || !is_empty(store)) return {};
  std::ranges::sort(voters);
  const bool possible = std::ranges::adjacent_find(voters) == voters.end() &&
                        voters.front() != kNone && !is_storage_thread(voters.back());
  if (!possible || !std::ranges::binary_search(voters, self)) {
    return fail(ErrorCode::kBadArgument,
                "the voters of a new group are different peers, and peer " + std::to_string(self) +
                    " has to be one of them; to join a group that exists, leave them out");
  }
  auto snapshot = std::make_shared<Snapshot>();
  snapshot->meta.index = 1;
  snapshot->meta.term = 1;
  snapshot->meta.conf.voters = std::move(voters);
  snapshot->data = initial_state();
  StoreWrite write{.hard = HardState{.term = 1, .commit = 1}, .snapshot = std::move(snapshot)};
  const auto written = std::make_shared<std::promise<void>>();
  store.write(std::move(write), [written] { written->set_value(); });
  if (written->get_future().wait_for(kPatience) != std::future_status::ready) {
    return fail(ErrorCode::kIo,
                "the first write of the Raft store was not done in time; check its disk");
  }
  return {};
}

}  // namespace andyx::raft
