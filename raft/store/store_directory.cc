#include "raft/store/store_directory.h"

#include <rocksdb/file_system.h>
#include <xxhash.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <vector>

#include "raft/store/store_error.h"
#include "raft/store/watermark.h"

namespace andyx::raft {
namespace {

constexpr std::string_view kFormatWords = "andyx raft store format ";

std::string checksum_line(const std::string& text) {
  std::array<char, 20> line;
  std::snprintf(line.data(), line.size(), "%016llx\n",
                static_cast<unsigned long long>(XXH3_64bits(text.data(), text.size())));
  return line.data();
}

// Two lines that every version keeps: the version, and the checksum of that line.
std::string version_lines(int version) {
  const std::string line = std::string(kFormatWords) + std::to_string(version) + "\n";
  return line + checksum_line(line);
}

std::string format_text(const StoreIdentity& identity) {
  const std::string text = version_lines(kStoreFormat) + "cluster " + identity.cluster_id +
                           "\npeer " + std::to_string(identity.peer) + "\ndisk " +
                           identity.disk_id + "\n";
  return text + checksum_line(text);
}

std::string line_of(std::string_view text, std::string_view word) {
  const std::size_t at = text.find("\n" + std::string(word) + " ");
  if (at == std::string_view::npos) return {};
  const std::string_view rest = text.substr(at + word.size() + 2);
  return std::string(rest.substr(0, rest.find('\n')));
}

std::string name_of(const std::string& cluster, const std::string& peer, const std::string& disk) {
  return "peer " + peer + " of cluster '" + cluster + "' on disk '" + disk + "'";
}

bool printable(const std::string& id) {
  return !id.empty() && id.size() <= 256 &&
         std::ranges::all_of(id, [](char c) { return static_cast<unsigned char>(c) >= ' '; });
}

}  // namespace

StoreDirectory::StoreDirectory(std::shared_ptr<rocksdb::FileSystem> fs, const StoreOptions& options)
    : fs_(std::move(fs)), path_(options.path), identity_(options.identity) {}

StoreDirectory::~StoreDirectory() {
  if (lock_ == nullptr) return;
  fs_->UnlockFile(lock_, rocksdb::IOOptions(), nullptr).PermitUncheckedError();
}

Result<std::unique_ptr<StoreDirectory>> StoreDirectory::open(
    std::shared_ptr<rocksdb::FileSystem> fs, const StoreOptions& options) {
  const StoreIdentity& identity = options.identity;
  if (options.path.empty() || identity.peer == kNone || is_storage_thread(identity.peer) ||
      !printable(identity.cluster_id) || !printable(identity.disk_id)) {
    return fail(
        ErrorCode::kBadArgument,
        "a raft store needs a path, a cluster id, a peer and a disk id; ids are of 1 to 256 "
        "characters without control characters");
  }
  for (std::size_t slash = options.path.find('/', 1);; slash = options.path.find('/', slash + 1)) {
    const std::string part = options.path.substr(0, slash);
    const auto made = fs->CreateDirIfMissing(part, rocksdb::IOOptions(), nullptr);
    if (!made.ok()) return store_error(made, "create the directory " + part);
    if (slash == std::string::npos) break;
  }
  std::unique_ptr<StoreDirectory> directory(new StoreDirectory(std::move(fs), options));
  if (Status locked = directory->lock(); !locked) return std::unexpected(locked.error());
  if (Status format = directory->read_format(); !format) return std::unexpected(format.error());
  return directory;
}

Status StoreDirectory::lock() {
  const auto locked = fs_->LockFile(path_ + "/LOCK", rocksdb::IOOptions(), &lock_, nullptr);
  if (locked.ok()) return {};
  lock_ = nullptr;
  return fail(ErrorCode::kDataDirLocked,
              "the raft store " + path_ +
                  " is in use by another process, which has to stop first: " + locked.ToString());
}

bool StoreDirectory::exists(const std::string& path) const {
  return !fs_->FileExists(path, rocksdb::IOOptions(), nullptr).IsNotFound();
}

Status StoreDirectory::read_format() {
  const std::string file = path_ + "/FORMAT";
  if (!exists(file)) return {};
  std::string text;
  const auto status = rocksdb::ReadFileToString(fs_.get(), file, &text);
  if (!status.ok()) return store_error(status, "read " + file);
  int version = 0;
  if (text.starts_with(kFormatWords)) {
    std::from_chars(text.data() + kFormatWords.size(), text.data() + text.size(), version);
  }
  if (version > kStoreFormat && text.starts_with(version_lines(version))) {
    return fail(ErrorCode::kDataDirVersion,
                path_ + " was written in format " + std::to_string(version) +
                    ", this program knows up to " + std::to_string(kStoreFormat) +
                    ": start it with the newer program");
  }
  const std::size_t end = text.find_last_of('\n', text.empty() ? 0 : text.size() - 2);
  const std::string signed_text = end == std::string::npos ? "" : text.substr(0, end + 1);
  if (version <= 0 || text != signed_text + checksum_line(signed_text)) {
    return fail(ErrorCode::kCorrupt, file + " is damaged. " + kRejoin);
  }
  formatted_ = true;
  if (text == format_text(identity_)) return {};
  return fail(ErrorCode::kBadArgument,
              "the raft store " + path_ + " belongs to " +
                  name_of(line_of(text, "cluster"), line_of(text, "peer"), line_of(text, "disk")) +
                  ", and was opened as " +
                  name_of(identity_.cluster_id, std::to_string(identity_.peer), identity_.disk_id) +
                  ": start the node with its own directory and configuration");
}

// The watermark is made before the database and gets its first mark after it.
Status StoreDirectory::clear() {
  bool promised = exists(database_path() + "/CURRENT") && !exists(watermark_path());
  if (exists(watermark_path())) {
    auto watermark = Watermark::open(*fs_, watermark_path());
    if (!watermark) return std::unexpected(watermark.error());
    const auto newest = (*watermark)->load();
    promised = newest && newest->mark.state.round > 1;
  }
  if (promised) {
    return fail(ErrorCode::kCorrupt,
                path_ + "/FORMAT is missing, and the store was in use. " + kRejoin);
  }
  const rocksdb::IOOptions io;
  std::vector<std::string> names;
  fs_->GetChildren(database_path(), io, &names, nullptr).PermitUncheckedError();
  for (const std::string& name : names) {
    if (name == "." || name == "..") continue;
    const auto removed = fs_->DeleteFile(database_path() + "/" + name, io, nullptr);
    if (!removed.ok()) return store_error(removed, "remove " + database_path() + "/" + name);
  }
  return {};
}

Status StoreDirectory::mark_formatted() {
  const rocksdb::IOOptions io;
  const std::string fresh = path_ + "/FORMAT.tmp";
  std::unique_ptr<rocksdb::FSWritableFile> file;
  auto status = fs_->NewWritableFile(fresh, rocksdb::FileOptions(), &file, nullptr);
  if (status.ok()) status = file->Append(format_text(identity_), io, nullptr);
  if (status.ok()) status = file->Sync(io, nullptr);
  if (status.ok()) status = file->Close(io, nullptr);
  if (status.ok()) status = fs_->RenameFile(fresh, path_ + "/FORMAT", io, nullptr);
  if (!status.ok()) return store_error(status, "write " + path_ + "/FORMAT");
  formatted_ = true;
  return sync();
}

Status StoreDirectory::sync() {
  std::unique_ptr<rocksdb::FSDirectory> directory;
  auto status = fs_->NewDirectory(path_, rocksdb::IOOptions(), &directory, nullptr);
  if (status.ok()) status = directory->Fsync(rocksdb::IOOptions(), nullptr);
  if (!status.ok()) return store_error(status, "sync the directory " + path_);
  return {};
}

}  // namespace andyx::raft
