// Which disk belongs to which peer id, remembered for good: a peer that lost its disk has forgotten
// its votes and must not come back under its id. A small file beside the store, replaced as a whole
// and synced on a helper thread before a new peer is spoken to.
//
//   andyx raft peers 1
//   PEER DISK-ID
//   …
//   checksum XXH3-64 of the lines above, in hexadecimal
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "protocol/base/error.h"
#include "raft/core/types.h"

namespace andyx::raft {

class PeerBook {
 public:
  // `path` empty: remembers until the end of the process only. kCorrupt, kIo.
  static Result<std::unique_ptr<PeerBook>> open(const std::string& path);
  ~PeerBook();  // finishes what was begun

  std::optional<std::string> disk_of(PeerId peer) const;  // raft thread
  // Raft thread. `done` runs once the book is durable with it: on the helper thread, or at once
  // where that is so already. kIo, kLimitReached, kPeerConflict (another disk is remembered).
  using Done = std::move_only_function<void(Status)>;
  void remember(PeerId peer, const std::string& disk_id, Done done);

 private:
  explicit PeerBook(std::string path) : path_(std::move(path)) {}
  Status load();
  void run();
  Status save(const std::string& text) const;
  std::string text() const;

  const std::string path_;
  std::map<PeerId, std::string> disks_;
  std::set<PeerId> durable_;  // under mutex_
  struct Job {
    PeerId peer;
    std::string text;
    Done done;
  };
  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<Job> jobs_;
  bool stopping_ = false;
  std::thread writer_;
};

}  // namespace andyx::raft
