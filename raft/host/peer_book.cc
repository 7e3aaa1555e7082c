#include "raft/host/peer_book.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <utility>

#include "protocol/base/limits.h"
#include "protocol/batch/checksum.h"

namespace andyx::raft {
namespace {

constexpr std::string_view kHead = "andyx raft peers 1\n";
constexpr std::string_view kChecksum = "checksum ";

std::string checksum_line(std::string_view lines) {
  std::ostringstream out;
  out << kChecksum << std::hex
      << batch::checksum64({reinterpret_cast<const std::uint8_t*>(lines.data()), lines.size()})
      << '\n';
  return out.str();
}

std::unexpected<Error> io_error(const std::string& what, const std::string& path) {
  return fail(ErrorCode::kIo, "cannot " + what + " " + path + ": " + std::strerror(errno));
}

class File {
 public:
  explicit File(int fd) : fd_(fd) {}
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() {
    if (fd_ >= 0) ::close(fd_);
  }
  int fd() const { return fd_; }

 private:
  int fd_;
};

Status write_synced(const std::string& path, std::string_view text) {
  const File file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (file.fd() < 0) return io_error("make", path);
  while (!text.empty()) {
    const auto n = ::write(file.fd(), text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return io_error("write", path);
    text.remove_prefix(static_cast<std::size_t>(n));
  }
  if (::fsync(file.fd()) != 0) return io_error("sync", path);
  return {};
}

}  // namespace

Result<std::unique_ptr<PeerBook>> PeerBook::open(const std::string& path) {
  std::unique_ptr<PeerBook> book(new PeerBook(path));
  if (auto loaded = book->load(); !loaded) return std::unexpected(loaded.error());
  book->writer_ = std::thread([raw = book.get()] { raw->run(); });
  return book;
}

PeerBook::~PeerBook() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (writer_.joinable()) writer_.join();
}

Status PeerBook::load() {
  if (path_.empty() || !std::filesystem::exists(path_)) return {};
  std::ifstream in(path_);
  const std::string all{std::istreambuf_iterator<char>(in), {}};
  if (!in) return io_error("read", path_);
  const auto end = all.rfind(kChecksum);
  const auto corrupt = [&] {
    return fail(ErrorCode::kCorrupt,
                "the list of known peers " + path_ +
                    " is damaged; restore it, or remove this peer from its group and add it under "
                    "a new id with an empty data directory");
  };
  if (end == std::string::npos || !all.starts_with(kHead) ||
      checksum_line(std::string_view(all).substr(0, end)) != all.substr(end)) {
    return corrupt();
  }
  std::istringstream lines(all.substr(kHead.size(), end - kHead.size()));
  PeerId peer = kNone;
  std::string disk;
  while (lines >> peer >> disk) {
    disks_[peer] = disk;
    durable_.insert(peer);
  }
  return {};
}

std::string PeerBook::text() const {
  std::ostringstream out;
  out << kHead;
  for (const auto& [peer, disk] : disks_) out << peer << ' ' << disk << '\n';
  return out.str() + checksum_line(out.str());
}

std::optional<std::string> PeerBook::disk_of(PeerId peer) const {
  const auto found = disks_.find(peer);
  if (found == disks_.end()) return std::nullopt;
  return found->second;
}

void PeerBook::remember(PeerId peer, const std::string& disk_id, Done done) {
  const auto known = disk_of(peer);
  if (known && *known != disk_id) {
    done(fail(ErrorCode::kPeerConflict, "peer " + std::to_string(peer) + " has disk '" + *known +
                                            "', not '" + disk_id + "'"));
    return;
  }
  if (!known && disks_.size() >= limits::kMaxRaftPeers) {
    done(fail(ErrorCode::kLimitReached,
              "more than " + std::to_string(limits::kMaxRaftPeers) + " Raft peers were seen"));
    return;
  }
  // Noted at once, so that no other disk gets in between.
  disks_[peer] = disk_id;
  {
    std::lock_guard lock(mutex_);
    if (!durable_.contains(peer)) {
      jobs_.push_back({.peer = peer, .text = text(), .done = std::move(done)});
      wake_.notify_one();
      return;
    }
  }
  done({});
}

void PeerBook::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [this] { return stopping_ || !jobs_.empty(); });
    if (jobs_.empty()) return;
    auto jobs = std::exchange(jobs_, {});
    lock.unlock();
    const auto saved = save(jobs.back().text);  // holds what the others do
    if (saved) {
      std::lock_guard noting(mutex_);
      for (const Job& job : jobs) durable_.insert(job.peer);
    }
    for (Job& job : jobs) job.done(saved);
    lock.lock();
  }
}

Status PeerBook::save(const std::string& text) const {
  if (path_.empty()) return {};
  const std::string fresh = path_ + ".new";
  if (auto written = write_synced(fresh, text); !written) return written;
  if (::rename(fresh.c_str(), path_.c_str()) != 0) return io_error("replace", path_);
  const auto folder = std::filesystem::path(path_).parent_path();
  const File directory(
      ::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory.fd() < 0 || ::fsync(directory.fd()) != 0) {
    return io_error("sync", folder.string());
  }
  return {};
}

}  // namespace andyx::raft
