#include "server/loop/producer_places.h"

#include <algorithm>

namespace andyx::server {

Status ProducerPlaces::take(const ProducerKey& key, Holder who, TimeUs now_us) {
  const auto found = holders_.find(key);
  if (found == holders_.end()) {
    holders_[key].push_back(std::move(who));
    return {};
  }
  Holder& holder = found->second.front();
  if (holder.session == who.session) {
    holder = std::move(who);
    return {};
  }
  const std::string age_s =
      std::to_string(std::max<TimeUs>(now_us - holder.since_us, 0) / 1'000'000);
  return fail(ErrorCode::kProducerBusy, "producer " + key.name + " is single, and " +
                                            (holder.producer_id == 0 ? "being opened" : "open") +
                                            " since " + age_s + " s by " + holder.peer);
}

bool ProducerPlaces::opened(const ProducerKey& key, std::uint64_t connection, ProducerId id) {
  const auto found = holders_.find(key);
  if (found == holders_.end()) return false;
  Holder& holder = found->second.front();
  if (holder.connection != connection) return false;
  holder.producer_id = id;
  return true;
}

void ProducerPlaces::add(const ProducerKey& key, Holder who) {
  holders_[key].push_back(std::move(who));
}

template <typename Gone>
void ProducerPlaces::erase(const ProducerKey& key, Gone gone) {
  const auto found = holders_.find(key);
  if (found == holders_.end()) return;
  std::erase_if(found->second, gone);
  if (found->second.empty()) holders_.erase(found);
}

void ProducerPlaces::release(const ProducerKey& key, std::uint64_t connection, ProducerId id) {
  erase(key, [&](const Holder& holder) {
    return holder.connection == connection && holder.producer_id == id;
  });
}

void ProducerPlaces::forget(const ProducerKey& key, const std::vector<ProducerId>& ids) {
  erase(key, [&](const Holder& holder) {
    return std::ranges::find(ids, holder.producer_id) != ids.end();
  });
}

void ProducerPlaces::topic_moved(TopicId topic) {
  const auto first = holders_.lower_bound(ProducerKey{topic, {}});
  auto last = first;
  while (last != holders_.end() && last->first.topic == topic) ++last;
  holders_.erase(first, last);
}

std::vector<ProducerId> ProducerPlaces::open_ids(const ProducerKey& key) const {
  std::vector<ProducerId> ids;
  const auto found = holders_.find(key);
  if (found == holders_.end()) return ids;
  for (const Holder& holder : found->second) {
    if (holder.producer_id != 0) ids.push_back(holder.producer_id);
  }
  return ids;
}

std::uint32_t ProducerPlaces::connected(const ProducerKey& key) const {
  return static_cast<std::uint32_t>(open_ids(key).size());
}

}  // namespace andyx::server
