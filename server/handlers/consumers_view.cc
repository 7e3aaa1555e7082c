#include "server/handlers/consumers_view.h"

#include <numeric>

#include "server/subscription/coordinator.h"

namespace andyx::server {
namespace {

constexpr std::size_t kMaxNamesBytes = 4 * limits::kKiB;

std::string text(const flatbuffers::String* string) {
  return string == nullptr ? std::string() : string->str();
}

}  // namespace

ConsumersView view_of(const Coordinator* coordinator) {
  ConsumersView view;
  if (coordinator == nullptr) return view;
  const CoordinatorCore& core = coordinator->core();
  std::map<std::uint64_t, std::vector<std::uint32_t>> active;
  for (std::uint32_t index = 0; !core.shared() && index < core.partitions(); ++index)
    active[core.active(index)].push_back(index);
  for (const AttachedConsumer& consumer : core.consumers()) {
    const auto& place = coordinator->place(consumer.attach_epoch);
    view.consumers.push_back({consumer.name, place.address, consumer.priority,
                              static_cast<std::int64_t>(place.attached_us),
                              std::move(active[consumer.attach_epoch])});
  }
  return view;
}

ConsumersView view_of(const protocol::SubscriptionInfo& info, bool shared) {
  ConsumersView view;
  if (info.consumers() == nullptr) return view;
  for (const auto* one : *info.consumers()) {
    auto& consumer = view.consumers.emplace_back();
    consumer.name = text(one->name());
    consumer.address = text(one->address());
    consumer.priority = one->priority();
    consumer.attached_us = one->attached_us();
    if (!shared && one->active() != nullptr)
      consumer.active.assign(one->active()->begin(), one->active()->end());
  }
  return view;
}

ConsumersWriter::ConsumersWriter(flatbuffers::FlatBufferBuilder& builder, const ConsumersView& view,
                                 bool shared, std::uint32_t partitions, std::size_t most)
    : builder_(builder), view_(view), shared_(shared), partitions_(partitions), most_(most) {
  std::string all;
  for (std::size_t i = 0; i < view.consumers.size(); ++i) {
    const auto& consumer = view.consumers[i];
    if (shared && all.size() < kMaxNamesBytes) all += (all.empty() ? "" : ",") + consumer.name;
    names_.push_back(builder.CreateString(consumer.name));
    for (const std::uint32_t partition : consumer.active) active_[partition] = i;
  }
  if (shared) all_names_ = builder.CreateString(all);
}

flatbuffers::Offset<flatbuffers::String> ConsumersWriter::nobody() {
  if (nobody_.IsNull()) nobody_ = builder_.CreateString("");
  return nobody_;
}

flatbuffers::Offset<flatbuffers::String> ConsumersWriter::active_on(std::uint32_t partition) {
  if (shared_) return all_names_;
  const auto found = active_.find(partition);
  return found == active_.end() ? nobody() : names_[found->second];
}

flatbuffers::Offset<flatbuffers::Vector<flatbuffers::Offset<protocol::ConsumerInfo>>>
ConsumersWriter::all() {
  std::vector<flatbuffers::Offset<protocol::ConsumerInfo>> infos;
  flatbuffers::Offset<flatbuffers::Vector<std::uint32_t>> of_all;
  if (shared_ && !view_.consumers.empty()) {
    std::vector<std::uint32_t> every(partitions_);
    std::iota(every.begin(), every.end(), 0u);
    of_all = builder_.CreateVector(every);
  }
  for (std::size_t i = 0; i < view_.consumers.size() && i < most_; ++i) {
    const auto& consumer = view_.consumers[i];
    const auto address = builder_.CreateString(consumer.address);
    const auto active = shared_ ? of_all : builder_.CreateVector(consumer.active);
    infos.push_back(protocol::CreateConsumerInfo(builder_, names_[i], address, consumer.priority,
                                                 consumer.attached_us, active));
  }
  return builder_.CreateVector(infos);
}

}  // namespace andyx::server
