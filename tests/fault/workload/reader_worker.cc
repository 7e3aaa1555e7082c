#include "tests/fault/workload/reader_worker.h"

#include <chrono>
#include <utility>

namespace andyx::test::fault {
namespace {

constexpr std::uint32_t kReadBytes = 256 * 1024;
constexpr std::uint32_t kRereadBytes = 32 * 1024;  // little: the history keeps every record
constexpr std::uint32_t kPauseMs = 20;
constexpr std::uint64_t kRereadOneIn = 50;  // rounds over all partitions
constexpr std::uint32_t kPatienceMs = 3'000, kFinalPatienceMs = 30'000;

Result<client::Client> connect_to(const std::string& server, std::uint32_t timeout_ms) {
  return client::Client::connect({.servers = {server},
                                  .name = "fault-test-reader",
                                  .connect_timeout_ms = timeout_ms,
                                  .request_timeout_ms = timeout_ms,
                                  .backoff_max_ms = 200});
}

}  // namespace

std::optional<Offset> read_once(Stage& stage, client::Admin& admin, ReaderId reader,
                                std::uint32_t partition, Offset from, std::uint32_t max_bytes) {
  Result<client::ReadResult> result = admin.read(stage.topic, partition, from, max_bytes);
  if (!result) {
    stage.history.add(Note{"reader " + stage.history.cast().readers[reader].name + ": " +
                           result.error().message});
    return std::nullopt;
  }
  std::vector<Event> events = {ReadFrom{reader, partition, from}};
  client::Message message;
  while (result->messages.next(message)) {
    events.push_back(ReadRecord{
        reader, Record{.partition = partition,
                       .offset = message.offset,
                       .id = id_in(message.payload).value_or(kNobody),
                       .content = content_of(message.payload, message.key.value_or(""))}});
  }
  if (!result->messages.status()) {  // nothing of it was ever sent
    events.push_back(
        ReadRecord{reader, Record{.partition = partition, .offset = from, .id = kNobody}});
  }
  events.push_back(ReadEnd{reader, partition, result->start_offset, result->committed_offset});
  stage.history.add_all(std::move(events));
  return result->next_offset;
}

ReaderWorker::ReaderWorker(Stage& stage, std::string server, ReaderId id, std::uint32_t partitions,
                           std::uint64_t seed)
    : stage_(stage),
      server_(std::move(server)),
      id_(id),
      random_(seed),
      next_(partitions),
      thread_([this] { run(); }) {}

ReaderWorker::~ReaderWorker() { stop(); }

void ReaderWorker::stop() {
  stopping_ = true;
  if (thread_.joinable()) thread_.join();
}

bool ReaderWorker::connect() {
  auto client = connect_to(server_, kPatienceMs);
  if (client) client_ = std::move(*client);
  return client.has_value();
}

void ReaderWorker::run() {
  while (!stopping_) {
    if (client_ || connect()) {
      client::Admin admin = client_->admin();
      for (std::uint32_t partition = 0; partition < next_.size() && !stopping_; ++partition) {
        const auto next = read_once(stage_, admin, id_, partition, next_[partition], kReadBytes);
        if (next) next_[partition] = *next;
        if (next_[partition] > 0 && random_() % kRereadOneIn == 0) {
          read_once(stage_, admin, id_, partition, random_() % next_[partition], kRereadBytes);
        }
      }
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(kPauseMs));
  }
}

std::optional<std::vector<Offset>> read_everything(Stage& stage, const std::string& server,
                                                   ReaderId reader, std::uint32_t partitions) {
  auto client = connect_to(server, kFinalPatienceMs);
  if (!client) {
    stage.history.add(Note{"the final reader: " + client.error().message});
    return std::nullopt;
  }
  client::Admin admin = client->admin();
  std::vector<Offset> ends;
  for (std::uint32_t partition = 0; partition < partitions; ++partition) {
    const auto bounds = admin.lookup_offset(stage.topic, partition, client::Start::earliest());
    if (!bounds) return std::nullopt;
    Offset next = bounds->start_offset;
    do {
      const auto read = read_once(stage, admin, reader, partition, next, kReadBytes);
      if (!read || (*read == next && next < bounds->committed_offset)) return std::nullopt;
      next = *read;
    } while (next < bounds->committed_offset);
    ends.push_back(next);
  }
  return ends;
}

}  // namespace andyx::test::fault
