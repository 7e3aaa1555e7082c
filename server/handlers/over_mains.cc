#include "server/handlers/over_mains.h"

#include <algorithm>
#include <set>
#include <utility>

#include "frame_generated.h"
#include "server/handlers/first_error.h"

namespace andyx::server {
namespace {

// The metadata first, then the call itself: both within this time.
constexpr std::uint32_t kPassOnMs = 10'000;
constexpr std::uint32_t kKnownWithinMs = 1'000;  // a new topic: then its clients find out
// Longer than the other node waits for metadata, and than a link takes to find it silent.
constexpr std::uint32_t kCallMs = 5'000;

frame::Body await_body(flatbuffers::FlatBufferBuilder& builder, Position version) {
  return node_body(protocol::Body::NodeAwait, protocol::CreateNodeAwait(builder, version));
}

// One question until it is answered. Held by what is under way.
class Asking : public std::enable_shared_from_this<Asking> {
 public:
  Asking(CoreLoop& here, MainsQuestion question, StatusDone done)
      : here_(here),
        question_(std::move(question)),
        done_(std::move(done)),
        until_ms_(here.net_loop().now_ms() + question_.within_ms) {}

  void ask() {
    const auto topic = here_.image().find_topic(question_.topic);
    if (!topic) return done_(fail(ErrorCode::kUnknownTopic, "the topic was deleted"));
    const Position version = here_.image().position;
    auto outcome = std::make_shared<FirstError>();
    auto all = std::make_shared<OnLastRelease>(
        here_, [self = shared_from_this(), outcome] { self->answered(outcome->get()); });
    if (question_.to != kAllPartitions && topic->partitions().size() < question_.to)
      outcome->note(fail(ErrorCode::kNotMain, "this node does not know all the partitions yet"));
    for (MainShare& share : shares_of_mains(*topic, question_.from, question_.to)) {
      std::erase_if(share.partitions, [this](std::uint32_t index) { return yes_.contains(index); });
      if (share.partitions.empty()) continue;
      if (share.node == 0) {
        outcome->note(check_main(topic->partitions()[share.partitions.front()], 0, "this"));
      } else if (share.node == here_.node().config.node_id) {
        question_.local(here_, share, version,
                        [self = shared_from_this(), share, outcome, all](const Status& status) {
                          self->heard(share, status, *outcome);
                        });
      } else {
        ask_node(share, version, outcome, all);
      }
    }
  }

 private:
  void ask_node(const MainShare& share, Position version,
                const std::shared_ptr<FirstError>& outcome,
                const std::shared_ptr<OnLastRelease>& all) {
    const auto fill = [&](flatbuffers::FlatBufferBuilder& builder) {
      return question_.remote(builder, share, version);
    };
    call_node(here_, share.node, fill, kCallMs,
              [self = shared_from_this(), share, outcome, all](const Result<NodeFrame>& answer) {
                if (answer) return self->heard(share, {}, *outcome);
                const std::string who = "node " + std::to_string(share.node) + ": ";
                self->heard(share, fail(answer.error().code, who + answer.error().message),
                            *outcome);
              });
  }

  void heard(const MainShare& share, const Status& status, FirstError& outcome) {
    outcome.note(status);
    if (status && question_.once) yes_.insert(share.partitions.begin(), share.partitions.end());
  }

  void answered(const std::optional<Error>& error) {
    if (!error) return done_({});
    if (!ask_again(error->code)) return done_(std::unexpected(*error));
    const std::uint64_t now_ms = here_.net_loop().now_ms();
    if (now_ms >= until_ms_) {
      return done_(fail(ErrorCode::kTimedOut, "not every main has answered in " +
                                                  std::to_string(question_.within_ms) +
                                                  " ms; last, " + error->message));
    }
    here_.deadlines().add(now_ms + limits::kMainsRetryMs, alive_,
                          [self = shared_from_this()] { self->ask(); });
  }

  CoreLoop& here_;
  MainsQuestion question_;
  StatusDone done_;
  std::uint64_t until_ms_;
  std::set<std::uint32_t> yes_;  // partitions
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace

void call_node(CoreLoop& here, NodeId to, const NodeLinks::Fill& fill, std::uint32_t timeout_ms,
               NodeLinks::Done done) {
  if (NodeLinks* links = here.links()) return links->call(to, fill, timeout_ms, std::move(done));
  done(fail(ErrorCode::kUnreachable,
            "this node has no links to node " + std::to_string(to) + " or any other"));
}

frame::OutFrame renumbered(const NodeFrame& answer, std::uint64_t correlation_id) {
  frame::OutFrame out;
  out.head = SharedBytes::copy_of(answer.bytes.span());
  auto* root = flatbuffers::GetMutableSizePrefixedRoot<flatbuffers::Table>(out.head.mutable_data());
  // Its link has numbered it from 1 on, so the field is there.
  root->SetField<std::uint64_t>(protocol::Frame::VT_CORRELATION_ID, correlation_id, 0);
  return out;
}

void after_image(CoreLoop& here, Position version, StatusDone done) {
  const std::size_t loops = here.node().loops.size();
  auto reached = std::make_shared<std::atomic<std::size_t>>(0);
  auto all = std::make_shared<OnLastRelease>(
      here, [reached, loops, version, done = std::move(done)]() mutable {
        if (reached->load() == loops) return done({});
        done(fail(ErrorCode::kTimedOut, "this node does not know version " +
                                            std::to_string(version) + " of the metadata yet"));
      });
  for (auto& loop : here.node().loops) {
    auto wait = [owner = loop.get(), version, reached, all] {
      owner->when_image(version, owner->net_loop().now_ms() + limits::kNodeAwaitMs,
                        [reached, all](bool yes) { *reached += yes ? 1 : 0; });
    };
    if (loop.get() == &here)
      wait();
    else
      loop->net_loop().post(std::move(wait));
  }
}

void ask_mains(CoreLoop& here, MainsQuestion question, StatusDone done) {
  std::make_shared<Asking>(here, std::move(question), std::move(done))->ask();
}

void await_mains(CoreLoop& here, TopicId topic, std::uint32_t within_ms, StatusDone done) {
  MainsQuestion question;
  question.topic = topic;
  question.within_ms = within_ms;
  question.local = [](CoreLoop& home, const MainShare&, Position version, StatusDone known) {
    after_image(home, version, std::move(known));
  };
  question.remote = [](flatbuffers::FlatBufferBuilder& builder, const MainShare&,
                       Position version) { return await_body(builder, version); };
  ask_mains(here, std::move(question), std::move(done));
}

void when_mains_know(CoreLoop& here, TopicId topic, net::Task done) {
  after_all_loops(here.node(), here, [&here, topic, done = std::move(done)]() mutable {
    await_mains(here, topic, kKnownWithinMs,
                [done = std::move(done)](const Status&) mutable { done(); });
  });
}

void gather(CoreLoop& here, const std::shared_ptr<const Topic>& topic, MainsGathering gathering,
            net::Task done) {
  std::shared_ptr<void> keep = std::make_shared<OnLastRelease>(here, std::move(done));
  const Position version = here.image().position;
  for_each_partition(
      here, topic,
      [keep, visit = std::move(gathering.visit)](Partition& partition, std::uint32_t index) {
        visit(partition, index, keep);
      },
      [keep] {});
  for (const MainShare& share : shares_of_mains(*topic)) {
    if (share.node == here.node().config.node_id) continue;
    if (share.node == 0) {
      gathering.answered(share, fail(ErrorCode::kNotMain, "no node is main"));
      continue;
    }
    const auto fill = [&](flatbuffers::FlatBufferBuilder& builder) {
      return gathering.remote(builder, share, version);
    };
    call_node(here, share.node, fill, limits::kNodeGatherMs,
              [keep, share, answered = gathering.answered](Result<NodeFrame> answer) {
                answered(share, std::move(answer));
              });
  }
}

void pass_on(CoreLoop& here, NodeId to, NodeLinks::Fill fill, Reply reply,
             std::move_only_function<void(const Error&, Reply)> failed) {
  auto refused = [to, failed = std::move(failed)](const Error& error, Reply owed) mutable {
    if (failed && ask_again(error.code)) return failed(error, std::move(owed));
    owed.error({error.code, "node " + std::to_string(to) + ": " + error.message, error.node});
  };
  const Position version = here.image().position;
  const auto await = [version](flatbuffers::FlatBufferBuilder& builder) {
    return await_body(builder, version);
  };
  call_node(here, to, await, limits::kNodeGatherMs,
            [&here, to, fill = std::move(fill), reply = std::move(reply),
             refused = std::move(refused)](Result<NodeFrame> known) mutable {
              if (!known) return refused(known.error(), std::move(reply));
              call_node(here, to, fill, kPassOnMs,
                        [reply = std::move(reply),
                         refused = std::move(refused)](Result<NodeFrame> answer) mutable {
                          if (!answer) return refused(answer.error(), std::move(reply));
                          reply.send(renumbered(*answer, reply.correlation_id()));
                        });
            });
}

}  // namespace andyx::server
