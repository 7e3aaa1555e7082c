// A producer with a name: its place on a node, which a single one has alone, and its epochs. The
// thread.
#include "clients/cpp/src/producer_impl.h"
#include "protocol/base/limits.h"

namespace andyx::client {

// The place is had on the connection to the main of partition 0, and lost with it.
void ProducerImpl::open_named(OnIdentity done) {
  auto fill = [self = shared_from_this()](flatbuffers::FlatBufferBuilder& builder) {
    const auto name = builder.CreateString(self->options_.name);
    const auto topic = builder.CreateString(self->topic_);
    return body_of(
        protocol::Body::ProducerOpen,
        protocol::CreateProducerOpen(
            builder, name, topic, static_cast<protocol::ProducerInstance>(self->options_.instance),
            self->session_, self->identity_.producer_id, self->identity_.producer_epoch));
  };
  client_->cluster().call(
      home_, std::move(fill), Cluster::Repeat::kYes,
      [self = shared_from_this(), done = std::move(done)](Reply reply) mutable {
        if (!reply) return done(std::unexpected(Error(reply.error())));
        const auto* opened = reply->frame->body_as_ProducerOpenReply();
        if (opened == nullptr)
          return done(fail(ErrorCode::kInternal, "the answer to producer open is none"));
        self->home_link_ = reply->link;
        self->watch(*self->home_link_);
        self->place_held_ = true;
        if (self->single()) self->home_link_->ping_at_least_every(opened->session_timeout_ms() / 3);
        done(batch::ProducerStamp{.producer_id = opened->producer_id(),
                                  .producer_epoch = opened->producer_epoch()});
      });
}

// After a lost connection: nothing is sent before the same session has its place again.
void ProducerImpl::reclaim() {
  if (ended_ || left_ || std::exchange(reclaiming_, true)) return;
  home_ = lanes_.front().route.node();
  open_named([self = shared_from_this()](Result<batch::ProducerStamp> stamp) {
    self->reclaiming_ = false;
    if (self->ended_ || self->left_) return;
    const auto& identity = self->identity_;
    if (stamp && stamp->producer_id == identity.producer_id &&
        stamp->producer_epoch == identity.producer_epoch) {
      self->place_all();
      self->refresh();
    } else if (stamp) {
      self->fail_for_good({ErrorCode::kProducerFenced,
                           "producer " + self->options_.name + " was deleted and made anew"});
    } else if (stamp.error().retriable()) {
      self->reclaim_timer_->start(self->client_->options().backoff_max_ms, 0,
                                  [impl = self.get()] { impl->reclaim(); });
    } else {
      self->fail_for_good(stamp.error());
    }
  });
}

void ProducerImpl::leave(std::move_only_function<void()> done) {
  const bool there = named() && !std::exchange(left_, true) && home_link_ != nullptr &&
                     home_link_->up() && place_held_;
  if (!there) return done();
  home_link_->call(
      [this](flatbuffers::FlatBufferBuilder& builder) {
        return body_of(protocol::Body::ProducerClose,
                       protocol::CreateProducerClose(builder, identity_.producer_id,
                                                     identity_.producer_epoch));
      },
      [done = std::move(done)](const Reply&) mutable { done(); });
}

// Under the same id, so that a later open fences this one: from the sequence that the partition
// expects where that is known, else with the next epoch. An open gives out a run of them.
void ProducerImpl::renumber(std::uint32_t partition, const ProducerCore::Reopen& action) {
  auto& lane = lanes_[partition];
  batch::ProducerStamp stamp;
  {
    std::lock_guard lock(mutex_);
    stamp = slots_[partition].stamp;
  }
  stamp.sequence = lane.stored;
  if (!action.sequence_known) {
    stamp.sequence = 0;
    ++stamp.producer_epoch;
  }
  if (single() &&
      stamp.producer_epoch - identity_.producer_epoch >= limits::kProducerEpochsPerOpen) {
    return fail_for_good({ErrorCode::kLimitReached,
                          "producer " + options_.name +
                              " has begun a partition anew too often since it was opened"});
  }
  restamp(partition, stamp);
  lane.core.reopened(client_->loop().now_ms());
}

}  // namespace andyx::client
