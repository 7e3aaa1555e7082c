#include "server/subscription/dead_letters.h"

#include <array>
#include <utility>

#include "frame_generated.h"
#include "protocol/batch/batch_builder.h"
#include "server/app/log.h"
#include "server/handlers/over_mains.h"
#include "server/loop/core_loop.h"
#include "server/partition/partition.h"

namespace andyx::server {
namespace {

constexpr std::uint64_t kRetryMs = 1'000;
constexpr std::uint32_t kStoreMs = 10'000;  // on another node

// Never given out by the metadata: one internal producer for each subscription.
ProducerId internal_producer(SubscriptionId id) { return kInternalProducers | id; }

}  // namespace

bool is_dead_letter_topic(std::string_view topic) { return topic.ends_with(kDeadSuffix); }

Result<TopicName> dead_letter_topic(const TopicName& topic) {
  TopicName dead = topic;
  dead.topic += kDeadSuffix;
  if (auto fits = check_name(dead.topic, "the dead-letter topic's name"); !fits)
    return std::unexpected(fits.error());
  return dead;
}

struct DeadLetters::Round {
  std::uint64_t sequence = 0;
  std::vector<SubscriptionCore::DeadLetter> letters;
  std::vector<SharedBytes> batches;  // as far as they are made
  std::weak_ptr<bool> alive;
  std::shared_ptr<Partition> partition;
  std::optional<Error> failed;
};

DeadLetters::DeadLetters(Partition& partition, const SubscriptionRecord& record,
                         SubscriptionCore& core, std::function<void()> progressed)
    : partition_(partition), record_(record), core_(core), progressed_(std::move(progressed)) {}

void DeadLetters::work(std::weak_ptr<bool> alive) {
  if (busy_ || (!core_.dead_round() && !core_.begin_dead_round())) return;
  busy_ = true;
  partition_.cursor_log().changed(
      record_.id, [this, alive, keep = partition_.shared_from_this()](Status durable) {
        if (alive.expired()) return;
        auto round = std::make_shared<Round>();
        round->alive = alive;
        round->partition = keep;
        if (!durable) {
          round->failed = durable.error();
          return finished(round);
        }
        const auto begun = core_.dead_round();
        round->sequence = begun->sequence;
        round->letters = begun->letters;
        read_next(round);
      });
}

// Reads the messages one after the other, then stores the letters.
void DeadLetters::read_next(const std::shared_ptr<Round>& round) {
  const std::size_t index = round->batches.size();
  if (round->failed || index == round->letters.size()) return send(round);
  const Offset offset = round->letters[index].offset;
  if (offset < partition_.core().start_offset()) {  // retention took it: nothing left to send
    round->batches.emplace_back();
    return read_next(round);
  }
  if (const CachedBatch* cached = partition_.cached(offset))
    return message_read(round, std::vector{cached->bytes});
  partition_.fetch(offset, 1, [this, round](Result<std::vector<SharedBytes>> read) {
    if (!round->alive.expired()) message_read(round, std::move(read));
  });
}

void DeadLetters::message_read(const std::shared_ptr<Round>& round,
                               Result<std::vector<SharedBytes>> read) {
  const std::size_t index = round->batches.size();
  if (read && read->empty())
    read = fail(ErrorCode::kInternal, "a message that failed too often was not found");
  if (read) {
    auto letter = make_letter(round->letters[index], round->sequence + index, read->front());
    if (letter)
      round->batches.push_back(std::move(*letter));
    else
      round->failed = letter.error();
  } else {
    round->failed = read.error();
  }
  read_next(round);
}

// The message as it was, with headers that say where it comes from.
Result<SharedBytes> DeadLetters::make_letter(const SubscriptionCore::DeadLetter& letter,
                                             std::uint64_t sequence,
                                             const SharedBytes& batch) const {
  auto reader = batch::BatchReader::open(batch.span());
  if (!reader) return std::unexpected(reader.error());
  batch::Record record;
  const auto index = static_cast<std::uint32_t>(letter.offset - reader->header().base_offset);
  if (auto read = reader->read(index, record); !read) return std::unexpected(read.error());
  const std::string offset = std::to_string(letter.offset);
  const std::string index_text = std::to_string(partition_.index());
  const std::string deliveries = std::to_string(letter.deliveries);
  const std::array<batch::RecordHeader, 6> origin{{{"andyx-dead-topic", partition_.topic_name()},
                                                   {"andyx-dead-partition", index_text},
                                                   {"andyx-dead-offset", offset},
                                                   {"andyx-dead-subscription", record_.name},
                                                   {"andyx-dead-deliveries", deliveries},
                                                   {"andyx-dead-reason", "max-deliveries"}}};
  std::vector<batch::RecordHeader> headers = record.headers;
  headers.insert(headers.end(), origin.begin(), origin.end());
  batch::BatchBuilder builder;
  batch::RecordInput input{
      .key = record.key, .payload = record.payload, .headers = headers, .time_us = record.time_us};
  auto added = builder.add(input);
  if (!added) {  // at the limits of a message: without the origin
    input.headers = record.headers;
    added = builder.add(input);
  }
  if (!added) return std::unexpected(added.error());
  return builder.build({.producer_id = internal_producer(record_.id), .sequence = sequence});
}

void DeadLetters::send(const std::shared_ptr<Round>& round) {
  if (round->failed) return finished(round);
  CoreLoop& home = partition_.loop();
  const auto topic = home.image().find_topic(partition_.topic_id());
  auto name = topic ? dead_letter_topic(topic->name)
                    : Result<TopicName>(fail(ErrorCode::kUnknownTopic, "the topic was deleted"));
  if (!name) {
    round->failed = name.error();
    return finished(round);
  }
  const auto partitions = static_cast<std::uint32_t>(topic->partitions().size());
  home.node().controller->ensure_topic(
      *name, partitions, [this, round, &home](Result<std::shared_ptr<const Topic>> dead) {
        const TopicId id = dead ? (*dead)->id : 0;
        when_mains_know(home, id, [this, round, dead = std::move(dead)] {
          if (round->alive.expired()) return;
          if (dead) return store(round, **dead);
          round->failed = dead.error();
          finished(round);
        });
      });
}

void DeadLetters::store(const std::shared_ptr<Round>& round, const Topic& dead) {
  CoreLoop& home = partition_.loop();
  const auto& target = dead.partitions()[partition_.index() % dead.partitions().size()];
  auto all_stored = std::make_shared<OnLastRelease>(home, [this, round] {
    if (!round->alive.expired()) finished(round);
  });
  if (target.main != home.node().config.node_id) {
    // Where it is by now, when this one is main no more: the next try sees that.
    for (const SharedBytes& batch : round->batches) {
      if (!batch.empty()) store_on_node(round, dead, target, batch, all_stored);
    }
    return;
  }
  CoreLoop& owner = home.node().loop_of(target.partition_id);
  auto outcome = [round, all_stored, &home](const Status& stored) {
    if (stored) return;
    home.net_loop().post([round, all_stored, error = stored.error()] { round->failed = error; });
  };
  owner.net_loop().post([&owner, id = target.partition_id, round, outcome] {
    auto* partition = owner.find_partition(id);
    for (SharedBytes& batch : round->batches) {
      if (batch.empty()) continue;
      if (partition == nullptr)
        outcome(fail(ErrorCode::kUnknownTopic, "the dead-letter topic was deleted"));
      else
        partition->append_internal(std::move(batch), outcome);
    }
  });
}

void DeadLetters::store_on_node(const std::shared_ptr<Round>& round, const Topic& dead,
                                const PartitionRecord& target, const SharedBytes& batch,
                                const std::shared_ptr<OnLastRelease>& all_stored) {
  if (target.main == 0) {
    round->failed = Error{ErrorCode::kNotMain, "the dead-letter partition has no main now"};
    return;
  }
  const auto fill = [&](flatbuffers::FlatBufferBuilder& builder) {
    auto bytes = builder.CreateVector(batch.data(), batch.size());
    return node_body(protocol::Body::Produce,
                     protocol::CreateProduce(builder, dead.id, target.index, target.main_epoch,
                                             protocol::Acks::quorum, bytes));
  };
  call_node(partition_.loop(), target.main, fill, kStoreMs,
            [round, all_stored](const Result<NodeFrame>& stored) {
              if (!stored) round->failed = stored.error();
            });
}

void DeadLetters::finished(const std::shared_ptr<Round>& round) {
  if (!round->failed) {
    busy_ = false;
    core_.dead_round_done(round->sequence);
    return progressed_();
  }
  log::warn("messages that failed too often wait for the dead-letter topic",
            {{"partition", partition_.describe()},
             {"subscription", record_.name},
             {"error", round->failed->message}});
  CoreLoop& loop = partition_.loop();
  loop.deadlines().add(loop.net_loop().now_ms() + kRetryMs, round->alive,
                       [this, alive = round->alive] {
                         busy_ = false;
                         work(alive);
                       });
}

}  // namespace andyx::server
