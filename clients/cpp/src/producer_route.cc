// Where the lanes of a producer lead to: metadata, redirects, links that come and go. The thread.
#include <algorithm>

#include "clients/cpp/src/producer_impl.h"

namespace andyx::client {

// ---- Metadata ----

void ProducerImpl::act(std::uint32_t partition, const ProducerCore::Refresh& action) {
  refresh(action.doubt ? lanes_[partition].link : nullptr);
}

void ProducerImpl::refresh(const NodeLink* doubted) {
  if (ended_ || std::exchange(refreshing_, true)) return;
  if (doubted != nullptr) client_->cluster().doubt(*doubted);
  refreshed_at_ms_ = client_->loop().now_ms();
  client_->cluster().refresh(topic_, [self = shared_from_this()](Result<TopicMetadata> topic) {
    self->refreshing_ = false;
    if (self->ended_) return;
    if (topic) {
      self->refreshed(*topic);
    } else if (topic.error().code == ErrorCode::kUnknownTopic && self->named()) {
      self->fail_for_good(topic.error());
    } else if (topic.error().code == ErrorCode::kUnknownTopic) {
      self->give_up(topic.error(), false);
      self->refresh_later();
    } else {
      self->refresh_later();
    }
  });
}

void ProducerImpl::refresh_later() {
  refresh_timer_->start(client_->options().backoff_max_ms, 0, [this] { refresh(); });
}

void ProducerImpl::refreshed(const TopicMetadata& topic) {
  if (topic.topic_id < topic_id_) return refresh_later();  // from before it was made anew
  if (topic.topic_id > topic_id_) {
    for (auto& lane : lanes_) lane.route = {};
  }
  topic_id_ = topic.topic_id;
  grow(topic.partitions.size());
  for (std::uint32_t partition = 0; partition < topic.partitions.size(); ++partition) {
    const auto& main = topic.partitions[partition];
    lanes_[partition].route.learned(main.main, main.epoch, main.version);
  }
  place_all();
  unwatch_unused();
  if (named() && lanes_.front().route.node() != home_) reclaim();
  // Some main is away: soon again where something waits for it, with the back-off of refreshes.
  bool away = false, urgent = false;
  for (const auto& lane : lanes_) {
    away |= !lane.core.is_up();
    urgent |= !lane.core.is_up() && lane.core.unresolved() > 0;
  }
  if (urgent && place_held_) return refresh();
  if (away) refresh_later();
}

// ---- Lanes ----

void ProducerImpl::place_all() {
  for (std::uint32_t partition = 0; partition < lanes_.size(); ++partition) place(partition);
}

// Moves the lane to where its route leads now.
void ProducerImpl::place(std::uint32_t partition) {
  auto& lane = lanes_[partition];
  const auto now_ms = client_->loop().now_ms();
  const auto node = lane.route.node();
  auto* link = client_->cluster().link_to(node);
  // Behind a front door another main has the same link.
  if (link != lane.link || node != lane.node) {
    // What is in flight counts as maybe stored from here on; who may not repeat it waits for the
    // answers.
    const bool answers_come =
        lane.link != nullptr && lane.core.is_up() && lane.core.in_flight() > 0;
    if (answers_come && !options_.idempotent) return;
    ++lane.generation;
    lane.core.link_down({ErrorCode::kNotMain, "the main has moved"}, now_ms);
    lane.link = link;
    if (link != nullptr) watch(*link);
  }
  lane.node = node;
  if (link != nullptr && link->up() && place_held_) lane.core.link_up(lane.route.epoch(), now_ms);
  run(partition);
}

// ---- Links ----

void ProducerImpl::watch(NodeLink& link) {
  links_.insert(&link);
  link.add_user(this);
}

void ProducerImpl::unwatch_unused() {
  std::erase_if(links_, [this](NodeLink* link) {
    const bool used = link == home_link_ || std::ranges::any_of(lanes_, [&](const auto& lane) {
                        return lane.link == link;
                      });
    if (!used) link->remove_user(this);
    return !used;
  });
}

void ProducerImpl::link_up(NodeLink& link) {
  if (&link == home_link_ && !place_held_) return reclaim();
  for (std::uint32_t partition = 0; partition < lanes_.size(); ++partition) {
    if (lanes_[partition].link == &link) place(partition);
  }
}

void ProducerImpl::link_silent(NodeLink& link) { refresh(&link); }

void ProducerImpl::link_down(NodeLink& link, const Error& reason) {
  const auto now_ms = client_->loop().now_ms();
  bool ours = false;
  for (std::uint32_t partition = 0; partition < lanes_.size(); ++partition) {
    auto& lane = lanes_[partition];
    if (lane.link != &link) continue;
    ours = true;
    ++lane.generation;
    lane.core.link_down(reason, now_ms);
    lane.route.unreachable(lane.node);
    place(partition);
  }
  if (&link == home_link_) {
    place_held_ = false;
    reclaim();
  }
  if (ours) refresh();
}

}  // namespace andyx::client
