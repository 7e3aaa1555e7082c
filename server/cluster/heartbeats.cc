#include "server/cluster/heartbeats.h"

#include <utility>

#include "protocol/net/loop.h"

namespace andyx::server {
namespace {

// One that is not answered must not keep the next one from another controller.
constexpr std::uint32_t kMaxInFlight = 4;

std::uint64_t boottime_ms() { return net::boottime_ns() / 1'000'000; }

flatbuffers::Offset<protocol::MeasuredLoad> make_load(flatbuffers::FlatBufferBuilder& builder,
                                                      const MeasuredLoad& load) {
  const auto shares = [&builder](const std::vector<PartitionShare>& list) {
    std::vector<protocol::PartitionShare> out;
    out.reserve(list.size());
    for (const PartitionShare& share : list) out.emplace_back(share.partition, share.amount);
    return builder.CreateVectorOfStructs(out);
  };
  const auto busiest = shares(load.busiest), largest = shares(load.largest);
  return protocol::CreateMeasuredLoad(builder, load.in_rate, load.out_rate, load.stored_bytes,
                                      busiest, largest);
}

NodeLinks::Fill heartbeat_of(const HeartbeatsOptions& options, NodeReport report) {
  return [self = options.self, incarnation = options.incarnation,
          report = std::move(report)](flatbuffers::FlatBufferBuilder& builder) {
    const auto failing = builder.CreateVector(report.failing_pulls);
    const auto stopped = builder.CreateString(report.metadata_stopped);
    flatbuffers::Offset<protocol::MeasuredLoad> load;
    if (report.load) load = make_load(builder, *report.load);
    protocol::NodeHeartbeatBuilder body(builder);
    body.add_node_id(self);
    body.add_incarnation(incarnation);
    body.add_version(report.version);
    body.add_image_hash(report.image_hash);
    body.add_oldest_write_ms(report.oldest_write_ms);
    body.add_slowest_loop_ms(report.slowest_loop_ms);
    body.add_failing_pulls(failing);
    body.add_partitions(report.partitions);
    body.add_mains(report.mains);
    body.add_bytes_in(report.bytes_in);
    body.add_bytes_out(report.bytes_out);
    body.add_disk_bytes(report.disk_bytes);
    body.add_disk_free_bytes(report.disk_free_bytes);
    body.add_peer_progress(report.peer_progress);
    body.add_stopping(report.stopping);
    body.add_metadata_stopped(stopped);
    if (!load.IsNull()) body.add_load(load);
    return frame::Body{static_cast<std::uint8_t>(protocol::Body::NodeHeartbeat),
                       body.Finish().Union()};
  };
}

}  // namespace

Heartbeats::Heartbeats(net::Loop& loop, std::shared_ptr<MetadataPeers> peers,
                       HeartbeatsOptions options, Inputs inputs)
    : peers_(std::move(peers)), options_(options), timer_(loop.timer()) {
  state_->inputs = std::move(inputs);
}

Heartbeats::~Heartbeats() { state_->ended = true; }

void Heartbeats::start() {
  timer_->start(0, options_.interval_ms, [this] { beat(); });
}

void Heartbeats::beat_now() { beat(); }

void Heartbeats::answered(State& state, std::uint64_t sent_ms,
                          const Result<NodeSessions::Answer>& answer) {
  if (!answer) {
    state.controller = 0;
    const auto code = answer.error().code;
    if (code == ErrorCode::kNodeConflict || code == ErrorCode::kUnknownNode)
      state.inputs.refused(answer.error());
    return;
  }
  state.controller = answer->controller;
  if (sent_ms > state.heard_ms.load(std::memory_order_relaxed))
    state.heard_ms.store(sent_ms, std::memory_order_relaxed);
  state.inputs.heard(*answer);
}

void Heartbeats::beat() {
  const std::uint64_t sent_ms = boottime_ms();
  NodeReport report = state_->inputs.report();
  if (state_->inputs.local != nullptr) {
    const auto answer =
        state_->inputs.local->heartbeat(options_.self, options_.incarnation, report);
    if (answer || answer.error().code != ErrorCode::kNotController)
      return answered(*state_, sent_ms, answer);
  }
  if (state_->in_flight >= kMaxInFlight) return;
  ++state_->in_flight;
  const NodeId leader = state_->inputs.leader();
  peers_->ask_controller(leader != 0 ? leader : state_->controller,
                         heartbeat_of(options_, std::move(report)),
                         protocol::Body::NodeHeartbeatReply, options_.timeout_ms,
                         [state = state_, sent_ms](Result<NodeFrame> frame) {
                           --state->in_flight;
                           if (state->ended) return;
                           if (!frame)
                             return answered(*state, sent_ms, std::unexpected(frame.error()));
                           const auto* reply = frame->frame->body_as_NodeHeartbeatReply();
                           const auto* astray = reply->astray();
                           answered(*state, sent_ms,
                                    NodeSessions::Answer{.controller = reply->controller(),
                                                         .epoch = reply->controller_epoch(),
                                                         .tail = reply->version(),
                                                         .session_ms = reply->session_ms(),
                                                         .astray = astray ? astray->str() : ""});
                         });
}

}  // namespace andyx::server
