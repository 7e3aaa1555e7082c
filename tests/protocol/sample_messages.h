// What the golden batches hold: fixed, so that a change of the format shows. Also the fuzzers'
// seeds.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "protocol/batch/batch_builder.h"
#include "protocol/batch/key_hash.h"

namespace andyx::test {

struct SampleMessage {
  std::optional<std::string> key;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string payload;
  TimeUs time_us = 0;
  TimeUs deliver_at_us = 0;
  std::string message_id;  // empty: none
};

// 2024-01-02T03:04:05Z.
inline constexpr TimeUs kSampleTimeUs = 1'704'164'645'000'000;
inline constexpr batch::ProducerStamp kSampleStamp{
    .producer_id = 0x1122334455667788, .producer_epoch = 7, .sequence = 42};
inline constexpr MainEpoch kSampleEpoch = 3;
inline constexpr Offset kSampleBaseOffset = 1000;
inline constexpr TimeUs kSampleAppendTimeUs = kSampleTimeUs + 1'500;

// One message without key or headers.
inline std::vector<SampleMessage> plain_messages() {
  return {{.payload = "hello", .time_us = kSampleTimeUs}};
}

// Keys (empty and UTF-8 among them), headers, an empty payload, times that go back.
inline std::vector<SampleMessage> rich_messages() {
  return {
      {.key = "order-1",
       .headers = {{"type", "created"}},
       .payload = "{\"id\":1}",
       .time_us = kSampleTimeUs},
      {.key = "", .payload = std::string("\0\xff", 2), .time_us = kSampleTimeUs + 250},
      {.key = "Grüße",
       .headers = {{"a", ""}, {"trace", "00-ab-01"}},
       .time_us = kSampleTimeUs - 70},
      {.payload = std::string(200, 'x'), .time_us = kSampleTimeUs + 90'000'000},
  };
}

inline std::vector<SampleMessage> delayed_messages() {
  auto messages = rich_messages();
  messages[1].deliver_at_us = kSampleTimeUs + 60'000'000;
  messages[3].deliver_at_us = kSampleTimeUs + 3'600'000'000;
  return messages;
}

inline std::vector<SampleMessage> identified_messages() {
  auto messages = delayed_messages();
  messages[0].message_id = "order-1/created";
  messages[3].message_id = "x";
  return messages;
}

// Enough repetition that compression pays.
inline std::vector<SampleMessage> many_messages() {
  std::vector<SampleMessage> messages;
  for (int i = 0; i < 40; ++i) {
    const auto number = std::to_string(i);
    messages.push_back({.key = "key-" + std::to_string(i % 5),
                        .headers = {{"n", number}},
                        .payload = "message number " + number,
                        .time_us = kSampleTimeUs + i * 1'000});
  }
  return messages;
}

inline SharedBytes build_batch(const std::vector<SampleMessage>& messages,
                               batch::Compression compression = batch::Compression::kNone,
                               const batch::ProducerStamp& stamp = kSampleStamp) {
  batch::BatchBuilder builder(compression);
  for (const auto& message : messages) {
    std::vector<batch::RecordHeader> headers;
    for (const auto& [name, value] : message.headers) headers.push_back({name, value});
    batch::RecordInput input{.payload = message.payload,
                             .headers = headers,
                             .time_us = message.time_us,
                             .deliver_at_us = message.deliver_at_us};
    if (!message.message_id.empty())
      input.message_id_hash = batch::hash_message_id(message.message_id);
    if (message.key) input.key = *message.key;
    if (!builder.add(input)) std::abort();
  }
  return builder.build(stamp);
}

// As the server stores it.
inline SharedBytes stored_batch(const std::vector<SampleMessage>& messages,
                                batch::Compression compression = batch::Compression::kNone) {
  auto batch = build_batch(messages, compression);
  batch::patch_server_fields(batch.mutable_data(), kSampleEpoch, kSampleBaseOffset,
                             kSampleAppendTimeUs);
  return batch;
}

struct GoldenBatch {
  std::string_view file;
  batch::Compression compression;
  std::vector<SampleMessage> (*messages)();
  bool written = true;  // by builders of today; else only read
};

inline const GoldenBatch kGoldenBatches[] = {
    {"plain.bin", batch::Compression::kNone, plain_messages},
    {"plain_with_key_hashes.bin", batch::Compression::kNone, plain_messages, false},
    {"keys_and_headers.bin", batch::Compression::kNone, rich_messages},
    {"deliver_at.bin", batch::Compression::kNone, delayed_messages},
    {"message_ids.bin", batch::Compression::kNone, identified_messages},
    {"lz4.bin", batch::Compression::kLz4, many_messages},
    {"zstd.bin", batch::Compression::kZstd, many_messages},
};

}  // namespace andyx::test
