// Lists that are longer than one answer takes.
#include <doctest/doctest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "andyx/client.h"
#include "tests/integration/support/cli.h"
#include "tests/integration/support/raw_connection.h"

namespace andyx::test {
namespace {

// Sends so many requests without waiting for each answer; REQUIREs that none is an error.
template <typename Table>
void request_all(RawConnection& connection, std::uint32_t count,
                 const std::function<flatbuffers::Offset<Table>(Builder&, std::uint32_t)>& fill) {
  constexpr std::uint32_t kInFlight = 500;
  const auto receive = [&] {
    const auto answer = connection.receive();
    REQUIRE(answer.has_value());
    REQUIRE(answer->as<protocol::ErrorReply>() == nullptr);
  };
  for (std::uint32_t i = 0; i < count; ++i) {
    REQUIRE(connection.send(make_frame<Table>(connection.next_id(),
                                              [&](Builder& builder) { return fill(builder, i); })));
    if (i >= kInFlight) receive();
  }
  for (std::uint32_t i = 0; i < std::min(count, kInFlight); ++i) receive();
}

Result<client::Client> connect_client() {
  return client::Client::connect({.servers = {shared_server().address()}});
}

TEST_CASE("25,000 partitions: topic list and metadata come in several answers") {
  const Cli cli(shared_server());
  std::set<std::string> made;
  for (const char* name : {"wide-a", "wide-b", "wide-c"}) {
    cli.ok({"topic", "create", name, "--partitions", name[5] == 'c' ? "5000" : "10000"});
    made.insert(std::string("default/default/default/") + name);
  }
  auto connected = connect_client();
  REQUIRE(connected.has_value());
  const auto topics = connected->admin().list_topics("default/default/default/wide-");
  REQUIRE_MESSAGE(topics.has_value(), topics.error().message);
  std::set<std::string> listed;
  std::size_t partitions = 0;
  for (const auto& topic : *topics) {
    listed.insert(topic.topic);
    partitions += topic.partitions.size();
  }
  CHECK(topics->size() == 3);
  CHECK(listed == made);
  CHECK(partitions == 25'000);
  CHECK(cli.json({"topic", "list"}).at("topics").size() >= 3);

  RawConnection connection(shared_server().port());
  connection.hello();
  const Received first = connection.request<protocol::TopicList>(
      [](Builder& builder) { return protocol::CreateTopicList(builder); });
  REQUIRE(first.as<protocol::TopicReply>() != nullptr);
  CHECK(first.as<protocol::TopicReply>()->more());
  const Received behind = connection.request<protocol::TopicList>([](Builder& builder) {
    return protocol::CreateTopicListDirect(builder, nullptr, "default/default/default/wide-bb");
  });
  REQUIRE(behind.as<protocol::TopicReply>() != nullptr);
  CHECK_FALSE(behind.as<protocol::TopicReply>()->more());
  REQUIRE(behind.as<protocol::TopicReply>()->topics()->size() >= 1);
  CHECK(behind.as<protocol::TopicReply>()->topics()->Get(0)->topic()->str() ==
        "default/default/default/wide-c");
  require_error(connection.request<protocol::TopicList>([](Builder& builder) {
    return protocol::CreateTopicListDirect(builder, nullptr, "no//topic");
  }),
                ErrorCode::kBadName);

  // Metadata: those that fit, in the order asked for.
  const std::vector<std::string> wanted{"wide-c", "wide-b", "wide-a", "missing"};
  const Received mains = connection.request<protocol::MetadataRequest>([&](Builder& builder) {
    return protocol::CreateMetadataRequest(builder, builder.CreateVectorOfStrings(wanted));
  });
  const auto* metadata = mains.as<protocol::MetadataReply>();
  REQUIRE(metadata != nullptr);
  REQUIRE(metadata->topics()->size() == 1);  // two have too many tables together
  CHECK(metadata->topics()->Get(0)->requested()->str() == "wide-c");
}

TEST_CASE("12,000 tenants, and producers of a topic over 15,000, are listed in several answers") {
  constexpr std::uint32_t kTenants = 12'000, kProducers = 16'000;
  const Cli cli(shared_server());
  cli.ok({"topic", "create", "named"});
  RawConnection connection(shared_server().port());
  connection.hello();
  const std::string description(900, 'd');  // the bytes are too many, before the tables are
  request_all<protocol::ScopeCreate>(connection, kTenants, [&](Builder& builder, std::uint32_t i) {
    return protocol::CreateScopeCreateDirect(builder, ("many-" + std::to_string(i)).c_str(),
                                             description.c_str());
  });
  request_all<protocol::ProducerCreate>(
      connection, kProducers, [](Builder& builder, std::uint32_t i) {
        return protocol::CreateProducerCreateDirect(builder, "named", std::to_string(i).c_str());
      });

  auto connected = connect_client();
  REQUIRE(connected.has_value());
  const auto tenants = connected->admin().scopes().list("");
  REQUIRE_MESSAGE(tenants.has_value(), tenants.error().message);
  std::set<std::string> names;
  for (const auto& tenant : *tenants) names.insert(tenant.path);
  CHECK(names.size() == tenants->size());
  CHECK(std::ranges::count_if(names, [](const auto& name) { return name.starts_with("many-"); }) ==
        kTenants);
  CHECK(cli.json({"tenant", "list"}).at("tenants").size() == tenants->size());

  const auto producers = connected->admin().list_producers("named");
  REQUIRE_MESSAGE(producers.has_value(), producers.error().message);
  names.clear();
  for (const auto& producer : *producers) names.insert(producer.name);
  CHECK(producers->size() == kProducers);
  CHECK(names.size() == kProducers);

  const Received other = connection.request<protocol::ScopeList>([](Builder& builder) {
    return protocol::CreateScopeListDirect(builder, "many-1", "many-2");
  });
  require_error(other, ErrorCode::kBadArgument);
}

}  // namespace
}  // namespace andyx::test
