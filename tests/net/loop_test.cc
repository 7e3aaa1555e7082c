#include <pthread.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <ctime>
#include <thread>

#include "tests/net/net_fixture.h"

namespace andyx::net {

TEST_CASE("the mailbox loses nothing and keeps the order of each sender") {
  constexpr int kSenders = 4;
  constexpr int kTasks = 50'000;
  LoopThread thread;
  std::vector<int> next(kSenders, 0);
  std::atomic<int> out_of_order{0};
  Slot<bool> all;
  int done = 0;
  std::vector<std::thread> senders;
  for (int s = 0; s < kSenders; ++s) {
    senders.emplace_back([&, s] {
      for (int i = 0; i < kTasks; ++i) {
        thread.loop().post([&, s, i] {
          if (next[s]++ != i) ++out_of_order;
          if (++done == kSenders * kTasks) all.put(true);
        });
      }
    });
  }
  for (auto& sender : senders) sender.join();
  all.take();
  CHECK(out_of_order == 0);
  CHECK(thread.loop().queued() == 0);
}

TEST_CASE("try_post is bounded, post is not, and both work again once the loop has run") {
  auto loop = Loop::create(3).value();
  int ran = 0;
  for (int i = 0; i < 3; ++i) CHECK(loop->try_post([&] { ++ran; }));
  CHECK_FALSE(loop->try_post([&] { ++ran; }));
  CHECK(loop->post([&] { ++ran; }));
  CHECK(loop->queued() == 4);
  loop->post([&] {
    CHECK(loop->try_post([&] {
      ++ran;
      loop->stop();
    }));
  });
  loop->run();
  CHECK(ran == 5);
}

namespace {

// What the thread of a loop has used. Asking takes some microseconds of it.
std::int64_t cpu_ns(Loop& loop) {
  Slot<std::int64_t> taken;
  loop.post([&] {
    timespec time{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    taken.put(time.tv_sec * 1'000'000'000 + time.tv_nsec);
  });
  return taken.take();
}

// Whether it comes to use much more than so many looks at it take.
bool polls(Loop& loop, int looks) {
  constexpr std::int64_t kMuch = 400'000'000;
  const std::int64_t before = cpu_ns(loop);
  for (int look = 0; look < looks; ++look) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    if (cpu_ns(loop) - before > kMuch) return true;
  }
  return false;
}

}  // namespace

TEST_CASE("a loop that stays awake polls instead of sleeping, and still runs what comes") {
  LoopThread thread;
  thread.loop().post([&] {
    thread.loop().stay_awake(60'000'000);
    thread.loop().stay_awake(1);  // shortens nothing
  });
  CHECK(polls(thread.loop(), 10'000));
}

TEST_CASE("a loop that was to stay awake for a moment sleeps after it") {
  LoopThread thread;
  thread.loop().post([&] { thread.loop().stay_awake(1'000); });
  CHECK_FALSE(polls(thread.loop(), 200));
}

TEST_CASE("tasks posted before stop still run, those after it are refused") {
  auto loop = Loop::create().value();
  int ran = 0;
  constexpr int kMany = 5'000;  // more than one drain of the mailbox
  for (int i = 0; i < kMany; ++i) loop->post([&] { ++ran; });
  loop->stop();
  loop->stop();
  loop->run();
  CHECK(ran == kMany);
  CHECK_FALSE(loop->post([&] { ++ran; }));
  CHECK_FALSE(loop->try_post([&] { ++ran; }));
  CHECK(ran == kMany);
}

TEST_CASE("senders that race with stop are refused or served, never lost") {
  for (int round = 0; round < 50; ++round) {
    LoopThread thread;
    std::atomic<int> accepted{0}, ran{0};
    std::vector<std::thread> senders;
    for (int s = 0; s < 3; ++s) {
      senders.emplace_back([&] {
        while (thread.loop().post([&] { ++ran; })) ++accepted;
      });
    }
    thread.stop();
    for (auto& sender : senders) sender.join();
    CHECK(accepted == ran);
  }
}

TEST_CASE("a loop that never ran can be destroyed, with what was made on it") {
  auto loop = Loop::create().value();
  auto timer = loop->timer();
  timer->start(1'000'000, 0, [] {});
  loop->at_end_of_turn([] {});
  loop.reset();
  timer.reset();
}

TEST_CASE("end-of-turn tasks run before the loop waits again, also those that they add") {
  auto loop = Loop::create().value();
  std::vector<std::string> log;
  int left = 100;  // more than the rounds of one turn
  std::function<void()> again = [&] {
    if (--left > 0) {
      loop->at_end_of_turn([&] { again(); });
    } else {
      loop->stop();
    }
  };
  loop->post([&] {
    loop->at_end_of_turn([&] {
      log.push_back("end of turn");
      again();
    });
    log.push_back("task");
  });
  loop->post([&] { log.push_back("same turn"); });
  loop->run();  // nothing else would wake it
  CHECK(left == 0);
  CHECK(log == std::vector<std::string>{"task", "same turn", "end of turn"});
}

TEST_CASE("an end-of-turn task of a timer runs although nothing else happens") {
  auto loop = Loop::create().value();
  auto timer = loop->timer();
  timer->start(1, 0, [&] { loop->at_end_of_turn([&] { loop->stop(); }); });
  loop->run();
}

TEST_CASE("timers fire in order, repeat, and stop by themselves") {
  auto loop = Loop::create().value();
  std::vector<int> fired;
  auto late = loop->timer(), early = loop->timer(), repeated = loop->timer(), never = loop->timer();
  never->start(1, 0, [&] { fired.push_back(-1); });
  never->stop();
  late->start(40, 0, [&] { fired.push_back(2); });
  early->start(5, 0, [&] { fired.push_back(1); });
  int count = 0;
  repeated->start(60, 1, [&] {
    if (++count == 3) {
      repeated.reset();  // from within
      loop->stop();
    }
  });
  loop->run();
  CHECK(fired == std::vector<int>{1, 2});
  CHECK(count == 3);
}

TEST_CASE("a timer may be started anew while it fires") {
  auto loop = Loop::create().value();
  auto timer = loop->timer();
  int second = 0;
  timer->start(1, 0, [&] {
    timer->start(1, 0, [&] {
      ++second;
      loop->stop();
    });
  });
  loop->run();
  CHECK(second == 1);
}

TEST_CASE("a loop knows its thread") {
  LoopThread thread;
  CHECK(thread.on([&] { return thread.loop().on_loop_thread(); }));
  CHECK_FALSE(thread.loop().on_loop_thread());
}

TEST_CASE("a write to a peer that has gone cannot end the process") {
  LoopThread thread;
  bool blocked = false;
  thread.on([&] {
    sigset_t masked;
    pthread_sigmask(SIG_BLOCK, nullptr, &masked);
    blocked = sigismember(&masked, SIGPIPE) == 1;
  });
  CHECK(blocked);
}

}  // namespace andyx::net
