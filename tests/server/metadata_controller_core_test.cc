#include <doctest/doctest.h>

#include <map>

#include "server/metadata/controller_core.h"
#include "server/metadata/memory_metadata_log.h"
#include "server/metadata/snapshot.h"
#include "tests/server/metadata_commands.h"

namespace andyx::server::test {
namespace {

using Fault = MemoryMetadataStore::Fault;

// Runs a core against the log in memory, whose calls answer at once; appends can be held back.
class Driver {
 public:
  explicit Driver(std::shared_ptr<MemoryMetadataStore> store,
                  ControllerCoreOptions options = kLarge)
      : store_(std::move(store)), log_(open_memory_metadata_log(store_)), core_(options) {}

  static constexpr ControllerCoreOptions kLarge{1'000, 1'000'000, 1'000'000'000};

  void start() {
    log_->on_leader([this](LogLeader leader) { core_.on_leader(leader); });
    core_.start();
    propose(BootstrapCommand{{7, 7}});
    propose(RegisterNodeCommand{1, {1, 1}, ++incarnation_, "localhost", 6540});
  }

  std::uint64_t propose(Wish wish, ControllerEpoch decided_in = 0) {
    const std::uint64_t ticket = ++ticket_;
    core_.propose(
        {ticket, {core_id_, ticket}, static_cast<TimeUs>(ticket), std::move(wish), decided_in});
    act();
    return ticket;
  }
  void stop() {
    core_.stop();
    act();
  }
  void give_up() {
    core_.give_up({ErrorCode::kCorrupt, "told so"});
    act();
  }

  void hold_appends() { holding_ = true; }
  void release() {
    holding_ = false;
    if (held_) append(*std::exchange(held_, std::nullopt));
    act();
  }

  bool answered(std::uint64_t ticket) const { return answers_.contains(ticket); }
  const ControllerCompletion& answer(std::uint64_t ticket) const {
    REQUIRE(answers_.contains(ticket));
    return answers_.at(ticket);
  }
  ErrorCode code(std::uint64_t ticket) const {
    return answer(ticket).status ? ErrorCode::kOk : answer(ticket).status.error().code;
  }

  const Image& image() const { return *core_.image(); }
  MemoryMetadataStore& store() { return *store_; }
  // The node may lead no more, or again; `lead` false: node 9 does.
  void lead(bool here) {
    core_.on_leader(here ? LogLeader{.here = true, .node = 1} : LogLeader{.node = 9});
    act();
  }
  void hint() {
    core_.on_hint(store_->end());
    act();
  }
  ControllerCore& core() { return core_; }

  std::optional<Error> failed;
  std::vector<Proposal> handed_on;
  std::vector<bool> roles;
  bool stopped = false;
  int publications = 0;

 private:
  void append(ControllerAppend request) {
    log_->append(request.expected, request.epoch, std::move(request.entries),
                 [this](const AppendResult& result) { core_.on_append(result); });
  }

  void act() {
    for (int turns = 0;; ++turns) {
      REQUIRE(turns < 10'000);
      ControllerActions actions = core_.take_actions();
      if (actions.publish) ++publications;
      for (auto& completion : actions.completions) {
        const auto ticket = completion.ticket;
        CHECK(answers_.emplace(ticket, std::move(completion)).second);
      }
      for (auto& proposal : actions.hand_on) handed_on.push_back(std::move(proposal));
      if (actions.role) roles.push_back(*actions.role);
      if (actions.failed) failed = actions.failed;
      stopped |= actions.stopped;
      if (!ask_log(actions)) return;
    }
  }

  // False when nothing was asked.
  bool ask_log(ControllerActions& actions) {
    bool asked = false;
    if (actions.wake) {
      asked = true;
      core_.on_wake();
    }
    if (actions.campaign) {
      asked = true;
      log_->campaign(1, 1'000, [this](auto r) { core_.on_campaign(r); });
    }
    if (actions.get_snapshot) {
      asked = true;
      log_->get_snapshot([this](auto r) { core_.on_get_snapshot(std::move(r)); });
    }
    if (actions.tail) {
      asked = true;
      log_->tail([this](auto r) { core_.on_tail(r); });
    }
    if (actions.read) {
      asked = true;
      log_->read(*actions.read, 1'000, [this](auto r) { core_.on_read(std::move(r)); });
    }
    if (actions.append && holding_) {
      CHECK_FALSE(held_);
      held_ = std::move(*actions.append);
    } else if (actions.append) {
      asked = true;
      append(std::move(*actions.append));
    }
    if (actions.trim) log_->trim(*actions.trim, [](const Status& status) { CHECK(status); });
    if (actions.put_snapshot) {
      asked = true;
      const Position position = actions.put_snapshot->position;
      log_->put_snapshot({position, encode_snapshot(*actions.put_snapshot)},
                         [&](const Status& status) { core_.on_put_snapshot(position, status); });
    }
    return asked;
  }

  static inline std::uint64_t next_core_id_ = 0;
  static inline std::uint64_t incarnation_ = 0;
  const std::uint64_t core_id_ = ++next_core_id_;
  std::shared_ptr<MemoryMetadataStore> store_;
  std::unique_ptr<MetadataLog> log_;
  ControllerCore core_;
  std::uint64_t ticket_ = 0;
  std::map<std::uint64_t, ControllerCompletion> answers_;
  bool holding_ = false;
  std::optional<ControllerAppend> held_;
};

Wish topic(const std::string& name, IfExists if_exists = IfExists::kRefuse) {
  return TopicProposal{topic_name(name), 2, if_exists};
}
Wish subscription(const std::string& of, IfExists if_exists = IfExists::kRefuse) {
  return SubscriptionProposal{topic_name(of), {0, "s", {}, {}, {}, 0}, if_exists};
}

struct Fixture {
  std::shared_ptr<MemoryMetadataStore> store = std::make_shared<MemoryMetadataStore>();
  Driver driver{store};
  Fixture() { driver.start(); }
};

TEST_CASE_FIXTURE(Fixture, "an empty log is bootstrapped once, and the node registered") {
  CHECK(driver.image().cluster_id == Uuid{7, 7});
  CHECK(driver.image().find_node(1));
  CHECK(store->entries.size() == 2);
  Driver again(store);
  again.start();
  CHECK(again.image().position == 3);  // only the new incarnation
  CHECK(again.code(1) == ErrorCode::kOk);
  CHECK(again.code(2) == ErrorCode::kOk);
}

TEST_CASE_FIXTURE(Fixture, "what is proposed during an append goes into one next append") {
  driver.hold_appends();
  const auto first = driver.propose(topic("first"));
  std::vector<std::uint64_t> tickets;
  for (int i = 0; i < 100; ++i) tickets.push_back(driver.propose(topic("t" + std::to_string(i))));
  CHECK_FALSE(driver.answered(first));
  const auto appends = store->appends;
  const int publications = driver.publications;
  driver.release();
  CHECK(store->appends == appends + 2);
  CHECK(driver.publications <= publications + 2);
  CHECK(driver.code(first) == ErrorCode::kOk);
  for (const auto ticket : tickets) {
    REQUIRE(driver.code(ticket) == ErrorCode::kOk);
    const auto& answer = driver.answer(ticket);
    CHECK(answer.image->find_topic(static_cast<TopicId>(answer.result)));
  }
  CHECK(driver.image().topics.size() == 101);
}

TEST_CASE_FIXTURE(Fixture, "refused proposals never enter the log") {
  const auto before = store->entries.size();
  CHECK(driver.code(driver.propose(topic(".bad"))) == ErrorCode::kBadName);
  CHECK(driver.code(driver.propose(TopicDeletion{topic_name("none")})) == ErrorCode::kUnknownTopic);
  CHECK(driver.code(driver.propose(subscription("none"))) == ErrorCode::kUnknownTopic);
  CHECK(driver.code(driver.propose(TopicProposal{topic_name("t"), 0, IfExists::kRefuse})) ==
        ErrorCode::kBadArgument);
  CHECK(driver.code(driver.propose(TopicProposal{topic_name("t"), ~0u, IfExists::kRefuse})) ==
        ErrorCode::kBadArgument);
  CHECK(store->entries.size() == before);
}

TEST_CASE_FIXTURE(Fixture, "ensure answers what is there, create refuses it") {
  const auto created = driver.propose(topic("t", IfExists::kAnswer));
  REQUIRE(driver.code(created) == ErrorCode::kOk);
  const auto before = store->entries.size();
  const auto ensured = driver.propose(topic("t", IfExists::kAnswer));
  CHECK(driver.code(ensured) == ErrorCode::kOk);
  CHECK(driver.answer(ensured).result == driver.answer(created).result);
  CHECK(driver.code(driver.propose(topic("t"))) == ErrorCode::kTopicExists);
  CHECK(store->entries.size() == before);

  const auto subscribed = driver.propose(subscription("t"));
  CHECK(driver.code(subscribed) == ErrorCode::kOk);
  CHECK(driver.answer(driver.propose(subscription("t", IfExists::kAnswer))).result ==
        driver.answer(subscribed).result);
  CHECK(driver.code(driver.propose(subscription("t"))) == ErrorCode::kSubscriptionExists);
  auto other = SubscriptionProposal{topic_name("t"), {}, IfExists::kAnswer};
  other.command.name = "s";
  other.command.mode = protocol::SubscriptionMode::nonresilient;
  CHECK(driver.code(driver.propose(other)) == ErrorCode::kSubscriptionConflict);
}

TEST_CASE_FIXTURE(Fixture, "an answer that rests on entries not yet durable waits for them") {
  driver.hold_appends();
  driver.propose(topic("other"));
  const auto created = driver.propose(topic("t"));
  const auto twice = driver.propose(topic("t"));
  const auto ensured = driver.propose(topic("t", IfExists::kAnswer));
  CHECK_FALSE(driver.answered(twice));
  driver.release();
  CHECK(driver.code(created) == ErrorCode::kOk);
  CHECK(driver.code(twice) == ErrorCode::kTopicExists);
  CHECK(driver.answer(ensured).result == driver.answer(created).result);
}

TEST_CASE_FIXTURE(Fixture, "after an indeterminate append that was written nothing happens twice") {
  const auto written_once = [&](Wish wish) {
    const Position before = store->end();
    store->next_append = Fault::kIndeterminateWritten;
    const auto ticket = driver.propose(std::move(wish));
    CHECK(driver.code(ticket) == ErrorCode::kOk);
    CHECK(store->end() == before + 1);
    CHECK(driver.image().position == store->end());
    return driver.answer(ticket).result;
  };
  CHECK(written_once(ReserveProducerIdsCommand{10}) == 1);
  CHECK(driver.image().next_producer_id == 11);
  const auto created = written_once(topic("t"));
  CHECK(driver.image().find_topic(static_cast<TopicId>(created)));
  written_once(TopicDeletion{topic_name("t")});
  CHECK(driver.image().topics.empty());
}

TEST_CASE_FIXTURE(Fixture, "after an indeterminate append that was lost it is proposed again") {
  store->next_append = Fault::kIndeterminateLost;
  const auto created = driver.propose(topic("t"));
  CHECK(driver.code(created) == ErrorCode::kOk);
  CHECK(driver.image().topics.size() == 1);
  CHECK(driver.image().position == store->end());
}

TEST_CASE_FIXTURE(Fixture, "an append that was not applied fails its proposals and no others") {
  store->next_append = Fault::kNotApplied;
  const auto failing = driver.propose(topic("t"));
  CHECK(driver.code(failing) == ErrorCode::kDiskFull);
  CHECK(driver.image().topics.empty());
  CHECK(driver.code(driver.propose(topic("t"))) == ErrorCode::kOk);
}

TEST_CASE_FIXTURE(Fixture, "entries of somebody else are applied first, then the proposal again") {
  // Under the same epoch, as after a lost answer.
  const auto reserve =
      encode_entry({{55, 55}, driver.image().cluster_id, 0, driver.image().chain_hash},
                   ReserveProducerIdsCommand{5});
  store->entries.push_back(reserve);
  const auto ids = driver.propose(ReserveProducerIdsCommand{1});
  CHECK(driver.code(ids) == ErrorCode::kOk);
  CHECK(driver.answer(ids).result == 6);
  CHECK(driver.image().position == store->end());
}

TEST_CASE_FIXTURE(Fixture, "a controller that was fenced, but may lead, takes over again") {
  Driver other(store);
  other.start();
  REQUIRE(other.code(other.propose(topic("theirs"))) == ErrorCode::kOk);
  const auto ticket = driver.propose(topic("t"));
  CHECK(driver.code(ticket) == ErrorCode::kOk);
  CHECK_FALSE(driver.failed);
  CHECK(driver.roles == std::vector{true, false, true});
  CHECK(driver.image().find_topic(topic_name("theirs")));
  CHECK(other.image().position < driver.image().position);
}

TEST_CASE_FIXTURE(Fixture, "what a controller decided is carried out under its own epoch only") {
  const ControllerEpoch epoch = driver.core().epoch();
  CHECK(driver.code(driver.propose(topic("at-once"), epoch)) == ErrorCode::kOk);
  driver.hold_appends();
  driver.propose(topic("flying"));
  const auto waiting = driver.propose(topic("decided"), epoch);

  SUBCASE("not by who leads next") {
    driver.lead(false);
    CHECK(driver.code(waiting) == ErrorCode::kNotController);
    CHECK(driver.handed_on.empty());
    // As late: nobody leads here.
    CHECK(driver.code(driver.propose(topic("late"), epoch)) == ErrorCode::kNotController);
    CHECK(driver.handed_on.empty());
  }
  SUBCASE("not by itself, once another one led meanwhile") {
    Driver other(store);
    other.start();
    driver.release();
    CHECK(driver.core().epoch() > epoch);
    CHECK(driver.code(waiting) == ErrorCode::kNotController);
    CHECK_FALSE(driver.image().find_topic(topic_name("decided")));
    CHECK(driver.code(driver.propose(topic("late"), epoch)) == ErrorCode::kNotController);
    CHECK(driver.code(driver.propose(topic("new"), driver.core().epoch())) == ErrorCode::kOk);
  }
}

TEST_CASE_FIXTURE(Fixture, "who may lead no more hands on what it was asked, and follows") {
  driver.hold_appends();
  const auto flying = driver.propose(topic("flying"));
  const auto waiting = driver.propose(topic("waiting"));
  driver.lead(false);
  CHECK(driver.roles == std::vector{true, false});
  CHECK_FALSE(driver.core().leading());
  REQUIRE(driver.handed_on.size() == 1);
  CHECK(driver.handed_on[0].ticket == waiting);

  SUBCASE("and the append in flight was the last that counted") {
    driver.release();
    CHECK(driver.code(flying) == ErrorCode::kOk);
    CHECK(driver.handed_on.size() == 1);
  }
  SUBCASE("and the append in flight came too late") {
    Driver other(store);
    other.start();
    driver.release();
    CHECK_FALSE(driver.answered(flying));
    REQUIRE(driver.handed_on.size() == 2);
    CHECK(driver.handed_on[1].ticket == flying);
    REQUIRE(other.code(other.propose(topic("theirs"))) == ErrorCode::kOk);
    driver.hint();
    CHECK(driver.image().hash() == other.image().hash());
  }
  SUBCASE("and the outcome of the append in flight is not known") {
    store->next_append = Fault::kIndeterminateWritten;
    driver.release();
    REQUIRE(driver.handed_on.size() == 2);
    CHECK(driver.handed_on[1].ticket == flying);
    driver.hint();
    CHECK(driver.image().find_topic(topic_name("flying")));
    driver.lead(true);
    // Under its command id it is done already.
    driver.core().propose(driver.handed_on[1]);
    driver.release();
    CHECK(driver.code(flying) == ErrorCode::kOk);
  }
  CHECK_FALSE(driver.failed);
}

TEST_CASE_FIXTURE(Fixture, "a node that does not lead follows: image by image, hash by hash") {
  Driver follower(store, {1'000, 10, 1'000'000});
  follower.core().start();
  follower.lead(false);
  CHECK(follower.image().hash() == driver.image().hash());
  CHECK(follower.roles.empty());
  const int publications = follower.publications;
  for (int i = 0; i < 30; ++i) {
    REQUIRE(driver.code(driver.propose(topic("t" + std::to_string(i)))) == ErrorCode::kOk);
    follower.hint();
    CHECK(follower.image().hash() == driver.image().hash());
  }
  CHECK(follower.publications == publications + 30);
  CHECK(store->snapshot);  // it takes its own
  CHECK(follower.core().epoch() == 0);

  SUBCASE("and leads when it may") {
    follower.lead(true);
    CHECK(follower.roles == std::vector{true});
    CHECK(follower.code(follower.propose(topic("mine"))) == ErrorCode::kOk);
  }
  SUBCASE("a chain that does not continue its own stops it") {
    store->entries.push_back(
        encode_entry({{5, 5}, driver.image().cluster_id, 0, 1}, ReserveProducerIdsCommand{1}));
    follower.hint();
    REQUIRE(follower.failed);
    CHECK(follower.failed->code == ErrorCode::kCorrupt);
  }
  SUBCASE("an entry of another cluster stops it") {
    store->entries.push_back(
        encode_entry({{5, 5}, {6, 6}, 0, driver.image().chain_hash}, ReserveProducerIdsCommand{1}));
    follower.hint();
    REQUIRE(follower.failed);
    CHECK(follower.failed->code == ErrorCode::kWrongCluster);
  }
}

TEST_CASE_FIXTURE(Fixture, "a follower that is behind the trimmed log loads the snapshot") {
  Driver follower(store);
  follower.core().start();
  follower.lead(false);
  const Position seen = follower.image().position;
  for (int i = 0; i < 10; ++i) driver.propose(topic("t" + std::to_string(i)));
  {
    const std::lock_guard lock(store->mutex);
    store->snapshot = ImageSnapshotBytes{driver.image().position, encode_snapshot(driver.image())};
    store->entries.clear();
    store->start = driver.image().position;
  }
  SUBCASE("which is further than it is") {
    follower.hint();
    CHECK_FALSE(follower.failed);
    CHECK(follower.image().hash() == driver.image().hash());
  }
  SUBCASE("and stops when that is not further than it is") {
    store->snapshot->position = seen;
    follower.hint();
    REQUIRE(follower.failed);
    CHECK(follower.failed->code == ErrorCode::kDataLoss);
  }
}

TEST_CASE_FIXTURE(Fixture, "an append that is refused because another node leads is handed on") {
  driver.hold_appends();
  const auto ticket = driver.propose(topic("t"));
  driver.core().on_append({AppendOutcome::kNotApplied, 0, {ErrorCode::kNotController, "", 9}});
  driver.lead(false);
  CHECK_FALSE(driver.answered(ticket));
  REQUIRE(driver.handed_on.size() == 1);
  CHECK(driver.handed_on[0].ticket == ticket);
  driver.propose(topic("u"));
  CHECK(driver.handed_on.size() == 2);
}

TEST_CASE_FIXTURE(Fixture,
                  "a log that went back, or changed at a known position, stops the controller") {
  SUBCASE("shorter") {
    store->entries.pop_back();
    driver.propose(topic("t"));
    REQUIRE(driver.failed);
    CHECK(driver.failed->code == ErrorCode::kDataLoss);
  }
  SUBCASE("another hash") {
    store->entries.push_back(
        encode_entry({{5, 5}, driver.image().cluster_id, 0, 1}, ReserveProducerIdsCommand{1}));
    driver.propose(topic("t"));
    REQUIRE(driver.failed);
    CHECK(driver.failed->code == ErrorCode::kCorrupt);
  }
  SUBCASE("changed while it was away") {
    store->entries.front() = store->entries.back();
    Driver again(store);
    again.start();
    REQUIRE(again.failed);
    CHECK(again.failed->code == ErrorCode::kCorrupt);
    CHECK(again.code(2) == ErrorCode::kCorrupt);
  }
}

TEST_CASE("proposals over the bound are refused as overloaded, and the others are carried out") {
  Driver driver(std::make_shared<MemoryMetadataStore>(), {5, 1'000, 1'000'000});
  driver.start();
  driver.hold_appends();
  std::vector<std::uint64_t> tickets;
  for (int i = 0; i < 7; ++i) tickets.push_back(driver.propose(topic("t" + std::to_string(i))));
  CHECK(driver.code(tickets[5]) == ErrorCode::kOverloaded);
  CHECK(driver.code(tickets[6]) == ErrorCode::kOverloaded);
  driver.release();
  for (int i = 0; i < 5; ++i)
    CHECK(driver.code(tickets[static_cast<std::size_t>(i)]) == ErrorCode::kOk);
}

TEST_CASE_FIXTURE(Fixture, "stopping waits for the append in flight and refuses the rest") {
  driver.hold_appends();
  const auto flying = driver.propose(topic("flying"));
  const auto waiting = driver.propose(topic("waiting"));
  driver.stop();
  CHECK(driver.code(waiting) == ErrorCode::kShuttingDown);
  CHECK_FALSE(driver.stopped);
  driver.release();
  CHECK(driver.code(flying) == ErrorCode::kOk);
  CHECK(driver.stopped);
  CHECK(driver.code(driver.propose(topic("late"))) == ErrorCode::kShuttingDown);
}

TEST_CASE_FIXTURE(Fixture, "who gives up leads no more, publishes nothing and still stops") {
  driver.hold_appends();
  const auto flying = driver.propose(topic("flying"));
  const auto waiting = driver.propose(topic("waiting"));
  const Position position = driver.image().position;
  driver.give_up();
  CHECK(driver.failed);
  CHECK(driver.code(flying) == ErrorCode::kCorrupt);
  CHECK(driver.code(waiting) == ErrorCode::kCorrupt);
  driver.release();
  CHECK(driver.image().position == position);
  CHECK(driver.code(driver.propose(topic("late"))) == ErrorCode::kCorrupt);
  driver.give_up();
  driver.stop();
  CHECK(driver.stopped);
}

TEST_CASE("a snapshot is taken every so often, the log trimmed, and a restart begins with it") {
  const auto store = std::make_shared<MemoryMetadataStore>();
  std::uint64_t hash = 0;
  {
    Driver driver(store, {100, 10, 1'000'000});
    driver.start();
    for (int i = 0; i < 35; ++i) driver.propose(topic("t" + std::to_string(i)));
    CHECK(store->start > 0);
    CHECK(store->entries.size() < 11);
    REQUIRE(store->snapshot);
    CHECK(store->snapshot->position >= store->start);
    hash = driver.image().hash();
  }
  Driver again(store, {100, 10, 1'000'000});
  again.start();
  CHECK_FALSE(again.failed);
  CHECK(again.image().topics.size() == 35);
  CHECK(again.code(again.propose(topic("t3"))) == ErrorCode::kTopicExists);
  CHECK(hash != again.image().hash());  // the new incarnation is in it
}

}  // namespace
}  // namespace andyx::server::test
