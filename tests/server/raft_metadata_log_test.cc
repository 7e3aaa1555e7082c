// The metadata log on Raft: what becomes of appends, epochs and snapshots when leaders change and
// nodes come back.
#include <doctest/doctest.h>

#include <random>

#include "tests/server/raft_logs.h"

namespace andyx::server::test {
namespace {

using raft::wait_until;

TEST_CASE("the log on Raft keeps the contract") {
  RaftLogs logs(1);
  check_metadata_log_conformance([&] {
    auto log = logs.open(1);
    wait_until("it leads", [&] { return RaftLogs::leads(*log); });
    return log;
  });
}

// Campaigns and appends at whoever leads, until it is done.
struct Written {
  NodeId leader = 0;
  ControllerEpoch epoch = 0;
  Position tail = 0;
};
Written append_somewhere(RaftLogs& logs, const std::string& text, NodeId but = 0) {
  Written written;
  wait_until("an append succeeds", [&] {
    written.leader = logs.wait_for_leader(but);
    BlockingLog log(logs[written.leader]);
    const auto epoch = log.campaign();
    const auto tail = epoch ? log.tail() : Result<Position>(0);
    if (!epoch || !tail) return false;
    const auto result = log.append(*tail, *epoch, {entry(text)});
    written.epoch = *epoch;
    written.tail = result.tail;
    return result.outcome == AppendOutcome::kOk;
  });
  return written;
}

void wait_for_tail(RaftMetadataLog& log, Position tail) {
  BlockingLog blocking(log);
  wait_until("a node has read to " + std::to_string(tail), [&] {
    const auto read = blocking.read(tail);
    return read.has_value();  // at the tail: empty, not out of range
  });
}

TEST_CASE("appends survive a change of the leader, and the old controller is fenced") {
  RaftLogs logs(3);
  logs.start_all();
  const Written before = append_somewhere(logs, "before");
  for (NodeId id = 1; id <= 3; ++id) {
    wait_for_tail(logs[id], before.tail);
    CHECK(BlockingLog(logs[id]).read(0)->back().bytes == entry("before"));
  }

  const NodeId next = before.leader % 3 + 1;
  logs[before.leader].transfer_leader(next);
  wait_until("the next one leads", [&] { return RaftLogs::leads(logs[next]); });
  BlockingLog old(logs[before.leader]);
  const auto refused = old.append(before.tail, before.epoch, {entry("too late")});
  CHECK(refused.outcome == AppendOutcome::kNotApplied);
  CHECK(refused.error.code == ErrorCode::kNotController);
  CHECK(refused.error.node == next);
  const auto no_campaign = old.campaign();
  REQUIRE_FALSE(no_campaign);
  CHECK(no_campaign.error().code == ErrorCode::kNotController);

  BlockingLog now(logs[next]);
  const auto epoch = now.campaign();
  REQUIRE(epoch);
  CHECK(*epoch > before.epoch);
  REQUIRE(now.append(before.tail, *epoch, {entry("after")}).outcome == AppendOutcome::kOk);
  // Linearizable on a follower, too.
  CHECK(old.tail() == before.tail + 1);
  CHECK(old.read(before.tail)->back().bytes == entry("after"));

  // Where the old one leads again, its epoch is still the old one.
  logs[next].transfer_leader(before.leader);
  wait_until("the old one leads", [&] { return RaftLogs::leads(logs[before.leader]); });
  CHECK(old.append(before.tail + 1, before.epoch, {entry("fenced")}).outcome ==
        AppendOutcome::kFenced);
  CHECK(old.tail() == before.tail + 1);
}

TEST_CASE("without a majority nothing is appended, and nobody is said to lead for long") {
  RaftLogs logs(3);
  logs.start_all();
  const Written written = append_somewhere(logs, "all");
  for (NodeId id = 1; id <= 3; ++id) {
    if (id != written.leader) logs.stop(id);
  }
  BlockingLog log(logs[written.leader]);
  wait_until("it leads no more", [&] { return !RaftLogs::leads(logs[written.leader]); });
  const auto result = log.append(written.tail, written.epoch, {entry("alone")});
  CHECK(result.outcome == AppendOutcome::kNotApplied);
  CHECK(result.error.code == ErrorCode::kNoController);
  CHECK(log.tail().error().code == ErrorCode::kNoController);
  CHECK(log.read(0)->size() == 1);  // what is known can be read
}

TEST_CASE("after a restart of all nodes the log goes on, with a higher epoch") {
  RaftLogs logs(3);
  logs.start_all();
  const Written before = append_somewhere(logs, "one");
  for (NodeId id = 1; id <= 3; ++id) logs.stop(id);
  logs.start_all();
  const Written after = append_somewhere(logs, "two");
  CHECK(after.epoch > before.epoch);
  CHECK(after.tail == before.tail + 1);
  const auto all = BlockingLog(logs[after.leader]).read(0);
  REQUIRE(all);
  REQUIRE(all->size() == 2);
  CHECK((*all)[0].bytes == entry("one"));
}

TEST_CASE("a follower that was away for long gets the snapshot, and the entries behind it") {
  RaftLogs logs(3);
  logs.start_all();
  const Written first = append_somewhere(logs, "first");
  const NodeId away = first.leader % 3 + 1;
  wait_for_tail(logs[away], first.tail);
  logs.stop(away);
  Position tail = first.tail;
  // Twice: the log stays from one snapshot to the next.
  for (int round = 0; round < 2; ++round) {
    tail = append_somewhere(logs, "more", away).tail;
    for (NodeId id = 1; id <= 3; ++id) {
      if (id == away) continue;
      wait_for_tail(logs[id], tail);
      BlockingLog log(logs[id]);
      REQUIRE(log.put_snapshot(tail, "image at " + std::to_string(tail)));
      REQUIRE(log.trim(tail));
    }
  }
  const Position covered = tail;
  tail = append_somewhere(logs, "behind", away).tail;

  std::atomic<Position> hinted = 0;
  logs.start(away);
  logs[away].watch([&](Position at) { hinted = at; });
  BlockingLog back(logs[away]);
  wait_for_tail(logs[away], tail);
  CHECK(back.read(first.tail).error().code == ErrorCode::kOffsetOutOfRange);
  const auto snapshot = back.get_snapshot();
  REQUIRE(snapshot);
  REQUIRE(snapshot->has_value());
  CHECK((*snapshot)->position == covered);
  CHECK((*snapshot)->bytes == entry("image at " + std::to_string(covered)));
  CHECK(back.read(covered)->back().bytes == entry("behind"));
}

TEST_CASE("a new group begins with what another log held") {
  MetadataLogContent first{.epoch = 7, .snapshot = ImageSnapshotBytes{3, entry("image")}};
  first.start = 3;
  first.entries = {entry("three"), entry("four")};
  RaftLogs logs(1, first);
  for (int run = 0; run < 2; ++run) {
    CAPTURE(run);
    logs.start(1);
    REQUIRE(logs.wait_for_leader() == 1);
    BlockingLog log(logs[1]);
    CHECK(log.tail() == 5);
    CHECK(log.read(3)->front().bytes == entry("three"));
    CHECK(log.read(0).error().code == ErrorCode::kOffsetOutOfRange);
    CHECK((*log.get_snapshot())->bytes == entry("image"));
    CHECK(*log.campaign() == 8 + static_cast<ControllerEpoch>(run));
    logs.stop(1);
  }
}

TEST_CASE("an append that the node has no room for is refused, and later ones are not") {
  RaftLogs logs(1);
  logs.start(1);
  REQUIRE(logs.wait_for_leader() == 1);
  BlockingLog log(logs[1]);
  const auto epoch = log.campaign();
  REQUIRE(epoch);
  logs.refusal = Error{ErrorCode::kDiskFull, "no room"};
  const auto refused = log.append(0, *epoch, {entry("refused")});
  CHECK(refused.outcome == AppendOutcome::kNotApplied);
  CHECK(refused.error.code == ErrorCode::kDiskFull);
  CHECK(log.tail() == 0);
  logs.refusal.reset();
  CHECK(log.append(0, *epoch, {entry("taken")}).outcome == AppendOutcome::kOk);
}

TEST_CASE("closing the log answers every call exactly once") {
  RaftLogs logs(1);
  auto log = logs.open(1);
  std::atomic<int> answered = 0;
  for (int i = 0; i < 100; ++i) {
    log->tail([&](const Result<Position>&) { ++answered; });
    log->append(0, 1, {entry("e")}, [&](const AppendResult&) { ++answered; });
    log->campaign(1, 1, [&](const Result<ControllerEpoch>&) { ++answered; });
    log->put_snapshot({0, {}}, [&](const Status&) { ++answered; });
  }
  log.reset();
  CHECK(answered == 400);
}

// ---- Bytes ----

TEST_CASE("proposals come back as they were, and damaged ones are refused") {
  const SharedBytes append =
      encode_log_proposal(AppendProposal{5, 6, {entry("one"), entry(""), entry("three")}});
  const auto decoded = decode_log_proposal(append.span());
  REQUIRE(decoded);
  const auto& back = std::get<AppendProposal>(*decoded);
  CHECK(back.expected == 5);
  CHECK(back.epoch == 6);
  CHECK(back.entries == std::vector{entry("one"), entry(""), entry("three")});
  const auto campaign = decode_log_proposal(encode_log_proposal(CampaignProposal{9}).span());
  REQUIRE(campaign);
  CHECK(std::get<CampaignProposal>(*campaign).node == 9);

  for (std::size_t size = 0; size < append.size(); ++size) {
    CAPTURE(size);
    CHECK(decode_log_proposal(append.span().first(size)).error().code == ErrorCode::kCorrupt);
  }
  std::vector<std::uint8_t> bytes(append.span().begin(), append.span().end());
  bytes.push_back(0);
  CHECK(decode_log_proposal(bytes).error().code == ErrorCode::kCorrupt);
  bytes.pop_back();
  bytes[18] = 0xff;  // the number of entries
  bytes[25] = 0xff;
  CHECK(decode_log_proposal(bytes).error().code == ErrorCode::kCorrupt);
  bytes[0] = 2;
  CHECK(decode_log_proposal(bytes).error().code == ErrorCode::kUnsupportedVersion);
}

TEST_CASE("Raft's snapshot holds the image and what is behind it, and no bit of it may flip") {
  MetadataLogContent content{.epoch = 4, .controller = 2, .start = 0};
  content.entries = {entry("zero"), entry("one"), entry("two")};
  REQUIRE(content.put_snapshot({2, entry("image")}));
  const SharedBytes encoded = encode_log_content(content);
  const auto decoded = decode_log_content(encoded.span());
  REQUIRE(decoded);
  CHECK(decoded->epoch == 4);
  CHECK(decoded->controller == 2);
  CHECK(decoded->snapshot->position == 2);
  CHECK(decoded->snapshot->bytes == entry("image"));
  CHECK(decoded->start == 2);
  CHECK(decoded->tail() == 3);
  CHECK(decoded->entries.front() == entry("two"));
  std::vector<std::uint8_t> bytes(encoded.span().begin(), encoded.span().end());
  for (std::size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
    CAPTURE(bit);
    bytes[bit / 8] ^= static_cast<std::uint8_t>(1u << bit % 8);
    CHECK_FALSE(decode_log_content(bytes));
    bytes[bit / 8] ^= static_cast<std::uint8_t>(1u << bit % 8);
  }
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    CHECK_FALSE(decode_log_content(ByteSpan(bytes).first(size)));
  }
  CHECK(decode_log_content(bytes));
  bytes[0] = 2;
  CHECK(decode_log_content(bytes).error().code == ErrorCode::kUnsupportedVersion);
}

}  // namespace
}  // namespace andyx::server::test
