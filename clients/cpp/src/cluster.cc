#include "clients/cpp/src/cluster.h"

#include <algorithm>
#include <utility>

#include "clients/cpp/src/backoff.h"

namespace andyx::client {

struct Cluster::Call {
  NodeId node;
  Fill fill;
  Repeat repeat;
  OnReply done;
  std::unique_ptr<net::Loop::Timer> deadline, retry;
  std::uint32_t failures = 0;
  bool sent = false;
  Error last_error{ErrorCode::kTimedOut, "no answer"};
};

Cluster::Cluster(net::Loop& loop, ClusterOptions options)
    : loop_(loop), options_(std::move(options)), random_(options_.link.seed) {}

Cluster::~Cluster() = default;

std::uint64_t Cluster::random() { return next_random(random_); }

// ---- Nodes ----

NodeLink& Cluster::link_at(const net::Address& address) {
  auto& link = links_[address.text()];
  if (link == nullptr) {
    auto options = options_.link;
    options.seed = random();
    link = std::make_unique<NodeLink>(loop_, address, options);
  }
  return *link;
}

NodeLink* Cluster::link_to(NodeId node) {
  const auto found = nodes_.find(node);
  return found == nodes_.end() || shut_down_ ? nullptr : &link_at(found->second);
}

void Cluster::start(OnReady done) {
  on_ready_ = std::move(done);
  ready_timer_ = loop_.timer();
  ready_timer_->start(options_.connect_timeout_ms, 0,
                      [this] { ready(fail(ErrorCode::kUnreachable, last_error_.message)); });
  use_server(0);
}

void Cluster::use_server(std::size_t index) {
  server_ = index % options_.servers.size();
  auto& next = link_at(options_.servers[server_]);
  if (control_ != nullptr && control_ != &next) control_->remove_user(this);
  control_ = &next;
  control_->add_user(this);
}

void Cluster::ready(Status status) {
  if (!on_ready_) return;
  ready_timer_.reset();
  std::exchange(on_ready_, nullptr)(std::move(status));
}

void Cluster::link_up(NodeLink& link) {
  std::vector<std::uint64_t> waiting;
  for (const auto& [id, call] : calls_) {
    if (!call.sent && call.retry == nullptr) waiting.push_back(id);
  }
  for (const auto id : waiting) dispatch(id);
  if (&link == control_) ready({});
}

void Cluster::link_down(NodeLink& link, const Error& reason) {
  last_error_ = reason;
  if (&link != control_ || shut_down_) return;
  if (!reason.retriable() && reason.code != ErrorCode::kUnreachable) ready(std::unexpected(reason));
  if (options_.servers.size() > 1) use_server(server_ + 1);
}

void Cluster::learn_nodes(const protocol::MetadataReply& reply) {
  if (reply.nodes() == nullptr) return;
  for (const auto* node : *reply.nodes()) {
    if (node->host() != nullptr) nodes_[node->node_id()] = {node->host()->str(), node->port()};
  }
}

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
  auto* link = call.node == 0 ? control_ : link_to(call.node);
  if (link == nullptr) link = control_;
  if (!link->up()) {
    call.last_error = last_error_;
    link->add_user(this);  // link_up dispatches
    return;
  }
  call.sent = true;
  link->call(call.fill, [this, id](Reply reply) { replied(id, std::move(reply)); });
}

void Cluster::replied(std::uint64_t id, Reply reply) {
  const auto found = calls_.find(id);
  if (found == calls_.end()) return;  // timed out
  auto& call = found->second;
  if (!reply) {
    const auto& error = reply.error();
    const bool lost = error.code == ErrorCode::kConnectionLost;
    const bool harmless = call.repeat == Repeat::kYes || error.stored == Storedness::kNotStored;
    if (!shut_down_ && (lost || error.retriable) && harmless) {
      call.last_error = error;
      call.sent = false;
      retry_later(id, error.retry_after_ms);
      return;
    }
  }
  finish(id, std::move(reply));
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
    topic.partitions[partition->partition()] = {partition->main(), partition->main_epoch()};
  }
  return topic;
}

void Cluster::shut_down(const Error& reason) {
  shut_down_ = reason;
  ready(std::unexpected(reason));
  for (auto& [address, link] : links_) link->shut_down(reason);
  while (!calls_.empty()) {
    finish(calls_.begin()->first, std::unexpected(local_error(reason.code, reason.message)));
  }
}

}  // namespace andyx::client
