#include "server/metadata/raft_metadata_log.h"

#include <cassert>
#include <string>
#include <utility>
#include <variant>

#include "protocol/base/limits.h"

namespace andyx::server {

namespace {
const Error kClosing{ErrorCode::kShuttingDown, "the metadata log is closed"};

// Why the host has stopped: whatever its disk said, it is storage that has failed, until a restart.
Error as_seen_from_here(Error failure) {
  if (failure.code == ErrorCode::kIo || failure.code == ErrorCode::kDiskFull) {
    failure.code = ErrorCode::kStorageFailed;
  }
  return failure;
}
}  // namespace

// Raft's state machine. Changed on the raft thread; read by all, under its mutex.
class RaftMetadataLog::Machine final : public raft::StateMachine {
 public:
  using Outcome = std::variant<ControllerEpoch, AppendResult>;

  explicit Machine(MetadataLogContent first) : content_(std::move(first)) {}

  Status apply(const raft::Entry& entry) override {
    auto proposal = decode_log_proposal(entry.data.span());
    if (!proposal) return std::unexpected(std::move(proposal.error()));
    std::shared_ptr<const Hint> hint;
    Position tail = 0;
    {
      const std::lock_guard lock(mutex_);
      last_ =
          std::visit([this](const auto& one) { return Outcome(content_.apply(one)); }, *proposal);
      last_index_ = entry.index;
      const auto* append = std::get_if<AppendResult>(&last_);
      if (append != nullptr && append->outcome == AppendOutcome::kOk) hint = hint_;
      tail = content_.tail();
    }
    if (hint) (*hint)(tail);
    return {};
  }

  SharedBytes take_snapshot() override {
    const std::lock_guard lock(mutex_);
    return encode_log_content(content_);
  }

  Status restore(const raft::Snapshot& snapshot) override {
    auto content = decode_log_content(snapshot.data.span());
    if (!content) return std::unexpected(std::move(content.error()));
    std::shared_ptr<const Hint> hint;
    Position tail = 0;
    {
      const std::lock_guard lock(mutex_);
      content_ = std::move(*content);
      hint = hint_;
      tail = content_.tail();
    }
    if (hint) (*hint)(tail);
    return {};
  }

  // Raft thread: what the entry came to that was applied just now.
  const Outcome& outcome_of([[maybe_unused]] raft::Index index) const {
    assert(index == last_index_);
    return last_;
  }

  template <typename Work>
  auto with_content(Work work) {
    const std::lock_guard lock(mutex_);
    return work(content_);
  }

  void watch(std::function<void(Position)> hint) {
    const std::lock_guard lock(mutex_);
    hint_ = std::make_shared<const Hint>(std::move(hint));
  }

 private:
  using Hint = std::function<void(Position)>;

  mutable std::mutex mutex_;
  MetadataLogContent content_;
  std::shared_ptr<const Hint> hint_;
  // Raft thread.
  Outcome last_;
  raft::Index last_index_ = 0;
};

RaftMetadataLog::RaftMetadataLog(raft::PeerId self) : self_(self) {}

RaftMetadataLog::~RaftMetadataLog() { closing_ = true; }

Result<std::unique_ptr<RaftMetadataLog>> RaftMetadataLog::open(RaftMetadataLogOptions options) {
  std::unique_ptr<RaftMetadataLog> log(new RaftMetadataLog(options.host.store.identity.peer));
  log->refuse_append_ = std::move(options.refuse_append);
  log->machine_ = std::make_unique<Machine>(std::move(options.first));
  auto host = raft::RaftHost::start(options.host, *log->machine_);
  if (!host) return std::unexpected(std::move(host.error()));
  log->host_ = std::move(*host);
  return log;
}

// Of a proposal that is in no log, or will never be applied.
Error RaftMetadataLog::why_not(const raft::ProposalResult& result) const {
  if (closing_) return kClosing;
  if (auto failed = host_->failure()) return as_seen_from_here(std::move(*failed));
  if (result.leader == raft::kNone) {
    return {ErrorCode::kNoController, "the voters of the metadata have no leader now"};
  }
  if (result.leader == self_) {
    return {
        ErrorCode::kOverloaded,
        "this node leads the metadata's voters, but takes nothing now: its disk hangs, too much "
        "waits, or it hands over"};
  }
  return {ErrorCode::kNotController,
          "node " + std::to_string(result.leader) + " leads the metadata's voters",
          static_cast<NodeId>(result.leader)};
}

// Of a read.
Error RaftMetadataLog::why_not(const Error& error) const {
  if (closing_) return kClosing;
  if (auto failed = host_->failure()) return as_seen_from_here(std::move(*failed));
  if (error.code != ErrorCode::kNotMain) return error;
  return {ErrorCode::kNoController, "the voters of the metadata have no leader now"};
}

// Of a proposal that may be applied later, or was.
Error RaftMetadataLog::not_known(const char* what) const {
  if (closing_) return kClosing;
  if (auto failed = host_->failure()) return as_seen_from_here(std::move(*failed));
  return {ErrorCode::kTimedOut, std::string("it is not known whether ") + what + " was decided"};
}

void RaftMetadataLog::campaign(NodeId node, std::uint32_t, LogDone<Result<ControllerEpoch>> done) {
  host_->propose(encode_log_proposal(CampaignProposal{node}),
                 [this, done = std::move(done)](const raft::ProposalResult& result) mutable {
                   switch (result.outcome) {
                     case raft::ProposalOutcome::kApplied:
                       return done(std::get<ControllerEpoch>(machine_->outcome_of(result.index)));
                     case raft::ProposalOutcome::kNotProposed:
                     case raft::ProposalOutcome::kLost:
                       return done(std::unexpected(why_not(result)));
                     case raft::ProposalOutcome::kIndeterminate:
                       return done(std::unexpected(not_known("the campaign")));
                   }
                 });
}

void RaftMetadataLog::append(Position expected, ControllerEpoch epoch,
                             std::vector<EntryBytes> entries, LogDone<AppendResult> done) {
  const auto refuse = [&](ErrorCode code, std::string message) {
    const Position tail = machine_->with_content([](auto& content) { return content.tail(); });
    done({AppendOutcome::kNotApplied, tail, {code, std::move(message)}});
  };
  const std::size_t count = entries.size();
  if (count == 0 || count > limits::kMaxMetadataAppendEntries) {
    return refuse(ErrorCode::kBadArgument, std::to_string(count) + " entries in one append");
  }
  if (const auto refused = refuse_append_ ? refuse_append_() : std::nullopt) {
    return refuse(refused->code, refused->message);
  }
  SharedBytes bytes = encode_log_proposal(AppendProposal{expected, epoch, std::move(entries)});
  if (bytes.size() > limits::kMaxRaftEntryBytes) {
    return refuse(ErrorCode::kLimitReached, "an append of " + std::to_string(bytes.size()) +
                                                " bytes to the metadata log; the limit is " +
                                                std::to_string(limits::kMaxRaftEntryBytes));
  }
  host_->propose(std::move(bytes),
                 [this, done = std::move(done)](const raft::ProposalResult& result) mutable {
                   switch (result.outcome) {
                     case raft::ProposalOutcome::kApplied:
                       return done(std::get<AppendResult>(machine_->outcome_of(result.index)));
                     case raft::ProposalOutcome::kNotProposed:
                     case raft::ProposalOutcome::kLost:
                       return done({AppendOutcome::kNotApplied, 0, why_not(result)});
                     case raft::ProposalOutcome::kIndeterminate:
                       return done({AppendOutcome::kIndeterminate, 0, not_known("the append")});
                   }
                 });
}

void RaftMetadataLog::read(Position from, std::size_t max_bytes,
                           LogDone<Result<std::vector<LogEntry>>> done) {
  done(machine_->with_content(
      [&](const MetadataLogContent& content) { return content.read(from, max_bytes); }));
}

void RaftMetadataLog::tail(LogDone<Result<Position>> done) {
  host_->read_index([this, done = std::move(done)](const Result<raft::Index>& index) mutable {
    if (!index) return done(std::unexpected(why_not(index.error())));
    done(machine_->with_content([](const MetadataLogContent& content) { return content.tail(); }));
  });
}

void RaftMetadataLog::put_snapshot(ImageSnapshotBytes snapshot, LogDone<Status> done) {
  auto put = machine_->with_content(
      [&](MetadataLogContent& content) { return content.put_snapshot(std::move(snapshot)); });
  if (!put) return done(std::move(put));
  host_->save_snapshot(std::move(done));
}

void RaftMetadataLog::get_snapshot(LogDone<Result<std::optional<ImageSnapshotBytes>>> done) {
  done(machine_->with_content([](const MetadataLogContent& content) { return content.snapshot; }));
}

void RaftMetadataLog::trim(Position before, LogDone<Status> done) {
  done(machine_->with_content([&](MetadataLogContent& content) { return content.trim(before); }));
}

void RaftMetadataLog::watch(std::function<void(Position)> hint) {
  machine_->watch(std::move(hint));
}

void RaftMetadataLog::on_leader(std::function<void(LogLeader)> changed) {
  on_leader_change([changed = std::move(changed)](raft::SoftState state, raft::Term) {
    changed({.here = state.role == raft::Role::kLeader, .node = static_cast<NodeId>(state.leader)});
  });
}

void RaftMetadataLog::status(std::move_only_function<void(raft::NodeStatus)> done) {
  host_->status(std::move(done));
}
void RaftMetadataLog::propose_conf_change(raft::ConfChange change,
                                          raft::RaftHost::ProposalDone done) {
  host_->propose_conf_change(std::move(change), std::move(done));
}
void RaftMetadataLog::transfer_leader(raft::PeerId to) { host_->transfer_leader(to); }
void RaftMetadataLog::add_peer(raft::PeerAddress peer) { host_->add_peer(std::move(peer)); }
void RaftMetadataLog::remove_peer(raft::PeerId peer) { host_->remove_peer(peer); }
void RaftMetadataLog::on_leader_change(std::function<void(raft::SoftState, raft::Term)> changed) {
  host_->on_leader_change(std::move(changed));
}
std::uint16_t RaftMetadataLog::port() const { return host_->port(); }
std::optional<Error> RaftMetadataLog::failure() const { return host_->failure(); }

}  // namespace andyx::server
