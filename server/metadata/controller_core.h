// The controller's decisions: a pure state machine. Events in (proposals, answers of the log),
// actions out; no IO, clock, thread or randomness. One thread; controller.h is the shell around it.
//
// It follows the log: reads what others append and publishes the images. Where the log says that
// this node may lead, it campaigns, reads to the tail and leads: then it appends what is proposed.
// One append is in flight at a time; what is proposed meanwhile goes into the next one. A leader
// that is fenced, or may lead no more, follows again, and its proposals are handed on.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "protocol/base/error.h"
#include "server/metadata/image.h"
#include "server/metadata/metadata_log.h"
#include "server/metadata/proposal.h"

namespace andyx::server {

// What a proposal came to. `image` is the one right after it, in which its result stands.
struct ControllerCompletion {
  std::uint64_t ticket = 0;
  Status status;
  std::uint64_t result = 0;  // Outcome::result
  std::shared_ptr<const Image> image;
};

struct ControllerAppend {
  Position expected = 0;
  ControllerEpoch epoch = 0;
  std::vector<EntryBytes> entries;
};

// To be done in the order of the fields. Each request to the log is answered by the event of its
// name.
struct ControllerActions {
  std::shared_ptr<const Image> publish;
  std::optional<bool> role;  // from now on it leads, or does no more
  std::vector<ControllerCompletion> completions;
  std::vector<Proposal> hand_on;  // for the node that leads; this one does not
  std::optional<Error> failed;    // the log cannot be followed any further: why
  bool campaign = false;
  bool get_snapshot = false;
  bool tail = false;
  std::optional<Position> read;
  std::optional<ControllerAppend> append;
  std::optional<Position> trim;  // not answered: the next snapshot trims again
  std::shared_ptr<const Image> put_snapshot;
  bool wake = false;     // on_wake() in a moment: what was asked for is not to be had now
  bool stopped = false;  // after stop(): nothing is in flight any more
};

struct ControllerCoreOptions {
  std::uint32_t max_pending = 0;
  std::uint64_t snapshot_entries = 0;
  std::uint64_t snapshot_bytes = 0;
};

class ControllerCore {
 public:
  explicit ControllerCore(ControllerCoreOptions options);

  void start();
  // Completed, or handed on, exactly once each time. Refused at once, through a completion: over
  // the bound (kOverloaded), stopped, failed.
  void propose(Proposal proposal);
  void stop();
  void give_up(Error error);  // nothing when it has failed already

  void on_leader(LogLeader leader);  // see MetadataLog::on_leader
  void on_hint(Position tail);       // see MetadataLog::watch
  void on_wake();
  void on_campaign(Result<ControllerEpoch> epoch);
  void on_get_snapshot(Result<std::optional<ImageSnapshotBytes>> snapshot);
  void on_tail(Result<Position> tail);
  void on_read(Result<std::vector<LogEntry>> entries);
  void on_append(const AppendResult& result);
  void on_put_snapshot(Position position, const Status& status);

  // Everything since the last call.
  ControllerActions take_actions() { return std::exchange(actions_, {}); }

  const std::shared_ptr<const Image>& image() const { return image_; }
  std::size_t pending() const { return waiting_.size() + batch_.size(); }
  // Until `role` says otherwise; while it reads again after an append whose outcome is not known,
  // too.
  bool leading() const { return leading_; }
  LogLeader leader() const { return leader_; }
  ControllerEpoch epoch() const { return epoch_; }  // that this node holds; 0: none

 private:
  enum class Asked : std::uint8_t { kNothing, kSnapshot, kCampaign, kTail, kRead };

  struct InBatch {
    Proposal proposal;
    ControllerCompletion completion;
  };

  // ---- Following and taking over ----
  void advance();
  void take_over();
  void ask_read();
  void step_down();
  bool may_lead() const { return leader_.here && !stopping_; }
  bool ask_again(const Error& error);
  void apply_all(const std::vector<LogEntry>& entries);

  // ---- Leading ----
  void pump();
  bool fill_batch();
  ControllerCompletion evaluate(const Proposal& proposal, std::vector<EntryBytes>& entries);
  void on_appended(const AppendResult& result);
  void on_not_appended(const Error& error);
  void requeue_batch();
  void complete_batch();
  void hand_on(Proposal proposal);
  void hand_on_waiting();

  void publish(std::shared_ptr<const Image> image);
  void maybe_snapshot();
  void maybe_stopped();
  void refuse(const Proposal& proposal, const Error& error);
  void refuse_waiting(const Error& error);
  void fail_for_good(Error error);

  const ControllerCoreOptions options_;
  bool started_ = false;
  bool stopping_ = false;
  std::optional<Error> failure_;

  Asked asked_ = Asked::kNothing;
  bool waking_ = false;        // nothing is asked for before on_wake()
  bool load_snapshot_ = true;  // at the start, and when the log does not reach back to the image
  bool trimmed_ = false;       // the latter
  bool caught_up_ = false;     // nothing was left to read
  Position hinted_ = 0;

  LogLeader leader_;
  ControllerEpoch epoch_ = 0;
  ControllerEpoch highest_epoch_ = 0;   // that it ever held
  std::optional<Position> read_until_;  // the tail, once known under this epoch
  bool current_ = false;                // has read to it, and nothing else came since: may append
  bool leading_ = false;                // announced

  std::shared_ptr<const Image> image_ = std::make_shared<const Image>();  // durable, published
  std::shared_ptr<const Image> draft_;  // image_ with the batch applied

  std::deque<Proposal> waiting_;
  std::vector<InBatch> batch_;
  bool append_in_flight_ = false;
  std::uint64_t batch_bytes_ = 0;

  std::uint64_t entries_since_snapshot_ = 0;
  std::uint64_t bytes_since_snapshot_ = 0;
  bool snapshot_in_flight_ = false;

  ControllerActions actions_;
};

}  // namespace andyx::server
