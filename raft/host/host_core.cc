#include "raft/host/host_core.h"

#include <cstdlib>
#include <future>
#include <utility>

#include "raft/host/bootstrap.h"

namespace andyx::raft {
namespace {

constexpr std::uint64_t kNsPerMs = 1'000'000;

std::uint64_t boottime_ms() { return net::boottime_ns() / kNsPerMs; }

// Ids of read rounds differ between peers and between a peer's starts.
std::uint64_t first_read_context(std::mt19937_64& random) { return random(); }

}  // namespace

HostCore::HostCore(net::Loop& loop, const HostOptions& options, StateMachine& machine,
                   RaftStore& store, PeerBook& book, std::function<void(const Error&)> stopped)
    : loop_(loop),
      options_(options),
      machine_(machine),
      store_(store),
      stopped_(std::move(stopped)),
      random_(std::random_device{}()),
      clock_(options.tick_ms, 2 * options.election_ticks, boottime_ms()),
      reads_(first_read_context(random_)),
      snapshots_(options.snapshot_every_bytes) {
  const StoreIdentity& self = options_.store.identity;
  transport_ = std::make_unique<Transport>(
      loop,
      PeerIdentity{.cluster_id = self.cluster_id,
                   .id = self.peer,
                   .disk_id = self.disk_id,
                   .incarnation = static_cast<std::uint64_t>(net::wall_time_us())},
      book, *this);
}

// ---- Starting and stopping ----

Result<std::uint16_t> HostCore::start() {
  store_.on_failure([&loop = loop_, weak = weak_from_this()](Error error) {
    loop.post([weak, error = std::move(error)] {
      if (auto self = weak.lock(); self != nullptr && self->running()) self->stop(error);
    });
  });
  if (auto begun = bootstrap(store_, options_.store.identity.peer, options_.bootstrap_voters,
                             [this] { return machine_.take_snapshot(); });
      !begun) {
    return std::unexpected(begun.error());
  }
  if (auto restored = restore(); !restored) return std::unexpected(restored.error());
  const Config core = config();
  if (const char* wrong = invalid(core); wrong != nullptr) {
    return fail(ErrorCode::kBadArgument, std::string("Raft cannot be set up so: ") + wrong);
  }
  auto port = transport_->listen(options_.listen);
  if (!port) return port;
  node_ = std::make_unique<RawNode>(core);
  for (const PeerAddress& peer : options_.peers) transport_->add_peer(peer);
  clock_.skip_to(boottime_ms());
  timer_ = loop_.timer();
  timer_->start(options_.tick_ms, options_.tick_ms, [this] { on_timer(); });
  // Nobody else could lead: no need to wait whether somebody does.
  const ConfState conf = node_->conf_state();
  if (conf.voters == std::vector{options_.store.identity.peer} && conf.voters_outgoing.empty()) {
    static_cast<void>(node_->campaign());
    drain();
  }
  return port;
}

Status HostCore::restore() {
  const auto snapshot = store_.snapshot();
  if (!snapshot || (*snapshot)->meta.index == 0) return {};
  if (auto restored = machine_.restore(**snapshot); !restored) return restored;
  applied_ = (*snapshot)->meta.index;
  applied_term_ = (*snapshot)->meta.term;
  snapshots_.restored(applied_);
  return {};
}

Config HostCore::config() {
  return {.id = options_.store.identity.peer,
          .election_ticks = options_.election_ticks,
          .heartbeat_ticks = options_.heartbeat_ticks,
          .storage = &store_,
          .logger = this,
          .draw =
              [this](std::uint32_t bound) {
                return std::uniform_int_distribution<std::uint32_t>(0, bound - 1)(random_);
              },
          .applied = applied_,
          .async_storage_writes = true,
          .max_append_bytes = limits::kMaxRaftAppendBytes,
          .max_uncommitted_bytes = limits::kMaxRaftUncommittedBytes,
          .max_inflight_bytes = limits::kMaxRaftInflightBytes,
          .check_quorum = options_.check_quorum,
          .pre_vote = options_.pre_vote,
          .forward_proposals = false,
          .step_down_on_removal = true};
}

void HostCore::stop(const Error& reason) {
  const auto keep = shared_from_this();
  const bool was_running = running();
  timer_.reset();
  transport_.reset();
  for (auto& done : std::exchange(waiting_done_, {})) refuse(done);
  waiting_data_.clear();
  proposals_.give_up();
  reads_.fail_all(reason);
  for (auto* list : {&snapshot_saving_, &snapshot_asked_}) {
    for (auto& done : std::exchange(*list, {})) done(std::unexpected(reason));
  }
  node_.reset();
  outbox_.clear();
  if (was_running && reason.code != ErrorCode::kShuttingDown) {
    log(LogLevel::kFatal, "Raft has stopped: " + reason.message);
    stopped_(reason);
  }
}

// Not inside of the transport's or the core's calls.
void HostCore::stop_soon(const Error& reason) {
  loop_.at_end_of_turn([weak = weak_from_this(), reason] {
    if (auto self = weak.lock(); self != nullptr && self->running()) self->stop(reason);
  });
}

// ---- Time ----

void HostCore::on_timer() {
  watch_disk();
  deliver_ticks();
  drain();
  if (!running()) return;
  proposals_.expire(loop_.now_ms());
  reads_.expire(loop_.now_ms());
}

void HostCore::deliver_ticks() {
  if (!running()) return;
  if (disk_hangs_) {
    clock_.skip_to(boottime_ms());
    return;
  }
  for (auto due = clock_.take_due(boottime_ms()); due > 0; --due) node_->tick();
}

// What is acknowledged must be durable, so a leader whose disk hangs commits nothing, while its
// heartbeats would keep others from leading.
void HostCore::watch_disk() {
  if (!running()) return;
  const auto age_ms = store_.oldest_write_age_ms();
  const bool hangs = age_ms > options_.disk_hang_ms;
  if (hangs != disk_hangs_) {
    disk_hangs_ = hangs;
    log(hangs ? LogLevel::kError : LogLevel::kWarn,
        hangs ? "the disk hangs: a write of " + std::to_string(age_ms) +
                    " ms ago is not done. Raft does not lead or campaign until it is"
              : std::string("the disk is back"));
  }
  if (hangs && node_->soft_state().role == Role::kLeader) node_->step_down();
}

// ---- Messages ----

Status HostCore::on_messages(PeerId from, std::vector<Message> messages) {
  for (Message& message : messages) {
    if (!running()) return {};
    const Term term = node_->hard_state().term;
    if (message.term > term && message.term - term > limits::kMaxRaftTermJump) {
      return fail(ErrorCode::kBadArgument, "a Raft message whose term " +
                                               std::to_string(message.term) +
                                               " is far ahead of ours, " + std::to_string(term));
    }
    if (!admits(message)) continue;
    const auto type = message.type;
    const auto stepped = node_->step(std::move(message));
    if (stepped) continue;
    const std::string what = "peer " + std::to_string(from) + " sent a message of type " +
                             std::to_string(static_cast<int>(type)) + ": " + text(stepped.error());
    if (stepped.error() == StepError::kContradiction) {
      const Error lost{ErrorCode::kDataLoss,
                       what +
                           ". This peer or its leader has lost a part of its log; compare their "
                           "disks, and replace the one that lost data by a new peer"};
      stop_soon(lost);
      return std::unexpected(lost);
    }
    if (stepped.error() == StepError::kMalformed) return fail(ErrorCode::kBadArgument, what);
    // kPeerNotFound: an answer of a peer that has left. kProposalDropped cannot be.
  }
  return {};
}

// What would only pile up, or end the silence of a peer whose disk hangs.
bool HostCore::admits(const Message& message) const {
  const bool writes = !message.entries.empty() || message.snapshot != nullptr;
  if (writes && store_.queued_bytes() > options_.store.max_queued_bytes) return false;
  return !disk_hangs_ || message.type != MessageType::kTimeoutNow;
}

void HostCore::on_snapshot_sent(PeerId to, bool failed) {
  if (!running()) return;
  node_->report_snapshot(to, failed);
}

void HostCore::on_unreachable(PeerId peer) {
  if (!running()) return;
  node_->report_unreachable(peer);
}

// ---- Log ----

bool HostCore::enabled(LogLevel level) const {
  return level >= LogLevel::kInfo && options_.log != nullptr;
}

void HostCore::log(LogLevel level, std::string_view line) {
  if (enabled(level)) options_.log(level, line);
}

void HostCore::log(LogLevel level, const std::string& line) { log(level, std::string_view(line)); }

void HostCore::panic(std::string_view line) {
  log(LogLevel::kFatal, line);
  std::abort();
}

}  // namespace andyx::raft
