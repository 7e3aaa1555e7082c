// How the controller follows the log, and takes over.
#include <algorithm>
#include <utility>

#include "server/metadata/apply.h"
#include "server/metadata/controller_core.h"
#include "server/metadata/snapshot.h"

namespace andyx::server {
namespace {

// The log cannot do it now; later it may.
bool passes(ErrorCode code) {
  switch (code) {
    case ErrorCode::kNotController:
    case ErrorCode::kNoController:
    case ErrorCode::kTimedOut:
    case ErrorCode::kOverloaded:
    case ErrorCode::kUnreachable:
    case ErrorCode::kConnectionLost:
    case ErrorCode::kShuttingDown:
      return true;
    default:
      return false;
  }
}

Error went_back(std::string what) {
  return {ErrorCode::kDataLoss, std::move(what) + ": it went back"};
}

}  // namespace

void ControllerCore::on_leader(LogLeader leader) {
  leader_ = leader;
  if (!leader.here) step_down();
  advance();
}

void ControllerCore::on_hint(Position tail) {
  hinted_ = std::max(hinted_, tail);
  advance();
}

void ControllerCore::on_wake() {
  waking_ = false;
  advance();
}

// The next question to the log, when none is open.
void ControllerCore::advance() {
  if (failure_ || stopping_) return maybe_stopped();
  if (!started_ || waking_ || asked_ != Asked::kNothing || append_in_flight_) return;
  if (load_snapshot_) {
    asked_ = Asked::kSnapshot;
    actions_.get_snapshot = true;
  } else if (current_) {
    pump();
  } else if (may_lead()) {
    take_over();
  } else if (!caught_up_ || hinted_ > image_->position) {
    ask_read();
  }
}

void ControllerCore::take_over() {
  if (epoch_ == 0) {
    asked_ = Asked::kCampaign;
    actions_.campaign = true;
    return;
  }
  if (!read_until_) {
    asked_ = Asked::kTail;
    actions_.tail = true;
    return;
  }
  if (image_->position < *read_until_) return ask_read();
  current_ = true;
  publish(image_);
  if (!std::exchange(leading_, true)) actions_.role = true;
  maybe_snapshot();
  pump();
}

void ControllerCore::ask_read() {
  asked_ = Asked::kRead;
  actions_.read = image_->position;
}

// What is in flight is still answered.
void ControllerCore::step_down() {
  epoch_ = 0;
  read_until_.reset();
  current_ = false;
  caught_up_ = false;
  if (std::exchange(leading_, false)) actions_.role = false;
  if (!leader_.here) hand_on_waiting();
}

// False: the error is for good, and the controller has failed.
bool ControllerCore::ask_again(const Error& error) {
  if (!passes(error.code)) {
    fail_for_good(error);
    return false;
  }
  if (stopping_) {
    maybe_stopped();
  } else {
    waking_ = true;
    actions_.wake = true;
  }
  return true;
}

void ControllerCore::on_campaign(Result<ControllerEpoch> epoch) {
  asked_ = Asked::kNothing;
  if (failure_) return maybe_stopped();
  if (!epoch) {
    ask_again(epoch.error());
    return;
  }
  if (*epoch <= highest_epoch_) {
    return fail_for_good(went_back("the metadata log gave epoch " + std::to_string(*epoch) +
                                   " after epoch " + std::to_string(highest_epoch_)));
  }
  highest_epoch_ = *epoch;
  if (leader_.here) epoch_ = *epoch;
  advance();
}

void ControllerCore::on_get_snapshot(Result<std::optional<ImageSnapshotBytes>> snapshot) {
  asked_ = Asked::kNothing;
  if (failure_) return maybe_stopped();
  if (!snapshot) {
    ask_again(snapshot.error());
    return;
  }
  const Position position = *snapshot ? (*snapshot)->position : 0;
  if (trimmed_ && position <= image_->position) {
    return fail_for_good(went_back("the metadata log has no entry at " +
                                   std::to_string(image_->position) + " and its snapshot is of " +
                                   std::to_string(position)));
  }
  if (*snapshot) {
    auto image = decode_snapshot((*snapshot)->bytes);
    if (!image) return fail_for_good(std::move(image.error()));
    if ((*image)->position != position) {
      return fail_for_good({ErrorCode::kCorrupt, "the metadata snapshot for position " +
                                                     std::to_string(position) + " is of position " +
                                                     std::to_string((*image)->position)});
    }
    if (!image_->cluster_id.is_zero() && (*image)->cluster_id != image_->cluster_id) {
      return fail_for_good({ErrorCode::kWrongCluster, "the metadata snapshot is of cluster " +
                                                          (*image)->cluster_id.text() +
                                                          ", not of " + image_->cluster_id.text()});
    }
    publish(std::move(*image));
    entries_since_snapshot_ = 0;
    bytes_since_snapshot_ = 0;
  }
  load_snapshot_ = false;
  trimmed_ = false;
  caught_up_ = false;
  advance();
}

void ControllerCore::on_tail(Result<Position> tail) {
  asked_ = Asked::kNothing;
  if (failure_) return maybe_stopped();
  if (!tail) {
    ask_again(tail.error());
    return;
  }
  if (*tail < image_->position) {
    return fail_for_good(went_back("the metadata log ends at " + std::to_string(*tail) +
                                   ", but was known up to " + std::to_string(image_->position)));
  }
  if (epoch_ != 0) read_until_ = *tail;
  advance();
}

void ControllerCore::on_read(Result<std::vector<LogEntry>> entries) {
  asked_ = Asked::kNothing;
  if (failure_) return maybe_stopped();
  if (!entries && entries.error().code == ErrorCode::kOffsetOutOfRange) {
    load_snapshot_ = true;
    trimmed_ = true;
    return advance();
  }
  if (!entries) {
    ask_again(entries.error());
    return;
  }
  if (entries->empty()) {
    if (read_until_ && image_->position < *read_until_) {
      return fail_for_good({ErrorCode::kDataLoss,
                            "the metadata log has no entry at " + std::to_string(image_->position) +
                                ", but its tail is " + std::to_string(*read_until_)});
    }
    caught_up_ = true;
    hinted_ = std::min(hinted_, image_->position);
    return advance();
  }
  apply_all(*entries);
  if (failure_) return;
  maybe_snapshot();
  advance();
}

void ControllerCore::apply_all(const std::vector<LogEntry>& entries) {
  auto image = image_;
  for (const LogEntry& entry : entries) {
    if (entry.position != image->position) {
      return fail_for_good({ErrorCode::kCorrupt, "the metadata log gave the entry at " +
                                                     std::to_string(entry.position) + " for " +
                                                     std::to_string(image->position)});
    }
    auto applied = apply_entry(*image, entry.bytes);
    if (!applied) return fail_for_good(std::move(applied.error()));
    image = std::move(applied->image);
    ++entries_since_snapshot_;
    bytes_since_snapshot_ += entry.bytes.size();
  }
  publish(std::move(image));
}

}  // namespace andyx::server
