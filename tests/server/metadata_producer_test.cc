// Named producers in the metadata: ids, epochs, sessions, fences.
#include <doctest/doctest.h>

#include "data_generated.h"
#include "protocol/base/limits.h"
#include "server/metadata/proposal.h"
#include "tests/server/metadata_commands.h"

namespace andyx::server::test {
namespace {

constexpr auto kSingle = protocol::ProducerInstance::single;
constexpr auto kMultiple = protocol::ProducerInstance::multiple;
constexpr std::uint32_t kStep = limits::kProducerEpochsPerOpen;

History with_topic() {
  History history = History::with_node();
  REQUIRE(history.create_topic("t").status);
  return history;
}

ErrorCode code_of(const Status& status) { return status ? ErrorCode::kOk : status.error().code; }

std::shared_ptr<const ProducerRecord> find(const History& history, std::string_view name) {
  return history.image().find_topic(1)->producers.find(name);
}
std::uint32_t fence_of(const History& history, ProducerId id) {
  const auto fence = history.image().find_topic(1)->fences.find(id);
  REQUIRE(fence);
  return fence->epoch;
}

TEST_CASE("each open of a single producer by another session raises its epoch, under one id") {
  History history = with_topic();
  const auto first = history.apply(OpenProducerCommand{1, "p", kSingle, 7});
  REQUIRE(first.status);
  CHECK(first.result != 0);
  CHECK(find(history, "p")->epoch == kStep);
  CHECK(fence_of(history, first.result) == kStep);

  const auto again = history.apply(OpenProducerCommand{1, "p", kSingle, 7});
  CHECK(again.result == first.result);
  CHECK(find(history, "p")->epoch == kStep);

  const auto other = history.apply(OpenProducerCommand{1, "p", kSingle, 8});
  CHECK(other.result == first.result);
  CHECK(find(history, "p")->epoch == 2 * kStep);
  CHECK(find(history, "p")->session == 8);
  CHECK(fence_of(history, first.result) == 2 * kStep);
}

TEST_CASE("an open that was long under way does not fence one that came later") {
  History history = with_topic();
  // Two opens that nobody answered, asked for when there was no such producer yet.
  const OpenProducerCommand first{1, "p", kSingle, 7, 0}, second{1, "p", kSingle, 8, 0};
  REQUIRE(history.apply(second).status);
  const auto late = history.apply(first);
  CHECK(code_of(late.status) == ErrorCode::kProducerBusy);
  CHECK(find(history, "p")->session == 8);
  CHECK(find(history, "p")->epoch == kStep);
  // The same session again is answered, whatever was known.
  CHECK(history.apply(second).status);
  CHECK(find(history, "p")->epoch == kStep);
  // One that knows of it is a newer one.
  REQUIRE(history.apply(OpenProducerCommand{1, "p", kSingle, 7, kStep}).status);
  CHECK(find(history, "p")->epoch == 2 * kStep);
  // A producer that was deleted meanwhile is not made again.
  REQUIRE(history.apply(DeleteProducerCommand{1, "p", {}}).status);
  const auto of_deleted = history.apply(OpenProducerCommand{1, "p", kSingle, 9, 2 * kStep});
  CHECK(code_of(of_deleted.status) == ErrorCode::kProducerBusy);
  CHECK_FALSE(find(history, "p"));
}

TEST_CASE("each open of a multiple producer has an id of its own and fences nobody") {
  History history = with_topic();
  const auto first = history.apply(OpenProducerCommand{1, "m", kMultiple, 7});
  const auto second = history.apply(OpenProducerCommand{1, "m", kMultiple, 7});
  REQUIRE(first.status);
  REQUIRE(second.status);
  CHECK(first.result != second.result);
  CHECK(history.image().next_producer_id > second.result);
  CHECK(history.image().find_topic(1)->fences.empty());
}

TEST_CASE("create is idempotent, another instance type conflicts, names are checked") {
  History history = with_topic();
  CHECK(history.apply(CreateProducerCommand{1, "p", kSingle}).status);
  const auto id = find(history, "p")->producer_id;
  CHECK(find(history, "p")->epoch == 0);
  CHECK(history.apply(CreateProducerCommand{1, "p", kSingle}).status);
  CHECK(find(history, "p")->producer_id == id);
  for (const Command& command : {Command{CreateProducerCommand{1, "p", kMultiple}},
                                 Command{OpenProducerCommand{1, "p", kMultiple, 1}}}) {
    CHECK(code_of(history.apply(command).status) == ErrorCode::kProducerConflict);
  }
  CHECK(code_of(history.apply(CreateProducerCommand{1, ".p", kSingle}).status) ==
        ErrorCode::kBadName);
  CHECK(code_of(
            history.apply(CreateProducerCommand{1, "x", static_cast<protocol::ProducerInstance>(2)})
                .status) == ErrorCode::kBadArgument);
  CHECK(code_of(history.apply(OpenProducerCommand{9, "x", kSingle, 1}).status) ==
        ErrorCode::kUnknownTopic);
}

TEST_CASE("a deleted producer is fenced for good, and its name begins anew under another id") {
  History history = with_topic();
  const auto single = history.apply(OpenProducerCommand{1, "p", kSingle, 7}).result;
  const auto multiple = history.apply(OpenProducerCommand{1, "m", kMultiple, 7}).result;
  REQUIRE(history.apply(DeleteProducerCommand{1, "p", {}}).status);
  REQUIRE(history.apply(DeleteProducerCommand{1, "m", {multiple}}).status);
  CHECK(history.image().find_topic(1)->producers.empty());
  CHECK(fence_of(history, single) == kFencedForGood);
  CHECK(fence_of(history, multiple) == kFencedForGood);
  CHECK(code_of(history.apply(DeleteProducerCommand{1, "p", {}}).status) ==
        ErrorCode::kUnknownProducer);
  const auto anew = history.apply(OpenProducerCommand{1, "p", kSingle, 7});
  CHECK(anew.result != single);
  CHECK(find(history, "p")->epoch == kStep);
}

TEST_CASE("a topic without named producers has the hash that it had before there were any") {
  History history = with_topic();
  const auto before = hash_content(*history.image().find_topic(1));
  Topic copy = *history.image().find_topic(1);
  CHECK(hash_content(copy) == before);
  copy.fences.put(std::make_shared<const ProducerFence>(ProducerFence{4, 1}));
  CHECK(hash_content(copy) != before);
}

TEST_CASE("opening is resolved: a reconnect writes nothing, creation needs the setting") {
  History history = with_topic();
  REQUIRE(history.apply(OpenProducerCommand{1, "p", kSingle, 7}).status);
  const auto opening = [](const std::string& name, std::uint64_t session) {
    return ProducerOpening{topic_name("t"), {0, name, kSingle, session}};
  };
  const auto same = resolve(history.image(), opening("p", 7));
  REQUIRE(same);
  CHECK_FALSE(same->write);
  CHECK(same->result == find(history, "p")->producer_id);
  CHECK(resolve(history.image(), opening("p", 8))->write);
  CHECK(resolve(history.image(), opening("new", 8))->write);

  Image closed = history.image();
  Topic topic = *closed.find_topic(1);
  topic.effective.producer_auto_create = false;
  const auto changed = std::make_shared<const Topic>(topic);
  closed.topics.put(changed);
  closed.topics_by_id.put(changed);
  const auto refused = resolve(closed, opening("new", 8));
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::kCreationNotAllowed);
  CHECK(resolve(closed, opening("p", 8)));
}

}  // namespace
}  // namespace andyx::server::test
