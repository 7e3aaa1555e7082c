// Voters in processes of their own, of which the leader is stopped by SIGSTOP and goes on later.
#include <algorithm>
#include <iterator>
#include <memory>
#include <sstream>

#include "tests/raft/host/folder.h"
#include "tests/raft/host/group.h"
#include "tests/raft/host/voter_process.h"

namespace andyx::raft {
namespace {

struct VoterStatus {
  bool leads = false;
  Term term = 0;
  PeerId leader = kNone;
};

class Voters {
 public:
  Voters() {
    std::vector<std::uint16_t> ports;
    {
      std::vector<net::AddressClaim> claims;  // held together, so that they differ
      for (int i = 0; i < 3; ++i) {
        auto claimed = net::claim_address({.host = "127.0.0.1", .port = 0});
        REQUIRE(claimed.has_value());
        ports.push_back(claimed->address().port);
        claims.push_back(std::move(*claimed));
      }
    }
    for (PeerId id = 1; id <= 3; ++id) {
      voters_[id] = std::make_unique<VoterProcess>(id, folder_.path, ports);
    }
  }

  VoterProcess& operator[](PeerId id) { return *voters_.at(id); }
  VoterStatus status(PeerId id) {
    std::istringstream words((*this)[id].ask("status"));
    std::string role;
    VoterStatus status;
    words >> role >> status.term >> status.leader;
    status.leads = role == "leader";
    return status;
  }
  // One of `ids` leads, and all of them follow it in one term.
  PeerId wait_for_leader(const std::vector<PeerId>& ids) {
    PeerId leader = kNone;
    wait_until("one leads and all know it", [&] {
      leader = kNone;
      std::vector<VoterStatus> all;
      for (const PeerId id : ids) {
        all.push_back(status(id));
        if (all.back().leads) leader = id;
      }
      return leader != kNone && std::ranges::all_of(all, [&](const VoterStatus& one) {
               return one.leader == leader && one.term == all.front().term;
             });
    });
    return leader;
  }
  std::vector<std::string> texts(PeerId id) {
    std::istringstream words((*this)[id].ask("texts"));
    return {std::istream_iterator<std::string>(words), {}};
  }

 private:
  const Folder folder_;
  std::map<PeerId, std::unique_ptr<VoterProcess>> voters_;
};

std::vector<std::size_t> propose_many(VoterProcess& at, const std::string& name, int count) {
  std::vector<std::size_t> asked;
  for (int i = 0; i < count; ++i) {
    asked.push_back(at.send("propose " + name + std::to_string(i)));
  }
  return asked;
}

// Each answer agrees with what the group's log holds in the end.
void check_outcomes(VoterProcess& at, const std::vector<std::size_t>& asked,
                    const std::string& name, const std::vector<std::string>& log) {
  for (std::size_t i = 0; i < asked.size(); ++i) {
    const std::string text = name + std::to_string(i);
    CAPTURE(text);
    const std::string outcome = at.wait(asked[i]);
    CAPTURE(outcome);
    const auto times = std::ranges::count(log, text);
    CHECK(times <= 1);
    if (outcome == "applied") CHECK(times == 1);
    if (outcome == "lost" || outcome == "not-proposed") CHECK(times == 0);
  }
}

}  // namespace

TEST_CASE("a leader whose process is stopped is replaced, and follows when it goes on") {
  constexpr int kCount = 50;
  bool knows_at_once = false;
  SUBCASE("as soon as another one leads: it may still believe that it does") {}
  SUBCASE("after two election timeouts: its own ticks tell it before it serves") {
    knows_at_once = true;
  }
  Voters voters;
  const PeerId stopped = voters.wait_for_leader({1, 2, 3});
  REQUIRE(voters[stopped].ask("propose before") == "applied");
  const Term first_term = voters.status(stopped).term;
  const auto under_way = propose_many(voters[stopped], "under-way-", kCount);
  voters[stopped].stop();
  const auto since = net::boottime_ns();

  std::vector<PeerId> others = {1, 2, 3};
  std::erase(others, stopped);
  const PeerId next = voters.wait_for_leader(others);
  const Term next_term = voters.status(next).term;
  CHECK(next_term > first_term);
  REQUIRE(voters[next].ask("propose newer") == "applied");
  // It finds these before it has heard of anybody.
  const auto late = propose_many(voters[stopped], "late-", kCount);
  std::vector<std::size_t> reads;
  for (int i = 0; i < kCount; ++i) reads.push_back(voters[stopped].send("read newer"));
  if (knows_at_once) {
    wait_until("it stood still for long enough",
               [&] { return net::boottime_ns() - since > 2'000'000ull * kVoterElectionMs; });
  }
  voters[stopped].go_on();
  for (const std::size_t read : reads) CHECK(voters[stopped].wait(read) != "missing");

  CHECK(voters.wait_for_leader({1, 2, 3}) == next);
  for (const PeerId id : {1, 2, 3}) CHECK(voters.status(id).term == next_term);
  // So many that each index which the old term has used is taken.
  for (const auto number : propose_many(voters[next], "after-", 3 * kCount)) {
    REQUIRE(voters[next].wait(number) == "applied");
  }
  wait_until("all have applied the same", [&] {
    const auto log = voters.texts(next);
    return std::ranges::all_of(std::vector<PeerId>{1, 2, 3},
                               [&](PeerId id) { return voters.texts(id) == log; });
  });
  const auto log = voters.texts(stopped);
  check_outcomes(voters[stopped], under_way, "under-way-", log);
  check_outcomes(voters[stopped], late, "late-", log);
  if (knows_at_once) {
    for (const auto number : late) CHECK(voters[stopped].wait(number) == "not-proposed");
  }
  CHECK(std::ranges::find(log, "before") < std::ranges::find(log, "newer"));
  CHECK(std::ranges::count(log, "newer") == 1);
  CHECK(voters[stopped].ask("read newer") == "seen");
}

}  // namespace andyx::raft
