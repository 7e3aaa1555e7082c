// The controller's decisions: a pure state machine. Events in (proposals, answers of the log),
// actions out; no IO, clock, thread or randomness. One append is in flight at a time; what is
// proposed meanwhile goes into the next one. One thread; controller.h is the shell around it.
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
  std::vector<ControllerCompletion> completions;
  std::optional<Error> failed;  // the controller has stopped for good: why
  bool campaign = false;
  bool get_snapshot = false;
  bool tail = false;
  std::optional<Position> read;
  std::optional<ControllerAppend> append;
  std::optional<Position> trim;  // not answered: the next snapshot trims again
  std::shared_ptr<const Image> put_snapshot;
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
  // Refused at once, through a completion: over the bound (kOverloaded), stopped, failed.
  void propose(Proposal proposal);
  void stop();

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

 private:
  enum class State : std::uint8_t { kNew, kCampaign, kSnapshot, kTail, kRead, kLeading, kStopped };

  struct InBatch {
    Proposal proposal;
    ControllerCompletion completion;
  };

  void pump();
  bool fill_batch();
  ControllerCompletion evaluate(const Proposal& proposal, std::vector<EntryBytes>& entries);
  void ask_tail();
  void follow();
  void publish(std::shared_ptr<const Image> image);
  void complete_batch();
  void maybe_snapshot();
  void maybe_stopped();
  void refuse(const Proposal& proposal, const Error& error);
  void refuse_waiting(const Error& error);
  void fail_for_good(Error error);

  const ControllerCoreOptions options_;
  State state_ = State::kNew;
  bool stopping_ = false;
  std::optional<Error> failure_;

  ControllerEpoch epoch_ = 0;
  std::shared_ptr<const Image> image_ = std::make_shared<const Image>();  // durable, published
  std::shared_ptr<const Image> draft_;  // image_ with the batch applied
  Position read_until_ = 0;

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
