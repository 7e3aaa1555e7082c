// What stands behind a Client: its thread, its cluster, and what was made from it. start() and
// close() from the outside; everything else of the cluster on the thread.
#pragma once

#include <atomic>
#include <future>
#include <memory>
#include <set>
#include <thread>

#include "andyx/client.h"
#include "clients/cpp/src/cluster.h"
#include "protocol/net/loop.h"

namespace andyx::client {

// A producer or consumer: ended when the client is.
class Part {
 public:
  virtual void end(const Error& reason) = 0;  // the client's thread

 protected:
  ~Part() = default;
};

class ClientImpl {
 public:
  static Result<std::shared_ptr<ClientImpl>> start(const ClientOptions& options);
  ~ClientImpl();
  void close();

  const ClientOptions& options() const { return options_; }
  net::Loop& loop() { return *loop_; }
  Cluster& cluster() { return *cluster_; }
  bool on_thread() const { return thread_id_ == std::this_thread::get_id(); }
  std::uint32_t next_stream() { return next_stream_++; }

  // False when the client is closed.
  bool post(net::Task task) { return loop_->post(std::move(task)); }

  // Runs `begin(done)` on the thread and waits until `done` was called with a Result<T>, which it
  // has to be in every case.
  template <typename T, typename Begin>
  Result<T> wait(Begin begin) {
    if (on_thread()) {
      return fail(ErrorCode::kBadArgument,
                  "a callback may not wait: the client's own thread would stop");
    }
    auto promise = std::make_shared<std::promise<Result<T>>>();
    auto result = promise->get_future();
    const bool posted = post([begin = std::move(begin), promise]() mutable {
      begin([promise](Result<T> value) { promise->set_value(std::move(value)); });
    });
    if (!posted) return fail(ErrorCode::kShuttingDown, "the client is closed");
    return result.get();
  }
  // The same for something that only has to be done; on the thread itself at once.
  template <typename Work>
  void run_and_wait(Work work) {
    if (on_thread()) {
      work();
      return;
    }
    static_cast<void>(wait<bool>([work = std::move(work)](auto done) mutable {
      work();
      done(true);
    }));
  }

  // The thread. A part is kept until it is forgotten or has been ended.
  void remember(std::shared_ptr<Part> part) { parts_.insert(std::move(part)); }
  void forget(const std::shared_ptr<Part>& part) { parts_.erase(part); }

 private:
  ClientImpl(const ClientOptions& options, std::unique_ptr<net::Loop> loop);

  const ClientOptions options_;
  std::unique_ptr<net::Loop> loop_;
  std::unique_ptr<Cluster> cluster_;
  std::set<std::shared_ptr<Part>> parts_;
  std::uint32_t next_stream_ = 1;
  std::thread thread_;
  std::thread::id thread_id_;  // written before the first task is posted
  std::mutex closing_;
};

}  // namespace andyx::client
