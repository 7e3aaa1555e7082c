// The conformance test of the MetadataLog contract, for every implementation.
#pragma once

#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "server/metadata/metadata_log.h"

namespace andyx::server::test {

// Blocking faces of the calls: tests wait for the answer.
class BlockingLog {
 public:
  explicit BlockingLog(MetadataLog& log) : log_(log) {}

  Result<ControllerEpoch> campaign() {
    return wait<Result<ControllerEpoch>>(
        [&](auto done) { log_.campaign(1, 1'000, std::move(done)); });
  }
  AppendResult append(Position expected, ControllerEpoch epoch, std::vector<EntryBytes> entries) {
    return wait<AppendResult>(
        [&](auto done) { log_.append(expected, epoch, std::move(entries), std::move(done)); });
  }
  Result<std::vector<LogEntry>> read(Position from, std::size_t max_bytes = 1 << 20) {
    return wait<Result<std::vector<LogEntry>>>(
        [&](auto done) { log_.read(from, max_bytes, std::move(done)); });
  }
  Result<Position> tail() {
    return wait<Result<Position>>([&](auto done) { log_.tail(std::move(done)); });
  }
  Status put_snapshot(Position position, const std::string& bytes) {
    return wait<Status>([&](auto done) {
      log_.put_snapshot({position, {bytes.begin(), bytes.end()}}, std::move(done));
    });
  }
  Result<std::optional<ImageSnapshotBytes>> get_snapshot() {
    return wait<Result<std::optional<ImageSnapshotBytes>>>(
        [&](auto done) { log_.get_snapshot(std::move(done)); });
  }
  Status trim(Position before) {
    return wait<Status>([&](auto done) { log_.trim(before, std::move(done)); });
  }

 private:
  template <typename T, typename Call>
  T wait(Call call) {
    std::promise<T> promise;
    auto answer = promise.get_future();
    call([&promise](T value) { promise.set_value(std::move(value)); });
    return answer.get();
  }

  MetadataLog& log_;
};

inline EntryBytes entry(const std::string& text) { return {text.begin(), text.end()}; }

// Opens the log: each time again on what the one before left behind (which has been destroyed).
using OpenLog = std::function<std::unique_ptr<MetadataLog>()>;

void check_metadata_log_conformance(const OpenLog& open);

}  // namespace andyx::server::test
