// Comparing a batch with the messages that went into it. For doctest suites.
#pragma once

#include <doctest/doctest.h>

#include "protocol/batch/batch_reader.h"
#include "tests/protocol/sample_messages.h"

namespace andyx::test {

inline void check_messages(ByteSpan bytes, const std::vector<SampleMessage>& expected) {
  const auto reader = batch::BatchReader::open(bytes);
  REQUIRE_MESSAGE(reader, reader.error().message);
  REQUIRE(reader->count() == expected.size());
  batch::Record record;
  for (std::uint32_t i = 0; i < reader->count(); ++i) {
    INFO("record ", i);
    const auto status = reader->read(i, record);
    REQUIRE_MESSAGE(status, status.error().message);
    const auto& message = expected[i];
    CHECK(record.offset == reader->header().base_offset + i);
    CHECK(record.time_us == message.time_us);
    CHECK(record.append_time_us == reader->header().append_time_us);
    CHECK(record.deliver_at_us == message.deliver_at_us);
    CHECK(record.message_id_hash ==
          (message.message_id.empty() ? 0 : batch::hash_message_id(message.message_id)));
    REQUIRE(record.key.has_value() == message.key.has_value());
    if (message.key) CHECK(*record.key == *message.key);
    CHECK(record.payload == message.payload);
    REQUIRE(record.headers.size() == message.headers.size());
    for (std::size_t h = 0; h < message.headers.size(); ++h) {
      CHECK(record.headers[h].name == message.headers[h].first);
      CHECK(record.headers[h].value == message.headers[h].second);
    }
  }
}

}  // namespace andyx::test
