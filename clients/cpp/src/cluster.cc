#include "clients/cpp/src/cluster.h"

#include <algorithm>
#include <utility>

#include "clients/cpp/src/backoff.h"
#include "clients/cpp/src/cluster_call.h"

namespace andyx::client {

Cluster::Cluster(net::Loop& loop, ClusterOptions options)
    : loop_(loop), options_(std::move(options)), random_(options_.link.seed) {}

Cluster::~Cluster() = default;

std::uint64_t Cluster::random() { return next_random(random_); }

// ---- Requests ----

void Cluster::call(NodeId node, Fill fill, Repeat repeat, OnReply done, std::uint32_t extra_ms) {
  if (shut_down_) {
    done(std::unexpected(local_error(shut_down_->code, shut_down_->message)));
    return;
  }
  const auto id = next_call_++;
  auto& call = calls_
                   .emplace(id, Call{.node = node,
                                     .fill = std::move(fill),
                                     .repeat = repeat,
                                     .done = std::move(done),
                                     .deadline = loop_.timer(),
                                     .retry = nullptr})
                   .first->second;
  const auto timeout_ms = options_.request_timeout_ms + extra_ms;
  call.deadline->start(timeout_ms, 0, [this, id, timeout_ms] {
    const Error& last = calls_.at(id).last_error;
    auto error = local_error(ErrorCode::kTimedOut,
                             "no answer within " + std::to_string(timeout_ms) +
                                 " ms; last: " + std::string(last.name()) + ": " + last.message);
    error.stored = calls_.at(id).sent ? Storedness::kMaybeStored : Storedness::kNotStored;
    finish(id, std::unexpected(std::move(error)));
  });
  dispatch(id);
}

void Cluster::dispatch(std::uint64_t id) {
  auto& call = calls_.at(id);
  if (call.node != 0 && !nodes_.contains(call.node)) {
    call.needs_nodes = true;
    ask_for_nodes();
    return;
  }
  auto* link = call.node == 0 ? control_ : link_to(call.node);
  if (link == nullptr || !link->up()) {
    call.last_error = last_error_;
    call.awaited = link;
    if (link != nullptr) link->add_user(this);  // link_up dispatches
    return;
  }
  call.sent = true;
  call.asked = link;
  call.awaited = nullptr;
  link->add_user(this);  // link_silent asks another one
  link->call(call.fill, [this, id, link, attempt = ++call.attempt](Reply reply) {
    const bool stopping = !reply && reply.error().code == ErrorCode::kShuttingDown;
    if (stopping && link == control_ && !shut_down_) leave_control();
    replied(id, attempt, std::move(reply));
  });
}

// Each may end another one.
void Cluster::dispatch_all(const std::vector<std::uint64_t>& ids) {
  for (const auto id : ids) {
    const auto found = calls_.find(id);
    if (found != calls_.end() && !found->second.sent && found->second.retry == nullptr)
      dispatch(id);
  }
}

void Cluster::replied(std::uint64_t id, std::uint32_t attempt, Reply reply) {
  const auto found = calls_.find(id);
  if (found == calls_.end()) return;  // timed out, or somebody else was quicker
  auto& call = found->second;
  if (!reply) {
    if (attempt != call.attempt) return;  // another one has been asked meanwhile
    const auto& error = reply.error();
    const bool lost = error.code == ErrorCode::kConnectionLost;
    const bool harmless = call.repeat == Repeat::kYes || error.stored == Storedness::kNotStored;
    if (!shut_down_ && (lost || error.retriable) && harmless) {
      call.last_error = error;
      call.sent = false;
      const bool first_redirect = error.node != 0 && !std::exchange(call.redirected, true);
      go_elsewhere(call, error);
      // Later ones with a back-off: two nodes may point at each other for a while.
      if (first_redirect) return dispatch(id);
      retry_later(id, error.retry_after_ms);
      return;
    }
  }
  finish(id, std::move(reply));
}

void Cluster::go_elsewhere(Call& call, const ReplyError& error) {
  switch (error.code) {
    case ErrorCode::kNotMain:
    case ErrorCode::kNotController:
      call.node = error.node;
      break;
    case ErrorCode::kConnectionLost:
    case ErrorCode::kShuttingDown:
      call.node = 0;
      break;
    default:
      break;
  }
}

void Cluster::retry_later(std::uint64_t id, std::uint64_t at_least_ms) {
  auto& call = calls_.at(id);
  const auto wait_ms = backoff_ms(++call.failures, options_.link.backoff_min_ms,
                                  options_.link.backoff_max_ms, random_);
  call.retry = loop_.timer();
  call.retry->start(std::max(wait_ms, at_least_ms), 0, [this, id] {
    calls_.at(id).retry.reset();
    dispatch(id);
  });
}

void Cluster::finish(std::uint64_t id, Reply reply) {
  auto found = calls_.find(id);
  if (found == calls_.end()) return;
  auto done = std::move(found->second.done);
  calls_.erase(found);
  done(std::move(reply));
}

// ---- Metadata ----

void Cluster::topic(const std::string& path, bool for_produce, OnTopic done) {
  auto fill = [path, for_produce](flatbuffers::FlatBufferBuilder& builder) {
    const auto topics = builder.CreateVectorOfStrings(std::vector<std::string>{path});
    return body_of(protocol::Body::MetadataRequest,
                   protocol::CreateMetadataRequest(builder, topics, for_produce));
  };
  call(0, std::move(fill), Repeat::kYes, [this, done = std::move(done)](Reply reply) mutable {
    if (!reply) {
      done(std::unexpected(Error(reply.error())));
      return;
    }
    const auto* metadata = reply->frame->body_as_MetadataReply();
    done(metadata != nullptr
             ? topic_of(*metadata)
             : fail(ErrorCode::kInternal, "the answer to a metadata request is none"));
  });
}

Result<TopicMetadata> Cluster::topic_of(const protocol::MetadataReply& reply) {
  learn_nodes(reply);
  if (reply.topics() == nullptr || reply.topics()->size() != 1) {
    return fail(ErrorCode::kInternal, "the metadata answer does not hold the topic asked for");
  }
  const auto* answer = reply.topics()->Get(0);
  if (answer->error() != nullptr) return std::unexpected(Error(error_of(*answer->error())));
  const auto* info = answer->topic();
  if (info == nullptr || info->partitions() == nullptr || info->partitions()->size() == 0 ||
      info->partitions()->size() > limits::kMaxPartitionsPerTopic) {
    return fail(ErrorCode::kInternal, "the metadata answer holds a topic without partitions");
  }
  TopicMetadata topic{.topic_id = info->topic_id(), .partitions = {}};
  topic.partitions.resize(info->partitions()->size());
  for (const auto* partition : *info->partitions()) {
    if (partition->partition() >= topic.partitions.size()) continue;
    topic.partitions[partition->partition()] = {partition->main(), partition->main_epoch(),
                                                partition->version()};
  }
  return topic;
}

void Cluster::refresh(const std::string& path, OnTopic done) {
  if (shut_down_) return done(std::unexpected(*shut_down_));
  auto& refresh = refreshes_[path];
  refresh.waiting.push_back(std::move(done));
  if (refresh.under_way || refresh.waiting.size() > 1) return;  // it comes by itself
  const auto now_ms = loop_.now_ms();
  const auto quiet_ms = now_ms - refresh.last_ms;
  if (refresh.in_a_row == 0 || quiet_ms >= options_.link.backoff_max_ms) {
    refresh.in_a_row = 0;
    return refresh_now(path);
  }
  const auto pause_ms = backoff_ms(refresh.in_a_row, options_.link.backoff_min_ms,
                                   options_.link.backoff_max_ms, random_);
  if (refresh.timer == nullptr) refresh.timer = loop_.timer();
  refresh.timer->start(pause_ms > quiet_ms ? pause_ms - quiet_ms : 0, 0,
                       [this, path] { refresh_now(path); });
}

void Cluster::refresh_now(const std::string& path) {
  auto& refresh = refreshes_.at(path);
  refresh.under_way = true;
  ++refresh.in_a_row;
  topic(path, false, [this, path](Result<TopicMetadata> topic) {
    auto& answered = refreshes_.at(path);
    answered.under_way = false;
    answered.last_ms = loop_.now_ms();
    for (auto& done : std::exchange(answered.waiting, {})) done(topic);
  });
}

void Cluster::shut_down(const Error& reason) {
  shut_down_ = reason;
  seek_timer_.reset();
  ready(std::unexpected(reason));
  for (auto& [address, link] : links_) link->shut_down(reason);
  while (!calls_.empty()) {
    finish(calls_.begin()->first, std::unexpected(local_error(reason.code, reason.message)));
  }
  for (auto& [path, refresh] : refreshes_) {
    refresh.timer.reset();
    for (auto& done : std::exchange(refresh.waiting, {})) done(std::unexpected(reason));
  }
}

}  // namespace andyx::client
