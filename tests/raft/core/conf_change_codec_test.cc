// Conf changes in entries: protobuf's bytes, and what is none of them.
#include <doctest/doctest.h>

#include <random>
#include <vector>

#include "raft/core/types.h"

namespace andyx::raft {

namespace {

std::vector<std::uint8_t> bytes(const SharedBytes& data) {
  return {data.data(), data.data() + data.size()};
}

}  // namespace

TEST_CASE("an empty change is no bytes") {
  CHECK(encode(ConfChange{}).empty());
  ConfChange change{.transition = ConfTransition::kJointExplicit};
  REQUIRE(decode(EntryType::kConfChangeV2, {}, change));
  CHECK(change.leaves_joint());
}

TEST_CASE("the bytes are those of protobuf") {
  // ConfChangeV2{transition: 2, changes: [{type: 3, node_id: 300}], context: "ab"}
  const ConfChange v2{.transition = ConfTransition::kJointExplicit,
                      .changes = {{.type = ConfChangeType::kAddLearner, .peer = 300}},
                      .context = "ab"};
  CHECK(bytes(encode(v2)) == std::vector<std::uint8_t>{0x08, 0x02, 0x12, 0x05, 0x08, 0x03, 0x10,
                                                       0xac, 0x02, 0x1a, 0x02, 'a', 'b'});
  // ConfChange{type: 1, node_id: 4}
  const ConfChange v1{.changes = {{.type = ConfChangeType::kRemove, .peer = 4}}, .v1 = true};
  CHECK(bytes(encode(v1)) == std::vector<std::uint8_t>{0x10, 0x01, 0x18, 0x04});
}

TEST_CASE("changes come back as they were") {
  const auto seed = std::random_device{}();
  INFO("seed ", seed);
  std::mt19937_64 random(seed);
  for (int round = 0; round < 500; round++) {
    ConfChange change{.transition = static_cast<ConfTransition>(random() % 3),
                      .context = std::string(random() % 4, 'x'),
                      .v1 = random() % 4 == 0};
    const std::size_t count = change.v1 ? 1 : random() % 5;
    for (std::size_t at = 0; at < count; at++) {
      change.changes.push_back(
          {.type = static_cast<ConfChangeType>(random() % 4), .peer = random() >> (random() % 64)});
    }
    if (change.v1) {
      change.transition = ConfTransition::kAuto;
    }
    const SharedBytes encoded = encode(change);
    const EntryType type = change.v1 ? EntryType::kConfChange : EntryType::kConfChangeV2;
    ConfChange decoded;
    REQUIRE(decode(type, encoded.span(), decoded));
    CHECK(decoded == change);
  }
}

TEST_CASE("unknown fields are passed over, damaged ones refused") {
  ConfChange change;
  const std::vector<std::uint8_t> unknown{0x08, 0x01, 0x78, 0x05, 0x82, 0x01, 0x01, 'z'};
  REQUIRE(decode(EntryType::kConfChangeV2, unknown, change));
  CHECK(change.transition == ConfTransition::kJointImplicit);

  const std::vector<std::vector<std::uint8_t>> damaged{
      {0x08},                    // no value
      {0x08, 0x07},              // no such transition
      {0x12, 0x05, 0x08},        // shorter than it says
      {0x12, 0x02, 0x08, 0x09},  // no such type
      {0x00, 0x01},              // field 0
      {0x0b},                    // a group
      {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
  };
  for (const auto& one : damaged) {
    CHECK_FALSE(decode(EntryType::kConfChangeV2, one, change));
  }
}

}  // namespace andyx::raft
