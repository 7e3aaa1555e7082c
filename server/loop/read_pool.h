// The few threads that read from the disk, so that no loop ever waits for it. Owned by the server.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace andyx::server {

class ReadPool {
 public:
  using Job = std::move_only_function<void()>;

  // `max_queued`: jobs waiting at once; more are refused.
  ReadPool(unsigned threads, std::size_t max_queued);
  ~ReadPool();  // runs what is queued, then joins

  // Any thread. False when the queue is full or the pool stops: `job` is then still the caller's.
  bool submit(Job&& job);

 private:
  void work();

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Job> jobs_;
  std::size_t max_queued_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace andyx::server
