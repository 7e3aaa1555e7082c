// The consumers of a subscription as its coordinator knows them: read there, carried between nodes,
// and written for clients. A value.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "protocol/base/limits.h"
#include "subscription_generated.h"

namespace andyx::server {

class Coordinator;

struct ConsumersView {
  struct Consumer {
    std::string name, address;
    std::int32_t priority = 0;
    std::int64_t attached_us = 0;
    std::vector<std::uint32_t> active;  // partitions; not of a shared subscription: all
  };
  std::vector<Consumer> consumers;  // in the order of their attaching
  std::string note;                 // why they are missing; empty: they are not
};

ConsumersView view_of(const Coordinator* coordinator);  // null: nobody is attached
ConsumersView view_of(const protocol::SubscriptionInfo& info, bool shared);

// Who is attached, and where they are active. What all share is written once.
class ConsumersWriter {
 public:
  // At most `most` consumers are listed. Partitions 0..partitions-1.
  ConsumersWriter(flatbuffers::FlatBufferBuilder& builder, const ConsumersView& view, bool shared,
                  std::uint32_t partitions, std::size_t most);

  flatbuffers::Offset<flatbuffers::String> active_on(std::uint32_t partition);
  flatbuffers::Offset<flatbuffers::Vector<flatbuffers::Offset<protocol::ConsumerInfo>>> all();

 private:
  flatbuffers::Offset<flatbuffers::String> nobody();

  flatbuffers::FlatBufferBuilder& builder_;
  const ConsumersView& view_;
  bool shared_;
  std::uint32_t partitions_;
  std::size_t most_;
  std::vector<flatbuffers::Offset<flatbuffers::String>> names_;  // of view_.consumers
  std::map<std::uint32_t, std::size_t> active_;                  // partition to consumer
  flatbuffers::Offset<flatbuffers::String> all_names_, nobody_;
};

// A frame may hold limits::kFrameVerifyTables tables, and partitions take half of them.
inline constexpr std::size_t kMaxConsumersShown = 5'000;

}  // namespace andyx::server
