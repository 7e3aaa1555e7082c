// The store and its twin behind one face, so that one test runs on both.
#pragma once

#include "raft/core/memory_log_storage.h"
#include "tests/raft/store/support/store_fixture.h"

namespace andyx::raft::test {

class LogUnderTest {
 public:
  virtual ~LogUnderTest() = default;
  virtual const LogStorage& read() const = 0;
  virtual void write(StoreWrite write) = 0;  // durable when it returns
  virtual void save_snapshot(SnapshotPtr snapshot) = 0;
  virtual void compact(Index index) = 0;
};

class MemoryLog final : public LogUnderTest {
 public:
  const LogStorage& read() const override { return log_; }
  void write(StoreWrite write) override {
    if (write.hard) log_.set_hard_state(*write.hard);
    if (write.snapshot) log_.apply_snapshot(write.snapshot);
    log_.append(write.entries);
  }
  void save_snapshot(SnapshotPtr snapshot) override {
    log_.create_snapshot(snapshot->meta.index, snapshot->meta.conf, snapshot->data);
  }
  void compact(Index index) override {
    if (index <= (*log_.snapshot())->meta.index) log_.compact(index);
  }

 private:
  MemoryLogStorage log_;
};

class StoredLog final : public LogUnderTest {
 public:
  enum Reopen { kNever, kReopenAlways };

  explicit StoredLog(StoreOptions options, Reopen reopen = kNever)
      : options_(std::move(options)), reopen_(reopen), store_(open_or_fail(options_)) {}

  const LogStorage& read() const override { return *store_; }
  RaftStore& store() { return *store_; }
  void reopen() {
    store_.reset();
    store_ = open_or_fail(options_);
  }
  void write(StoreWrite write) override {
    write_and_wait(*store_, std::move(write));
    written();
  }
  void save_snapshot(SnapshotPtr snapshot) override {
    Counter done;
    store_->save_snapshot(std::move(snapshot), done.one());
    done.wait(1);
    written();
  }
  void compact(Index index) override {
    store_->compact(index);
    written();
  }

 private:
  void written() {
    if (reopen_ == kReopenAlways) reopen();
  }

  const StoreOptions options_;
  const Reopen reopen_;
  std::unique_ptr<RaftStore> store_;
};

}  // namespace andyx::raft::test
