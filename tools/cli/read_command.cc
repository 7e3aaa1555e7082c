#include <unistd.h>

#include <algorithm>

#include "protocol/net/loop.h"
#include "tools/cli/session.h"
#include "tools/common/output.h"

namespace andyx::cli {
namespace {

constexpr std::uint32_t kReadBytes = 1'048'576;
constexpr std::uint32_t kFollowWaitMs = 100;  // of one round over all partitions
constexpr std::uint32_t kMinWaitMs = 5;

// Where reading stands in one partition.
struct Cursor {
  std::uint32_t partition = 0;
  Offset next = 0;
  Offset end = 0;         // committed when reading began
  Offset print_from = 0;  // --offset may lie beyond what there is yet
};

class Reading {
 public:
  Reading(Session& session, const Read& command)
      : admin_(session.client.admin()),
        timeout_ms_(session.options.timeout_ms),
        command_(command),
        output_(STDOUT_FILENO) {}

  // Prints what was read before an error, too.
  Status run() {
    const Status read = read_all();
    const Status flushed = output_.flush();
    return read ? flushed : read;
  }

 private:
  static std::uint64_t now_ms() { return net::monotonic_ns() / 1'000'000; }

  Status read_all() {
    if (Status found = find_cursors(); !found) return found;
    std::uint64_t progress_ms = now_ms();
    while (!finished()) {
      const std::uint64_t printed_before = position_;
      // Nothing came in the last round: wait at the server rather than ask again at once.
      const std::uint32_t wait_ms = idle_ ? wait_of_one_read() : 0;
      for (Cursor& cursor : cursors_) {
        if (Status read = read_some(cursor, wait_ms); !read) return read;
        if (finished()) break;
      }
      idle_ = position_ == printed_before;
      if (Status flushed = output_.flush(); !flushed) return flushed;
      if (!idle_ || command_.follow) progress_ms = now_ms();
      if (now_ms() - progress_ms > timeout_ms_) {
        return fail(ErrorCode::kTimedOut, "no message came for " + std::to_string(timeout_ms_) +
                                              " ms although there are more");
      }
    }
    return {};
  }

  std::uint32_t wait_of_one_read() const {
    return std::max(kMinWaitMs, kFollowWaitMs / static_cast<std::uint32_t>(cursors_.size()));
  }

  Status find_cursors() {
    const auto topic = admin_.describe_topic(command_.topic);
    if (!topic) return std::unexpected(topic.error());
    const auto partitions = static_cast<std::uint32_t>(topic->partitions.size());
    if (command_.partition && *command_.partition >= partitions) {
      return fail(ErrorCode::kUnknownPartition, "topic '" + command_.topic +
                                                    "' has partitions 0 to " +
                                                    std::to_string(partitions - 1) + ", not " +
                                                    std::to_string(*command_.partition));
    }
    const std::uint32_t first = command_.partition.value_or(0);
    const std::uint32_t last = command_.partition.value_or(partitions - 1);
    const client::Start start =
        command_.since ? client::Start::time(*command_.since) : client::Start::earliest();
    bool any_in_range = false;
    for (std::uint32_t partition = first; partition <= last; ++partition) {
      const auto found = admin_.lookup_offset(command_.topic, partition, start);
      if (!found) return std::unexpected(found.error());
      Cursor cursor{partition, found->offset, found->committed_offset, 0};
      if (command_.offset) {
        if (Status placed = place(cursor, *found, first == last); !placed) return placed;
        any_in_range |= *command_.offset <= found->committed_offset;
      }
      cursors_.push_back(cursor);
    }
    if (command_.offset && !any_in_range && !command_.follow) {
      return fail(ErrorCode::kOffsetOutOfRange, "offset " + std::to_string(*command_.offset) +
                                                    " is past the end of every partition of '" +
                                                    command_.topic + "'");
    }
    return {};
  }

  // --offset: exact for one partition. For several, those that do not reach so far add nothing yet,
  // and those that begin later are read from their start.
  Status place(Cursor& cursor, const client::OffsetInfo& info, bool only_one) const {
    const Offset wanted = *command_.offset;
    if (only_one && (wanted < info.start_offset || wanted > info.committed_offset)) {
      return fail(ErrorCode::kOffsetOutOfRange,
                  "offset " + std::to_string(wanted) + " of partition " +
                      std::to_string(cursor.partition) + " of '" + command_.topic +
                      "' is not there: it holds offsets " + std::to_string(info.start_offset) +
                      " to " + std::to_string(info.committed_offset) + " (the next one)");
    }
    cursor.print_from = wanted;
    cursor.next = std::clamp(wanted, info.start_offset, info.committed_offset);
    return {};
  }

  Status read_some(Cursor& cursor, std::uint32_t wait_ms) {
    if (!command_.follow && cursor.next >= cursor.end) return {};
    auto read = admin_.read(command_.topic, cursor.partition, cursor.next, kReadBytes, wait_ms);
    if (!read) return std::unexpected(read.error());
    client::Message message;
    while (!enough() && read->messages.next(message)) {
      if (!command_.follow && message.offset >= cursor.end) break;
      if (message.offset < cursor.print_from) continue;
      if (Status printed = print(message); !printed) return printed;
    }
    if (!read->messages.status()) return read->messages.status();
    position_ += read->next_offset - cursor.next;
    cursor.next = read->next_offset;
    return {};
  }

  Status print(const client::Message& message) {
    append_message(output_.buffer(), command_.print, message);
    ++printed_;
    return output_.written();
  }

  bool enough() const {
    return output_.closed() || (command_.count && printed_ >= *command_.count);
  }

  bool finished() const {
    if (enough()) return true;
    return !command_.follow && std::ranges::all_of(cursors_, [](const Cursor& cursor) {
      return cursor.next >= cursor.end;
    });
  }

  client::Admin admin_;
  std::uint64_t timeout_ms_;
  const Read& command_;
  tools::Output output_;
  std::vector<Cursor> cursors_;
  std::uint64_t printed_ = 0;
  std::uint64_t position_ = 0;  // how far all cursors have moved
  bool idle_ = false;
};

}  // namespace

Outcome run_command(Session& session, const Read& command) {
  Reading reading(session, command);
  if (Status done = reading.run(); !done) return std::unexpected(done.error());
  return tools::kDone;
}

}  // namespace andyx::cli
