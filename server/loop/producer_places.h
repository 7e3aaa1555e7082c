// Who has a named producer open on this node: one at a time for a single one, any number for a
// multiple one. Soft state, kept by the loop of the topic's first partition; what fences writers is
// the epoch in the metadata.
//
// Pure: no IO, no clock. One thread. Bounded by the connections and
// limits::kMaxNamedProducersPerConnection.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "protocol/base/error.h"
#include "protocol/base/ids.h"

namespace andyx::server {

struct ProducerKey {
  TopicId topic = 0;
  std::string name;

  auto operator<=>(const ProducerKey&) const = default;
};

class ProducerPlaces {
 public:
  struct Holder {
    std::uint64_t connection = 0;
    std::uint64_t session = 0;
    std::string peer;            // for people
    TimeUs since_us = 0;         // likewise
    ProducerId producer_id = 0;  // 0: still being opened
  };

  // A single producer's place, before it is opened. The same session takes it over from its former
  // connection; another one is refused with kProducerBusy.
  Status take(const ProducerKey& key, Holder who, TimeUs now_us);
  // The open is done. False: the connection does not have the place any more.
  bool opened(const ProducerKey& key, std::uint64_t connection, ProducerId id);
  // One more of a multiple producer.
  void add(const ProducerKey& key, Holder who);

  // The connection gives up what it has of the id, or has ended; 0: what it was opening.
  // Idempotent.
  void release(const ProducerKey& key, std::uint64_t connection, ProducerId id);
  // The ids were deleted.
  void forget(const ProducerKey& key, const std::vector<ProducerId>& ids);
  // It was deleted, or its places are kept elsewhere now.
  void topic_moved(TopicId topic);

  std::vector<ProducerId> open_ids(const ProducerKey& key) const;
  std::uint32_t connected(const ProducerKey& key) const;  // opened and not released
  bool empty() const { return holders_.empty(); }

 private:
  template <typename Gone>
  void erase(const ProducerKey& key, Gone gone);

  std::map<ProducerKey, std::vector<Holder>> holders_;  // never an empty vector
};

}  // namespace andyx::server
