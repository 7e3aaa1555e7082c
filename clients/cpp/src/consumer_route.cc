// Where a consumer's partitions are: metadata, and links that come and go. The thread.
#include <algorithm>

#include "clients/cpp/src/consumer_impl.h"

namespace andyx::client {

// ---- Metadata ----

void ConsumerImpl::refresh() {
  if (ended_ || std::exchange(refreshing_, true)) return;
  client_->cluster().refresh(topic_, [self = shared_from_this()](Result<TopicMetadata> topic) {
    self->refreshing_ = false;
    if (self->ended_) return;
    if (topic) {
      self->take_metadata(*topic);
      self->leave_replaced();
      self->unwatch_unused();
      self->open_missing();
    } else {
      self->reopen_timer_->start(self->client_->options().backoff_max_ms, 0,
                                 [impl = self.get()] { impl->open_missing(); });
    }
  });
}

void ConsumerImpl::take_metadata(const TopicMetadata& topic) {
  if (topic.topic_id < topic_id_) return;  // from before it was made anew
  if (topic.topic_id > topic_id_) routes_.clear();
  topic_id_ = topic.topic_id;
  if (routes_.size() < topic.partitions.size()) routes_.resize(topic.partitions.size());
  for (std::size_t i = 0; i < topic.partitions.size(); ++i) {
    const auto& main = topic.partitions[i];
    routes_[i].learned(main.main, main.epoch, main.version);
  }
}

NodeLink* ConsumerImpl::link_of(std::uint32_t partition) const {
  return client_->cluster().link_to(routes_[partition].node());
}

// What silent nodes had and others have now. Of a node that is heard, its own word is waited for:
// it may still confirm answers.
void ConsumerImpl::leave_replaced() {
  std::vector<std::uint32_t> moved;
  for (const auto& [partition, stream] : streams_) {
    if (!stream.link->silent()) continue;
    const auto* link = link_of(partition);
    if (link != nullptr && link != stream.link) moved.push_back(partition);
  }
  for (const auto partition : moved) {
    if (!streams_.contains(partition)) continue;
    lose_stream(partition, {.code = ErrorCode::kNotMain,
                            .message = "the main has moved",
                            .node = routes_[partition].node()});
  }
  // The coordinator is the main of one of the partitions.
  if (coordinator_ == nullptr || !coordinator_->silent()) return;
  const bool leads = std::ranges::any_of(routes_, [this](const PartitionRoute& route) {
    return client_->cluster().link_to(route.node()) == coordinator_;
  });
  if (!leads) attachment_lost({ErrorCode::kNotMain, "the coordinator has moved"});
}

// ---- Links ----

void ConsumerImpl::watch(NodeLink& link) {
  if (std::ranges::find(links_, &link) == links_.end()) links_.push_back(&link);
  link.add_user(this);
}

void ConsumerImpl::unwatch_unused() {
  std::erase_if(links_, [this](NodeLink* link) {
    const auto leads_there = [&](const auto& entry) {
      return entry.first < routes_.size() && link_of(entry.first) == link;
    };
    const bool used =
        link == coordinator_ || std::ranges::any_of(assignment_, leads_there) ||
        std::ranges::any_of(streams_, [&](const auto& one) { return one.second.link == link; });
    if (!used) link->remove_user(this);
    return !used;
  });
}

void ConsumerImpl::link_up(NodeLink&) { open_missing(); }

void ConsumerImpl::link_silent(NodeLink& link) {
  if (refreshing_) return;
  client_->cluster().doubt(link);
  refresh();
}

// Only what was on this link is lost.
void ConsumerImpl::link_down(NodeLink& link, const Error& reason) {
  if (&link == coordinator_) attachment_lost({reason.code, reason.message});
  std::vector<std::uint32_t> lost;
  for (const auto& [partition, stream] : streams_) {
    if (stream.link == &link) lost.push_back(partition);
  }
  for (const auto partition : lost) {
    if (streams_.contains(partition))
      lose_stream(partition, {ErrorCode::kConnectionLost, reason.message});
  }
  // Those that waited for this link; metadata may name another main by now.
  bool waited = false;
  for (const auto& [partition, epoch] : assignment_) {
    if (partition >= routes_.size() || streams_.contains(partition)) continue;
    if (link_of(partition) != &link) continue;
    routes_[partition].unreachable(routes_[partition].node());
    waited = true;
  }
  if (!waited) return;
  last_error_ = reason;
  refresh();
}

}  // namespace andyx::client
