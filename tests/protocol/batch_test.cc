#include <doctest/doctest.h>

#include <random>

#include "protocol/base/limits.h"
#include "protocol/batch/batch_builder.h"
#include "protocol/batch/key_hash.h"
#include "tests/protocol/batch_check.h"
#include "tests/protocol/sample_messages.h"

namespace andyx {
namespace {

using batch::BatchBuilder;
using batch::Compression;

std::vector<test::SampleMessage> random_messages(std::mt19937_64& random) {
  const auto below = [&](std::uint64_t bound) { return random() % bound; };
  const auto bytes = [&](std::size_t size) {
    std::string text(size, '\0');
    for (auto& c : text) c = static_cast<char>(below(4) == 0 ? below(256) : 'a');
    return text;
  };
  std::vector<test::SampleMessage> messages(1 + below(50));
  for (auto& message : messages) {
    if (below(2) == 0) message.key = bytes(below(30));
    message.headers.resize(below(4) == 0 ? below(5) : 0);
    for (auto& [name, value] : message.headers)
      name = bytes(1 + below(200)), value = bytes(below(300));
    message.payload = bytes(below(10) == 0 ? below(70'000) : below(200));
    // All of the range: the delta to the first time wraps around.
    message.time_us = static_cast<TimeUs>(below(3) == 0 ? random() : below(1'000'000));
    if (below(8) == 0) message.deliver_at_us = static_cast<TimeUs>(1 + below(1'000'000));
    if (below(8) == 0) message.message_id = bytes(1 + below(40));
  }
  return messages;
}

TEST_CASE("what goes into a batch comes out of it, whatever it is") {
  const auto seed = std::random_device{}();
  INFO("seed ", seed);
  std::mt19937_64 random(seed);
  for (int round = 0; round < 300; ++round) {
    const auto messages = random_messages(random);
    const auto compression = static_cast<Compression>(round % 3);
    const auto built = test::build_batch(messages, compression);
    const auto header = batch::verify_batch(built.span());
    REQUIRE_MESSAGE(header, header.error().message);
    CHECK(header->count == messages.size());
    test::check_messages(built.span(), messages);
  }
}

TEST_CASE("a batch without compression is as large as the builder said") {
  for (const auto& messages :
       {test::rich_messages(), test::delayed_messages(), test::identified_messages()}) {
    BatchBuilder builder;
    for (const auto& message : messages) {
      batch::RecordInput input{.payload = message.payload,
                               .deliver_at_us = message.deliver_at_us,
                               .message_id_hash = message.message_id.size()};
      REQUIRE(builder.add(input));
    }
    const auto promised = builder.size_bytes();
    CHECK(builder.build({}).size() == promised);
  }
}

TEST_CASE("a builder starts anew after build: nothing of the old batch is left") {
  BatchBuilder builder;
  REQUIRE(builder.add({.payload = "old", .time_us = 900, .deliver_at_us = 5}));
  builder.build({.producer_id = 1, .producer_epoch = 1, .sequence = 1});
  CHECK(builder.empty());
  REQUIRE(builder.add({.payload = "new", .time_us = 100}));
  const auto built = builder.build({});
  const auto header = batch::verify_batch(built.span());
  REQUIRE(header);
  CHECK(header->flags == batch::kFlagNoKeys);
  CHECK(header->first_time_us == 100);
  CHECK(header->last_time_us == 100);
  CHECK(header->producer_id == 0);
  test::check_messages(built.span(), {{.payload = "new", .time_us = 100}});
}

TEST_CASE("the server's fields are patched in place without breaking the checksum") {
  auto built = test::build_batch(test::rich_messages());
  batch::patch_server_fields(built.mutable_data(), 9, 123'456'789'012, -5);
  const auto header = batch::verify_batch(built.span());
  REQUIRE(header);
  CHECK(header->main_epoch == 9);
  CHECK(header->base_offset == 123'456'789'012);
  CHECK(header->append_time_us == -5);
  CHECK(header->last_offset() == 123'456'789'015);
  CHECK(header->end_offset() == 123'456'789'016);
}

TEST_CASE("the record table gives key hashes and times without decompressing") {
  const auto messages = test::delayed_messages();
  const auto built = test::build_batch(messages, Compression::kZstd);
  const auto header = batch::read_header(built.span());
  REQUIRE(header);
  for (std::uint32_t i = 0; i < header->count; ++i) {
    const auto& key = messages[i].key;
    CHECK(batch::table_entry(built.span(), i).key_hash == (key ? batch::table_key_hash(*key) : 0));
    CHECK(batch::deliver_at_us(built.span(), i) == messages[i].deliver_at_us);
  }
}

TEST_CASE("the table has key hashes as soon as one record has a key, and none without") {
  std::vector<test::SampleMessage> messages(3, {.payload = "four"});
  const auto keyless = test::build_batch(messages);
  CHECK(batch::read_header(keyless.span())->flags == batch::kFlagNoKeys);
  messages[1].key = "k";
  const auto keyed = test::build_batch(messages);
  CHECK(batch::read_header(keyed.span())->flags == 0);
  CHECK(keyed.size() == keyless.size() + 3 * sizeof(std::uint32_t) + messages[1].key->size());
  for (std::uint32_t i = 0; i < 3; ++i) {
    CHECK(batch::table_entry(keyless.span(), i).key_hash == 0);
    CHECK((batch::table_entry(keyed.span(), i).key_hash != 0) == (i == 1));
  }
  messages[2].message_id = "id";
  messages[0].deliver_at_us = 7;
  for (const bool with_key : {true, false}) {
    if (!with_key) messages[1].key.reset();
    const auto built = test::build_batch(messages);
    REQUIRE(batch::verify_batch(built.span()));
    test::check_messages(built.span(), messages);
  }
}

TEST_CASE("records are read in any order") {
  const auto messages = test::many_messages();
  const auto built = test::build_batch(messages, Compression::kLz4);
  const auto reader = batch::BatchReader::open(built.span());
  REQUIRE(reader);
  CHECK(reader->header().compression == Compression::kLz4);
  batch::Record record;
  for (std::uint32_t i = reader->count(); i-- > 0;) {
    REQUIRE(reader->read(i, record));
    CHECK(record.payload == messages[i].payload);
  }
}

TEST_CASE("a reader that has moved still leads to its own decompressed body") {
  const auto built = test::build_batch(test::many_messages(), Compression::kZstd);
  auto first = batch::BatchReader::open(built.span());
  REQUIRE(first);
  const auto second = std::move(*first);
  batch::Record record;
  REQUIRE(second.read(39, record));
  CHECK(record.payload == "message number 39");
}

TEST_CASE("a body that compression would not make smaller stays as it is") {
  const auto built = test::build_batch(test::plain_messages(), Compression::kZstd);
  const auto header = batch::verify_batch(built.span());
  REQUIRE(header);
  CHECK(header->compression == Compression::kNone);
}

TEST_CASE("a message over the limit is refused, one at the limit fits an empty batch") {
  const std::string key(100, 'k');
  const std::string payload(limits::kMaxMessageBytes - key.size() - 2, 'p');
  const batch::RecordHeader headers[] = {{"n", "v"}};
  BatchBuilder builder;
  CHECK(builder.add({.key = key, .payload = payload, .headers = headers}));
  const auto built = builder.build({});
  CHECK(batch::verify_batch(built.span()));

  const auto refused = builder.add({.key = key + "k", .payload = payload, .headers = headers});
  REQUIRE(!refused);
  CHECK(refused.error().code == ErrorCode::kMessageTooLarge);
  CHECK(builder.empty());
}

TEST_CASE("headers over their limits are refused, those at the limits pass") {
  const std::string longest(limits::kMaxHeaderNameBytes, 'n');
  std::vector<batch::RecordHeader> headers(limits::kMaxHeadersPerMessage, {longest, "v"});
  BatchBuilder builder;
  REQUIRE(builder.add({.headers = headers}));
  CHECK(batch::verify_batch(builder.build({}).span()));

  headers.push_back({"one", "more"});
  const auto too_many = builder.add({.headers = headers});
  REQUIRE(!too_many);
  CHECK(too_many.error().code == ErrorCode::kBadArgument);

  const std::string too_long = longest + "n";
  for (const std::string_view name : {std::string_view(too_long), std::string_view()}) {
    const batch::RecordHeader header[] = {{name, "v"}};
    const auto refused = builder.add({.headers = header});
    REQUIRE(!refused);
    CHECK(refused.error().code == ErrorCode::kBadArgument);
  }
  CHECK(builder.empty());
}

TEST_CASE("a full batch says so and is still whole") {
  SUBCASE("by bytes") {
    const std::string payload(1'000'000, 'p');
    BatchBuilder builder;
    Status status;
    while ((status = builder.add({.payload = payload, .deliver_at_us = 1}))) {
    }
    CHECK(status.error().code == ErrorCode::kLimitReached);
    CHECK(builder.count() == 9);
    const auto built = builder.build({});
    CHECK(built.size() <= limits::kMaxBatchBytes);
    CHECK(batch::verify_batch(built.span()));
    CHECK(builder.add({.payload = payload}));
  }
  SUBCASE("by records, or what their table leaves room for") {
    BatchBuilder builder;
    Status status;
    while ((status = builder.add({.payload = "x"}))) {
    }
    CHECK(status.error().code == ErrorCode::kLimitReached);
    const auto built = builder.build({});
    CHECK(built.size() <= limits::kMaxBatchBytes);
    CHECK(batch::verify_batch(built.span()));
  }
  SUBCASE("when one time would give every record a time") {
    BatchBuilder builder;
    while (builder.size_bytes() + 100 < limits::kMaxBatchBytes)
      REQUIRE(builder.add({.payload = "four"}));
    const auto refused = builder.add({.payload = "x", .deliver_at_us = 1});
    REQUIRE(!refused);
    CHECK(refused.error().code == ErrorCode::kLimitReached);
    CHECK(batch::verify_batch(builder.build({}).span()));
  }
}

TEST_CASE("a run of batches splits at its borders, a torn end is refused") {
  const auto one = test::build_batch(test::plain_messages());
  const auto two = test::build_batch(test::many_messages(), Compression::kLz4);
  std::vector<std::uint8_t> run(one.span().begin(), one.span().end());
  run.insert(run.end(), two.span().begin(), two.span().end());

  const auto batches = batch::split_batches(run);
  REQUIRE(batches);
  REQUIRE(batches->size() == 2);
  test::check_messages((*batches)[0], test::plain_messages());
  test::check_messages((*batches)[1], test::many_messages());

  CHECK(batch::split_batches({})->empty());
  run.pop_back();
  const auto torn = batch::split_batches(run);
  REQUIRE(!torn);
  CHECK(torn.error().code == ErrorCode::kBadBatch);
}

}  // namespace
}  // namespace andyx
