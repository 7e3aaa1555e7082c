#include <doctest/doctest.h>

#include "protocol/base/limits.h"
#include "server/metadata/effective.h"
#include "server/metadata/snapshot.h"
#include "tests/server/metadata_commands.h"

namespace andyx::server::test {
namespace {

ErrorCode code_of(const Outcome& outcome) {
  return outcome.status ? ErrorCode::kOk : outcome.status.error().code;
}

bool says(const Outcome& outcome, const std::string& text) {
  return !outcome.status && outcome.status.error().message.find(text) != std::string::npos;
}

LevelPath path(const std::string& text) {
  auto parsed = LevelPath::parse(text);
  REQUIRE(parsed);
  return *parsed;
}

Outcome create_topic(History& history, const std::string& topic, std::uint32_t partitions = 1,
                     bool automatic = false) {
  return history.apply(CreateTopicCommand{*TopicName::parse(topic), partitions, 1,
                                          std::vector<NodeId>(partitions, NodeId{1}), automatic});
}

Outcome set(History& history, const std::string& at, const std::string& key,
            const std::string& value) {
  return history.apply(SetSettingsCommand{at, {{key, value}}});
}

std::shared_ptr<const Topic> topic(const History& history, const std::string& name) {
  auto found = history.image().find_topic(*TopicName::parse(name));
  REQUIRE(found);
  return found;
}

// Neither the state nor what topics come to, and a snapshot of it says the same.
void check_unchanged(const Image& before, const Image& after) {
  Image moved_back = after;
  moved_back.position = before.position;
  moved_back.chain_hash = before.chain_hash;
  CHECK(moved_back.hash() == before.hash());
}

TEST_CASE("a path has one to four parts, each a name") {
  CHECK(path("t").level == Level::kTenant);
  CHECK(path("andyx://t/p").level == Level::kProduct);
  CHECK(path("t/p/c/x").level == Level::kTopic);
  CHECK(path("t/p/c").parent() == path("t/p"));
  CHECK(path("t/p").topic_name() == TopicName{"t", "p", "", ""});
  CHECK(path("t/p/c/x").topic_name() == TopicName{"t", "p", "c", "x"});
  for (const char* bad : {"", "/", "t/", "t//c", "a/b/c/d/e", ".t", "t/p p", "andyx://"}) {
    CAPTURE(bad);
    const auto parsed = LevelPath::parse(bad);
    REQUIRE_FALSE(parsed);
    CHECK(parsed.error().code == ErrorCode::kBadName);
  }
  CHECK_FALSE(LevelPath::parse("a/b/c/d", Level::kComponent));
  CHECK_FALSE(LevelPath::parse("a/b", Level::kTenant));
}

TEST_CASE("scopes are made below scopes, once, and go when they are empty") {
  History history = History::with_node();
  CHECK(code_of(history.apply(CreateScopeCommand{"t/p", {}})) == ErrorCode::kUnknownScope);
  CHECK(code_of(history.apply(CreateScopeCommand{"t", "the first"})) == ErrorCode::kOk);
  CHECK(code_of(history.apply(CreateScopeCommand{"t", {}})) == ErrorCode::kScopeExists);
  CHECK(code_of(history.apply(CreateScopeCommand{"t/p", {}})) == ErrorCode::kOk);
  CHECK(code_of(history.apply(CreateScopeCommand{"t/p/c", {}})) == ErrorCode::kOk);
  CHECK(code_of(history.apply(CreateScopeCommand{"t/p/c/x", {}})) == ErrorCode::kBadName);
  const std::string long_text(limits::kMaxDescriptionBytes + 1, 'x');
  CHECK(code_of(history.apply(CreateScopeCommand{"u", long_text})) == ErrorCode::kBadArgument);
  const auto tenant = history.image().scopes.find(path("t"));
  REQUIRE(tenant);
  CHECK(tenant->description == "the first");
  CHECK(tenant->active);
  CHECK(tenant->created_us > 0);
  CHECK(count_children(history.image(), path("t")) == 1);

  REQUIRE(create_topic(history, "t/p/c/x").status);
  for (const char* held : {"t", "t/p", "t/p/c"}) {
    CAPTURE(held);
    const auto before = history.shared();
    CHECK(code_of(history.apply(DeleteScopeCommand{held})) == ErrorCode::kNotEmpty);
    check_unchanged(*before, history.image());
  }
  REQUIRE(history.apply(DeleteTopicCommand{topic(history, "t/p/c/x")->id}).status);
  for (const char* empty : {"t/p/c", "t/p", "t"}) {
    CHECK(code_of(history.apply(DeleteScopeCommand{empty})) == ErrorCode::kOk);
    CHECK(code_of(history.apply(DeleteScopeCommand{empty})) == ErrorCode::kUnknownScope);
  }
  CHECK(history.image().scopes.empty());
}

TEST_CASE("names that begin alike are not taken for what is inside") {
  History history = History::with_node();
  for (const char* name : {"t", "t-1", "t.1", "t1"}) {
    REQUIRE(history.apply(CreateScopeCommand{name, {}}).status);
  }
  for (const char* name : {"t/p", "t-1/p", "t-1/q", "t1/p"}) {
    REQUIRE(history.apply(CreateScopeCommand{name, {}}).status);
  }
  CHECK(count_children(history.image(), path("t")) == 1);
  CHECK(count_children(history.image(), path("t-1")) == 2);
  CHECK(count_children(history.image(), path("t.1")) == 0);
  REQUIRE(create_topic(history, "t/p/c/x").status);
  REQUIRE(create_topic(history, "t-1/p/c/x").status);
  REQUIRE(create_topic(history, "t/p/c1/x").status);
  REQUIRE(set(history, "t/p/c", "dedup-window-ms", "5").status);
  CHECK(topic(history, "t/p/c/x")->effective.dedup_window_ms == 5);
  CHECK(topic(history, "t-1/p/c/x")->effective.dedup_window_ms == 0);
  CHECK(topic(history, "t/p/c1/x")->effective.dedup_window_ms == 0);
}

TEST_CASE("a topic makes its missing levels, where each is allowed to be made") {
  History history = History::with_node();
  REQUIRE(create_topic(history, "t/p/c/x").status);
  CHECK(history.image().scopes.size() == 3);
  const auto refused_by = [&](const std::string& name, bool automatic, const std::string& why) {
    CAPTURE(name);
    const auto before = history.shared();
    const Outcome outcome = create_topic(history, name, 1, automatic);
    CHECK(code_of(outcome) == ErrorCode::kCreationNotAllowed);
    CHECK(says(outcome, why));
    check_unchanged(*before, history.image());
  };
  REQUIRE(set(history, "t", "component-auto-create", "false").status);
  refused_by("t/p/new/x", true, "component-auto-create is false on t");
  refused_by("t/p/new/x", false, "component t/p/new");
  refused_by("t/new/new/x", true, "component t/new/new");  // the product could be made
  REQUIRE(set(history, "t/p", "component-auto-create", "true").status);  // the nearest wins
  CHECK(create_topic(history, "t/p/new/x").status);
  REQUIRE(set(history, "t", "product-auto-create", "false").status);
  refused_by("t/new/c/x", true, "product t/new");
  REQUIRE(set(history, "t/p/c", "topic-auto-create", "false").status);
  refused_by("t/p/c/y", true, "topic-auto-create is false on t/p/c");
  CHECK(create_topic(history, "t/p/c/y").status);  // not by itself, but on request
  CHECK(create_topic(history, "other/p/c/x", 1, true).status);
}

TEST_CASE("settings: the nearest level wins, key by key, and each topic below becomes another") {
  History history = History::with_node();
  REQUIRE(create_topic(history, "t/p/c/x").status);
  REQUIRE(create_topic(history, "t/p/c/y").status);
  REQUIRE(create_topic(history, "u/p/c/x").status);
  const auto other = topic(history, "u/p/c/x");
  const auto first = topic(history, "t/p/c/x");
  CHECK(first->effective == EffectiveSettings{});

  REQUIRE(history
              .apply(SetSettingsCommand{
                  "t", {{"max-message-bytes", "1000"}, {"dedup-window-ms", "60000"}}})
              .status);
  CHECK(topic(history, "t/p/c/x") != first);
  CHECK(topic(history, "t/p/c/x")->effective.max_message_bytes == 1'000);
  CHECK(topic(history, "u/p/c/x") == other);

  REQUIRE(set(history, "t/p/c/x", "max-message-bytes", "500").status);
  REQUIRE(set(history, "t/p", "max-message-bytes", "700").status);
  CHECK(topic(history, "t/p/c/x")->effective.max_message_bytes == 500);
  CHECK(topic(history, "t/p/c/y")->effective.max_message_bytes == 700);
  CHECK(topic(history, "t/p/c/x")->effective.dedup_window_ms == 60'000);
  const auto found = find_setting_value(history.image(), path("t/p/c/y"), "max-message-bytes");
  REQUIRE(found);
  CHECK(found->origin == "t/p");

  REQUIRE(set(history, "t/p/c/x", "max-message-bytes", "").status);  // removed
  CHECK(topic(history, "t/p/c/x")->effective.max_message_bytes == 700);
  CHECK(topic(history, "t/p/c/x")->own == OwnSettings{});
  REQUIRE(set(history, "t/p/c", "IsSubscriptionAutomaticCreationAllowed", "False").status);
  CHECK_FALSE(topic(history, "t/p/c/x")->effective.subscription_auto_create);
  CHECK(topic(history, "t/p/c/x")->effective.producer_auto_create);
  REQUIRE(create_topic(history, "t/p/c/late").status);  // created below what is set
  CHECK(topic(history, "t/p/c/late")->effective == topic(history, "t/p/c/x")->effective);
  CHECK(topic(history, "t/p/c/x") ==
        history.image().find_topic(topic(history, "t/p/c/x")->id));  // in both indexes
}

TEST_CASE("settings that are wrong change nothing, not even the right ones beside them") {
  History history = History::with_node();
  REQUIRE(create_topic(history, "t/p/c/x").status);
  const auto refused_with = [&](const std::string& at, const std::string& key,
                                const std::string& value, const std::string& why) {
    CAPTURE(at);
    CAPTURE(key);
    CAPTURE(value);
    const auto before = history.shared();
    const Outcome outcome =
        history.apply(SetSettingsCommand{at, {{"dedup-window-ms", "7"}, {key, value}}});
    CHECK(code_of(outcome) == ErrorCode::kBadArgument);
    CHECK_MESSAGE(says(outcome, why), (outcome.status ? "" : outcome.status.error().message));
    check_unchanged(*before, history.image());
  };
  refused_with("t", "nonsense", "1", "possible on a tenant: product-auto-create, ");
  refused_with("t", "", "1", "there is no setting ''");
  refused_with("t/p/c/x", "topic-auto-create", "true", "possible on a topic: default-partitions");
  refused_with("t/p", "product-auto-create", "true", "but on a tenant or above");
  refused_with("t", "product-auto-create", "maybe", "true or false");
  refused_with("t", "default-partitions", "0", "from 1 to 10000");
  refused_with("t", "default-partitions", "10001", "from 1 to 10000");
  refused_with("t", "default-partitions", "1x", "from 1 to 10000");
  refused_with("t", "max-message-bytes", "8388609", "8388608");
  refused_with("t", "dedup-window-ms", "600001", "600000");
  refused_with("t", "encryption", "true", "false");
  refused_with("t/p/c", "EnforceSchemaValidation", "true", "this version");
  CHECK(set(history, "t", "encryption", "false").status);
  CHECK(code_of(set(history, "none", "encryption", "false")) == ErrorCode::kUnknownScope);
  CHECK(code_of(set(history, "t/p/c/none", "dedup-window-ms", "1")) == ErrorCode::kUnknownTopic);
  CHECK(code_of(set(history, "t//", "dedup-window-ms", "1")) == ErrorCode::kBadName);
}

TEST_CASE("what is shown names where each value comes from") {
  History history = History::with_node();
  REQUIRE(create_topic(history, "t/p/c/x").status);
  REQUIRE(set(history, "t", "dedup-window-ms", "9").status);
  bool seen = false;
  for (const ShownSetting& shown : shown_settings(history.image(), path("t/p/c/x"))) {
    CHECK(shown.key != "product-auto-create");  // means nothing to a topic
    if (shown.key != "dedup-window-ms") continue;
    seen = true;
    CHECK(shown.value == "9");
    CHECK(shown.origin == "t");
  }
  CHECK(seen);
  CHECK(shown_settings(history.image(), path("t")).front().key == "product-auto-create");
}

TEST_CASE("retention: the nearest policy stands as a whole") {
  History history = History::with_node();
  REQUIRE(create_topic(history, "t/p/c/x").status);
  REQUIRE(create_topic(history, "t/q/c/x").status);
  CHECK(topic(history, "t/p/c/x")->effective.retention == RetentionPolicy{});
  CHECK_FALSE(find_retention(history.image(), path("t/p/c/x")));
  const RetentionPolicy wide{1'000, 5'000, 1 << 20}, narrow{.hard_ms = 60};
  REQUIRE(history.apply(SetRetentionCommand{"t", wide}).status);
  REQUIRE(history.apply(SetRetentionCommand{"t/p", narrow}).status);
  CHECK(topic(history, "t/q/c/x")->effective.retention == wide);
  CHECK(topic(history, "t/p/c/x")->effective.retention == narrow);  // soft and size not from t
  CHECK(find_retention(history.image(), path("t/p/c/x"))->origin == "t/p");
  CHECK(find_retention(history.image(), path("t/q/c"))->origin == "t");
  REQUIRE(history.apply(SetRetentionCommand{"t/p", std::nullopt}).status);
  CHECK(topic(history, "t/p/c/x")->effective.retention == wide);
  REQUIRE(history.apply(SetRetentionCommand{"t/p/c/x", RetentionPolicy{.soft_ms = 1}}).status);
  CHECK(topic(history, "t/p/c/x")->effective.retention == RetentionPolicy{.soft_ms = 1});
}

TEST_CASE("a retention policy that cannot be is refused") {
  History history = History::with_node();
  REQUIRE(create_topic(history, "t/p/c/x").status);
  const auto before = history.shared();
  for (const RetentionPolicy& bad :
       {RetentionPolicy{2'000, 1'000, -1}, RetentionPolicy{}, RetentionPolicy{-5, -1, -9},
        RetentionPolicy{.soft_ms = 0}, RetentionPolicy{.hard_ms = limits::kMaxRetentionMs + 1},
        RetentionPolicy{.size_bytes = limits::kMaxRetentionBytes + 1}}) {
    CAPTURE(bad.soft_ms);
    CAPTURE(bad.hard_ms);
    CHECK(code_of(history.apply(SetRetentionCommand{"t", bad})) == ErrorCode::kBadArgument);
  }
  check_unchanged(*before, [&] {
    Image image = history.image();
    image.position = before->position;
    return image;
  }());
  CHECK(code_of(history.apply(SetRetentionCommand{"u", RetentionPolicy{.soft_ms = 1}})) ==
        ErrorCode::kUnknownScope);
  CHECK(history.apply(SetRetentionCommand{"t", RetentionPolicy{1'000, 1'000, -7}}).status);
  CHECK(topic(history, "t/p/c/x")->effective.retention == RetentionPolicy{1'000, 1'000, kNotSet});
}

TEST_CASE("a deactivated tenant: its topics say so, none is created, nothing is lost") {
  History history = History::with_node();
  REQUIRE(create_topic(history, "t/p/c/x").status);
  REQUIRE(create_topic(history, "u/p/c/x").status);
  REQUIRE(history.apply(ActivateTenantCommand{"t", false}).status);
  CHECK_FALSE(topic(history, "t/p/c/x")->effective.tenant_active);
  CHECK(topic(history, "u/p/c/x")->effective.tenant_active);
  CHECK(code_of(create_topic(history, "t/p/c/y")) == ErrorCode::kTenantInactive);
  CHECK(code_of(create_topic(history, "t/new/c/y", 1, true)) == ErrorCode::kTenantInactive);
  const auto before = topic(history, "t/p/c/x");
  REQUIRE(history.apply(ActivateTenantCommand{"t", false}).status);  // again
  CHECK(topic(history, "t/p/c/x") == before);
  REQUIRE(history.apply(ActivateTenantCommand{"t", true}).status);
  CHECK(topic(history, "t/p/c/x")->effective == EffectiveSettings{});
  CHECK(create_topic(history, "t/p/c/y").status);
  CHECK(code_of(history.apply(ActivateTenantCommand{"none", false})) == ErrorCode::kUnknownScope);
  CHECK(code_of(history.apply(ActivateTenantCommand{"t/p", false})) == ErrorCode::kBadName);
}

TEST_CASE("added partitions follow the old ones, and subscriptions remember where these end") {
  History history = History::with_node();
  REQUIRE(create_topic(history, "t/p/c/x", 2).status);
  REQUIRE(create_topic(history, "t/p/c/y", 2).status);
  const TopicId id = topic(history, "t/p/c/x")->id;
  REQUIRE(history.create_subscription(id, "early").status);
  REQUIRE(history.apply(AlterTopicCommand{id, 1, {1, 1, 1}}).status);
  REQUIRE(history.create_subscription(id, "late").status);
  const auto grown = topic(history, "t/p/c/x");
  REQUIRE(grown->partitions().size() == 5);
  for (std::uint32_t i = 0; i < 5; ++i) CHECK(grown->partitions()[i].index == i);
  CHECK(grown->partitions()[2].partition_id == 5);
  CHECK(grown->partitions()[4].main == 1);
  CHECK(history.image().partition_count == 7);
  CHECK(history.image().next_partition_id == 8);
  CHECK(grown->subscriptions.find(std::string_view("early"))->initial_partitions == 2);
  CHECK(grown->subscriptions.find(std::string_view("late"))->initial_partitions == 5);

  const auto before = history.shared();
  CHECK(code_of(history.apply(AlterTopicCommand{id, 1, {}})) == ErrorCode::kBadArgument);
  check_unchanged(*before, history.image());
  CHECK(code_of(history.apply(AlterTopicCommand{id, 0, {1}})) == ErrorCode::kBadArgument);
  CHECK(code_of(history.apply(AlterTopicCommand{id, 1, {3}})) == ErrorCode::kBadArgument);
  CHECK(code_of(history.apply(AlterTopicCommand{99, 1, {1}})) == ErrorCode::kUnknownTopic);
  CHECK(code_of(history.apply(AlterTopicCommand{
            id, 1, std::vector<NodeId>(limits::kMaxPartitionsPerTopic, NodeId{1})})) ==
        ErrorCode::kBadArgument);
}

TEST_CASE("a snapshot gives back scopes, settings, retention, and what topics come to") {
  History history = History::with_node();
  REQUIRE(history.apply(CreateScopeCommand{"t", "what it is for"}).status);
  REQUIRE(create_topic(history, "t/p/c/x", 2).status);
  const TopicId id = topic(history, "t/p/c/x")->id;
  REQUIRE(history.create_subscription(id, "s").status);
  REQUIRE(history.apply(AlterTopicCommand{id, 1, {1}}).status);
  REQUIRE(set(history, "t/p", "dedup-window-ms", "9").status);
  REQUIRE(set(history, "t/p/c/x", "max-message-bytes", "99").status);
  REQUIRE(history.apply(SetRetentionCommand{"t/p/c", RetentionPolicy{1, 2, 3}}).status);
  REQUIRE(history.apply(ActivateTenantCommand{"t", false}).status);
  const auto restored = decode_snapshot(encode_snapshot(history.image()));
  REQUIRE(restored);
  const Image& image = **restored;
  CHECK(image.hash() == history.image().hash());
  for (const Scope& scope : history.image().scopes) {
    const auto same = image.scopes.find(scope.where);
    REQUIRE(same);
    CHECK(same->description == scope.description);
    CHECK(same->active == scope.active);
    CHECK(same->created_us == scope.created_us);
    CHECK(same->own == scope.own);
  }
  const auto before = topic(history, "t/p/c/x"), after = image.find_topic(id);
  REQUIRE(after);
  CHECK(after->own == before->own);
  CHECK(after->effective == before->effective);
  CHECK(after->subscriptions.find(std::string_view("s"))->initial_partitions == 2);
}

TEST_CASE("one change of a tenant reaches a thousand topics, in both indexes") {
  History history = History::with_node();
  for (int i = 0; i < 1'000; ++i) {
    const std::string tenant = i % 4 == 0 ? "other" : "t";
    REQUIRE(create_topic(history, tenant + "/p/c/x" + std::to_string(i * 37 % 1'000)).status);
  }
  REQUIRE(create_topic(history, "other/p/lone/x").status);
  REQUIRE(history.apply(SetRetentionCommand{"other/p/lone", RetentionPolicy{.hard_ms = 9}}).status);
  const auto lone = topic(history, "other/p/lone/x");  // few among many go another way
  CHECK(lone->effective.retention.hard_ms == 9);
  CHECK(lone == history.image().find_topic(lone->id));
  REQUIRE(history.apply(SetRetentionCommand{"t", RetentionPolicy{.hard_ms = 5}}).status);
  std::size_t reached = 0;
  for (const Topic& one : history.image().topics) {
    CHECK((one.effective.retention.hard_ms == 5) == (one.name.tenant == "t"));
    CHECK(history.image().find_topic(one.id).get() == &one);
    reached += one.name.tenant == "t";
  }
  CHECK(reached == 750);
  const auto restored = decode_snapshot(encode_snapshot(history.image()));
  REQUIRE(restored);
  CHECK((*restored)->hash() == history.image().hash());
}

}  // namespace
}  // namespace andyx::server::test
