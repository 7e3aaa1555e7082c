// One test for every implementation of the storage contract.
#include <doctest/doctest.h>

#include <atomic>
#include <thread>

#include "storage/rocksdb_shard.h"
#include "tests/storage/support/test_batches.h"

using namespace andyx;
using namespace andyx::storage;
using namespace andyx::storage::test;

namespace {

struct Opened {
  TempDir directory;
  std::unique_ptr<StorageShard> shard;
};

void with_each_shard(const std::function<void(StorageShard&)>& test) {
  SUBCASE("memory") {
    const auto shard = open_memory_shard({});
    test(*shard);
    CHECK(shard->close());
  }
  SUBCASE("rocksdb") {
    const TempDir directory;
    auto shard = open_rocksdb_shard({.directory = directory.path()});
    REQUIRE(shard);
    test(**shard);
    CHECK((*shard)->close());
  }
  SUBCASE("rocksdb with tiny generations") {  // every few batches lie in another one
    const TempDir directory;
    auto shard = open_rocksdb_shard({.directory = directory.path(), .generation_bytes = 1'000});
    REQUIRE(shard);
    test(**shard);
    CHECK((*shard)->close());
  }
}

std::vector<Offset> bases(const std::vector<SharedBytes>& batches) {
  std::vector<Offset> out;
  for (const SharedBytes& bytes : batches) {
    out.push_back(batch::read_header(bytes.span())->base_offset);
  }
  return out;
}

}  // namespace

TEST_CASE("what was appended is read back, from any offset") {
  with_each_shard([](StorageShard& shard) {
    CHECK_FALSE(shard.log_state(7));
    for (Offset base = 0; base < 60; base += 3) {
      REQUIRE(append(shard, 7, base, {.count = 3, .epoch = 2, .append_time_us = TimeUs(base)}) ==
              ErrorCode::kOk);
    }
    const auto state = shard.log_state(7);
    REQUIRE(state);
    CHECK(state->start_offset == 0);
    CHECK(state->end_offset == 60);
    CHECK(state->last_epoch == 2);
    CHECK(state->last_append_time_us == 57);
    CHECK(state->bytes > 20 * 88);
    CHECK(shard.logs() == std::vector<LogId>{7});
    for (Offset from = 0; from < 60; ++from) {
      auto batches = shard.read(7, from, 1);
      REQUIRE(batches);
      CHECK(bases(*batches) == std::vector<Offset>{from / 3 * 3});
      CHECK(read_all(shard, 7, from, 20) == Offset{60});
    }
    CHECK(shard.read(7, 60, 1000)->empty());
    CHECK(shard.read(7, 61, 1000).error().code == ErrorCode::kOffsetOutOfRange);
    CHECK(shard.read(99, 0, 1000)->empty());
    CHECK(shard.read(99, 1, 1000).error().code == ErrorCode::kOffsetOutOfRange);
  });
}

TEST_CASE("a read takes no more bytes than asked, but at least one batch") {
  with_each_shard([](StorageShard& shard) {
    for (Offset base = 0; base < 10; ++base) append(shard, 1, base, {.payload_bytes = 1'000});
    const std::size_t one = shard.read(1, 0, 1)->front().size();
    CHECK(shard.read(1, 2, 3 * one)->size() == 3);
    CHECK(shard.read(1, 2, 4 * one - 1)->size() == 3);
    CHECK(shard.read(1, 8, 100 * one)->size() == 2);
  });
}

TEST_CASE("a batch that does not continue its log, or is none, is refused") {
  with_each_shard([](StorageShard& shard) {
    CHECK(append(shard, 1, 5) == ErrorCode::kOk);  // the first may start anywhere
    CHECK(shard.log_state(1)->start_offset == 5);
    CHECK(append(shard, 1, 5) == ErrorCode::kBadArgument);
    CHECK(append(shard, 1, 7) == ErrorCode::kBadArgument);
    WriteGroup torn;
    const SharedBytes whole = make_batch(1, 6);
    torn.appends.push_back({1, whole.slice(0, whole.size() - 1)});
    CHECK(write(shard, std::move(torn)) == ErrorCode::kBadBatch);
    WriteGroup half;
    half.appends.push_back({1, make_batch(1, 6)});
    half.appends.push_back({2, make_batch(2, 0)});
    half.appends.push_back({1, make_batch(1, 6)});
    CHECK(write(shard, std::move(half)) == ErrorCode::kBadArgument);
    CHECK_FALSE(shard.log_state(2));
    CHECK(append(shard, 1, 6) == ErrorCode::kOk);
    CHECK(shard.log_state(1)->end_offset == 7);
    CHECK(read_all(shard, 1, 5, 20) == Offset{7});
  });
}

TEST_CASE("find_time gives the first batch at or after a time") {
  with_each_shard([](StorageShard& shard) {
    CHECK(shard.find_time(1, 5) == Offset{0});
    for (Offset base = 0; base < 40; base += 2) {
      append(shard, 1, base, {.count = 2, .append_time_us = TimeUs(base / 4 * 100)});
    }
    CHECK(shard.find_time(1, -1) == Offset{0});
    CHECK(shard.find_time(1, 0) == Offset{0});
    CHECK(shard.find_time(1, 1) == Offset{4});
    CHECK(shard.find_time(1, 500) == Offset{20});
    CHECK(shard.find_time(1, 501) == Offset{24});
    CHECK(shard.find_time(1, 901) == Offset{40});
    REQUIRE(shard.advance_start(1, 9));
    CHECK(shard.find_time(1, 0) == Offset{9});
    CHECK(shard.find_time(1, 201) == Offset{12});
  });
}

TEST_CASE("find_size gives the newest batches that fit, and at least one") {
  with_each_shard([](StorageShard& shard) {
    CHECK(shard.find_size(1, 100)->bytes == 0);
    std::vector<std::uint64_t> sizes;  // of batches of two, each of another size
    for (Offset base = 0; base < 60; base += 2) {
      const SharedBytes batch =
          make_batch(1, base, {.count = 2, .payload_bytes = 30 + 17 * (base % 11)});
      sizes.push_back(batch.size());
      WriteGroup group;
      group.appends.push_back({1, batch});
      REQUIRE(write(shard, std::move(group)) == ErrorCode::kOk);
    }
    for (const Offset start : {Offset{0}, Offset{2}, Offset{37}, Offset{58}}) {
      REQUIRE(shard.advance_start(1, start));
      std::uint64_t bytes = 0;
      for (Offset base = 60; base > start / 2 * 2;) {
        base -= 2;
        bytes += sizes[base / 2];
        CAPTURE(start);
        CAPTURE(base);
        const auto exact = shard.find_size(1, bytes);
        REQUIRE(exact);
        CHECK(exact->from == std::max(base, start));
        CHECK(exact->bytes == bytes);
        const auto one_less = shard.find_size(1, bytes - 1);  // all but the oldest, if there is one
        REQUIRE(one_less);
        CHECK(one_less->from == std::max(base == 58 ? base : base + 2, start));
      }
      CHECK(shard.find_size(1, bytes + 1'000'000)->from == start);
      CHECK(shard.find_size(1, 0)->from == 58);
    }
    REQUIRE(shard.advance_start(1, 60));
    CHECK(shard.find_size(1, 0)->from == 60);
    CHECK(shard.find_size(1, 0)->bytes == 0);
  });
}

TEST_CASE("bytes_from tells what is stored from an offset on") {
  with_each_shard([](StorageShard& shard) {
    CHECK(shard.bytes_from(1, 0) == std::uint64_t{0});
    for (Offset base = 0; base < 40; base += 2) append(shard, 1, base, {.count = 2});
    const std::uint64_t one = shard.read(1, 0, 1)->front().size();
    for (const Offset start : {Offset{0}, Offset{6}, Offset{31}}) {
      REQUIRE(shard.advance_start(1, start));
      for (Offset from = start; from <= 40; ++from) {
        const auto bytes = shard.bytes_from(1, from);
        REQUIRE(bytes);
        CHECK(*bytes + one >= (40 - from) * one / 2);  // an estimate: less than a batch off
        CHECK(*bytes <= (40 - from) * one / 2 + one);
      }
      CHECK(shard.log_state(1)->bytes <= (40 - start) * one / 2 + one);
      CHECK(shard.bytes_from(1, 41).error().code == ErrorCode::kOffsetOutOfRange);
    }
    CHECK(shard.bytes_from(1, 30).error().code == ErrorCode::kOffsetOutOfRange);
  });
}

TEST_CASE("the start advances, and never goes back") {
  with_each_shard([](StorageShard& shard) {
    for (Offset base = 0; base < 30; base += 3) append(shard, 1, base, {.count = 3});
    const std::uint64_t before = shard.log_state(1)->bytes;
    REQUIRE(shard.advance_start(1, 10));
    REQUIRE(shard.advance_start(1, 4));
    CHECK(shard.log_state(1)->start_offset == 10);
    CHECK(shard.log_state(1)->bytes < before);
    CHECK(shard.read(1, 9, 1).error().code == ErrorCode::kOffsetOutOfRange);
    CHECK(bases(*shard.read(1, 10, 1)) == std::vector<Offset>{9});
    CHECK(shard.advance_start(1, 31).error().code == ErrorCode::kOffsetOutOfRange);
    REQUIRE(shard.advance_start(1, 30));
    CHECK(shard.read(1, 30, 1)->empty());
    CHECK(append(shard, 1, 30) == ErrorCode::kOk);
    CHECK(read_all(shard, 1, 30, 20) == Offset{31});
  });
}

TEST_CASE("a dropped log is gone, and its id stays unusable") {
  with_each_shard([](StorageShard& shard) {
    append(shard, 1, 0);
    append(shard, 2, 0);
    REQUIRE(shard.drop_log(1));
    REQUIRE(shard.drop_log(1));
    CHECK_FALSE(shard.log_state(1));
    CHECK(shard.logs() == std::vector<LogId>{2});
    CHECK(shard.read(1, 0, 1)->empty());
    CHECK(append(shard, 1, 0) == ErrorCode::kBadArgument);
    CHECK(read_all(shard, 2, 0, 20) == Offset{1});
  });
}

TEST_CASE("a truncated log ends at the cut and goes on from there") {
  with_each_shard([](StorageShard& shard) {
    for (Offset base = 0; base < 40; base += 2) {
      append(shard, 1, base,
             {.count = 2, .epoch = MainEpoch(base / 10 + 1), .append_time_us = TimeUs(base)});
      append(shard, 2, base, {.count = 2});
    }
    CHECK(shard.truncate(1, 41).error().code == ErrorCode::kOffsetOutOfRange);
    CHECK(shard.truncate(1, 15).error().code == ErrorCode::kBadArgument);
    CHECK(shard.truncate(1, 40)->bytes == 0);
    const auto cut = shard.truncate(1, 14);
    REQUIRE(cut);
    CHECK(cut->from == 14);
    CHECK(cut->to == 40);
    CHECK(cut->bytes > 13 * 88);
    const auto state = shard.log_state(1);
    CHECK(state->end_offset == 14);
    CHECK(state->last_epoch == 2);
    CHECK(state->last_append_time_us == 12);
    CHECK(shard.read(1, 14, 1)->empty());
    CHECK(shard.read(1, 15, 1).error().code == ErrorCode::kOffsetOutOfRange);
    CHECK(read_all(shard, 1, 0, 20) == Offset{14});
    for (Offset base = 14; base < 50; ++base) {
      REQUIRE(append(shard, 1, base, {.payload_bytes = 30, .epoch = 9}) == ErrorCode::kOk);
    }
    CHECK(read_all(shard, 1, 14, 30) == Offset{50});
    REQUIRE(shard.truncate(1, 16));
    REQUIRE(shard.truncate(1, 0));
    CHECK(shard.log_state(1)->last_epoch == 0);
    CHECK(append(shard, 1, 0, {.payload_bytes = 25}) == ErrorCode::kOk);
    CHECK(read_all(shard, 1, 0, 25) == Offset{1});
    CHECK(read_all(shard, 2, 0, 20) == Offset{40});
  });
}

TEST_CASE("a log that begins anew holds nothing of before, wherever it begins") {
  with_each_shard([](StorageShard& shard) {
    const auto get = [&] { return shard.get(Table::kCursor, "beside"); };
    CHECK(shard.reset_log(1, 7, {{Table::kCursor, "beside", "put"}}));  // there is no such log
    CHECK_FALSE(shard.log_state(1));
    CHECK(*get() == "put");
    for (Offset base = 0; base < 40; base += 2) {
      REQUIRE(append(shard, 1, base, {.count = 2, .payload_bytes = 40, .epoch = 3}) ==
              ErrorCode::kOk);
      append(shard, 2, base, {.count = 2});
    }
    REQUIRE(shard.advance_start(1, 21));
    REQUIRE(shard.reset_log(1, 100, {{Table::kCursor, "beside", std::nullopt}}));
    CHECK_FALSE(*get());
    CHECK(shard.log_state(1)->start_offset == 100);
    CHECK(shard.log_state(1)->end_offset == 100);
    CHECK(shard.log_state(1)->last_epoch == 0);
    CHECK(shard.log_state(1)->bytes == 0);
    CHECK(shard.read(1, 39, 1).error().code == ErrorCode::kOffsetOutOfRange);
    CHECK(shard.read(1, 100, 1)->empty());
    CHECK(append(shard, 1, 40) == ErrorCode::kBadArgument);
    CHECK(append(shard, 1, 100, {.payload_bytes = 30}) == ErrorCode::kOk);
    REQUIRE(shard.advance_start(1, 101));
    // The offsets of its first life come again.
    REQUIRE(shard.reset_log(1, 0, {}));
    for (Offset base = 0; base < 30; ++base)
      REQUIRE(append(shard, 1, base, {.payload_bytes = 25, .epoch = 9}) == ErrorCode::kOk);
    CHECK(shard.log_state(1)->start_offset == 0);
    CHECK(read_all(shard, 1, 0, 25) == Offset{30});
    CHECK(read_all(shard, 2, 0, 20) == Offset{40});
  });
}

TEST_CASE("the whole of a log is cut at its start, which may lie inside of a batch") {
  with_each_shard([](StorageShard& shard) {
    for (Offset base = 0; base < 20; base += 4) append(shard, 1, base, {.count = 4});
    REQUIRE(shard.advance_start(1, 6));
    CHECK(shard.truncate(1, 6));
    CHECK(shard.log_state(1)->end_offset == 6);
    CHECK(shard.read(1, 6, 1)->empty());
    CHECK(append(shard, 1, 6) == ErrorCode::kOk);
  });
}

TEST_CASE("small state: put, overwrite, delete, scan in order") {
  with_each_shard([](StorageShard& shard) {
    WriteGroup group;
    group.puts = {{Table::kMeta, "b/2", "two"},
                  {Table::kMeta, "a", "one"},
                  {Table::kMeta, "b/1", ""},
                  {Table::kMeta, "c", "x"},
                  {Table::kCursor, "b/3", "cursor"}};
    REQUIRE(write(shard, std::move(group)) == ErrorCode::kOk);
    CHECK(shard.get(Table::kMeta, "a").value() == "one");
    CHECK(shard.get(Table::kMeta, "b/1").value() == "");
    CHECK_FALSE(shard.get(Table::kMeta, "b/3").value());
    CHECK(shard.get(Table::kCursor, "b/3").value() == "cursor");
    WriteGroup second;
    second.puts = {
        {Table::kMeta, "a", std::nullopt}, {Table::kMeta, "b/2", "2"}, {Table::kMeta, "b/2", "22"}};
    REQUIRE(write(shard, std::move(second)) == ErrorCode::kOk);
    CHECK_FALSE(shard.get(Table::kMeta, "a").value());
    std::string seen;
    CHECK(shard.scan(Table::kMeta, "b/", [&](std::string_view key, std::string_view value) {
      seen += std::string(key) + "=" + std::string(value) + ";";
      return true;
    }));
    CHECK(seen == "b/1=;b/2=22;");
    int visited = 0;
    CHECK(shard.scan(Table::kMeta, "",
                     [&](std::string_view, std::string_view) { return ++visited < 2; }));
    CHECK(visited == 2);
    const auto keys_from = [&](std::string_view first) {
      std::string keys;
      CHECK(shard.scan_from(Table::kMeta, "b/", first, [&](std::string_view key, std::string_view) {
        keys += std::string(key) + ";";
        return true;
      }));
      return keys;
    };
    CHECK(keys_from("b/1") == "b/1;b/2;");
    CHECK(keys_from(std::string("b/1\0", 4)) == "b/2;");
    CHECK(keys_from("b/3").empty());
    CHECK(keys_from("a") == "b/1;b/2;");
    WriteGroup bad;
    bad.puts = {{Table::kMeta, "", "x"}};
    CHECK(write(shard, std::move(bad)) == ErrorCode::kBadArgument);
  });
}

TEST_CASE("every call that looks for data or state is counted, and writes are not") {
  with_each_shard([](StorageShard& shard) {
    WriteGroup group;
    group.appends.push_back({7, make_batch(7, 0)});
    group.puts = {{Table::kMeta, "key", "value"}};
    const std::uint64_t opened = shard.status().reads;
    REQUIRE(write(shard, std::move(group)) == ErrorCode::kOk);
    CHECK(shard.log_state(7).has_value());  // known without a look
    CHECK(shard.status().reads == opened);
    std::uint64_t looks = 0;
    const auto counted = [&] { return shard.status().reads == opened + ++looks; };
    REQUIRE(shard.read(7, 0, 1'000));
    CHECK(counted());
    REQUIRE(shard.find_time(7, 0));
    CHECK(counted());
    REQUIRE(shard.find_size(7, 1'000));
    CHECK(counted());
    REQUIRE(shard.bytes_from(7, 0));
    CHECK(counted());
    REQUIRE(shard.get(Table::kMeta, "key"));
    CHECK(counted());
    REQUIRE(shard.scan(Table::kMeta, "k", [](std::string_view, std::string_view) { return true; }));
    CHECK(counted());
  });
}

TEST_CASE("each observer gets its results in the order of submission") {
  with_each_shard([](StorageShard& shard) {
    constexpr std::uint64_t kGroups = 2'000;
    std::vector<Recorder> recorders(3);
    std::vector<std::thread> threads;
    for (LogId log = 0; log < recorders.size(); ++log) {
      threads.emplace_back([&shard, &recorder = recorders[log], log] {
        for (std::uint64_t token = 0; token < kGroups; ++token) {
          WriteGroup group{.token = token};
          group.appends.push_back({log, make_batch(log, token)});
          if (!shard.submit(std::move(group), recorder)) std::abort();
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    for (LogId log = 0; log < recorders.size(); ++log) {
      const auto results = recorders[log].wait(kGroups);
      REQUIRE(results.size() == kGroups);
      bool ordered = true;
      for (std::uint64_t i = 0; i < kGroups; ++i) {
        ordered = ordered && results[i].token == i && results[i].error == ErrorCode::kOk;
      }
      CHECK(ordered);
      CHECK(read_all(shard, log, 0, 20) == Offset{kGroups});
    }
    CHECK(shard.status().state == "serving");
    CHECK(shard.status().queued_bytes == 0);
    CHECK(shard.status().written_bytes > 3 * kGroups * 88);
  });
}

TEST_CASE("a full queue refuses, and takes more once it has drained") {
  const auto check = [](StorageShard& shard) {
    class Gate final : public WriteObserver {
     public:
      void on_written(std::vector<WriteResult> results) override {
        std::unique_lock lock(mutex);
        written += results.size();
        changed.notify_all();
        changed.wait(lock, [this] { return open; });
      }
      std::mutex mutex;
      std::condition_variable changed;
      std::size_t written = 0;
      bool open = false;
    } gate;
    Offset next = 0;
    ErrorCode code = ErrorCode::kOk;
    while (code == ErrorCode::kOk && next < 10'000) {
      WriteGroup group;
      group.appends.push_back({1, make_batch(1, next, {.payload_bytes = 1'000})});
      const Status submitted = shard.submit(std::move(group), gate);
      code = submitted ? ErrorCode::kOk : submitted.error().code;
      if (submitted) ++next;
    }
    CHECK(code == ErrorCode::kOverloaded);
    {
      std::unique_lock lock(gate.mutex);
      gate.open = true;
      gate.changed.notify_all();
      gate.changed.wait(lock, [&] { return gate.written == next; });
    }
    CHECK(append(shard, 1, next, {.payload_bytes = 1'000}) == ErrorCode::kOk);
    CHECK(read_all(shard, 1, 0, 1'000) == next + 1);
  };
  SUBCASE("memory") { check(*open_memory_shard({.queue_bytes = 50'000})); }
  SUBCASE("rocksdb") {
    const TempDir directory;
    check(**open_rocksdb_shard({.directory = directory.path(), .queue_bytes = 50'000}));
  }
}

TEST_CASE("close drains what is queued; afterwards nothing is taken") {
  with_each_shard([](StorageShard& shard) {
    Recorder recorder;
    for (Offset base = 0; base < 200; ++base) {
      WriteGroup group{.token = base};
      group.appends.push_back({1, make_batch(1, base)});
      REQUIRE(shard.submit(std::move(group), recorder));
    }
    REQUIRE(shard.close());
    CHECK(recorder.results().size() == 200);
    CHECK(recorder.results().back().error == ErrorCode::kOk);
    CHECK(append(shard, 1, 200) == ErrorCode::kShuttingDown);
    CHECK(shard.close());
  });
}
