// The thread around HostCore, and the way from other threads to it.
#include "raft/host/raft_host.h"

#include <future>
#include <mutex>
#include <thread>
#include <utility>

#include "raft/host/host_core.h"

namespace andyx::raft {
namespace {

// A callback that is called exactly once: where its task is dropped because the host has stopped,
// with `last_words`.
template <typename Value>
class Answer {
 public:
  using Done = std::move_only_function<void(Value)>;
  Answer(Done done, Value last_words)
      : done_(std::move(done)), last_words_(std::move(last_words)) {}
  Answer(Answer&& other) noexcept
      : done_(std::exchange(other.done_, nullptr)), last_words_(std::move(other.last_words_)) {}
  Answer& operator=(Answer&&) = delete;
  ~Answer() {
    if (done_) done_(std::move(last_words_));
  }
  Done take() { return std::exchange(done_, nullptr); }

 private:
  Done done_;
  Value last_words_;
};

const ProposalResult kNeverProposed{.outcome = ProposalOutcome::kNotProposed};

Error stopped_error() { return {ErrorCode::kShuttingDown, "the Raft host has stopped"}; }
Error refused_error() {
  return {ErrorCode::kOverloaded, "too many requests wait for the Raft host, or it has stopped"};
}

class LoopHost final : public RaftHost {
 public:
  static Result<std::unique_ptr<RaftHost>> make(const HostOptions& options, StateMachine& machine) {
    auto host = std::make_unique<LoopHost>();
    auto store =
        options.open_store ? options.open_store(options.store) : RaftStore::open(options.store);
    if (!store) return std::unexpected(store.error());
    host->store_ = std::move(*store);
    auto book = PeerBook::open(options.store.path.empty() ? "" : options.store.path + ".peers");
    if (!book) return std::unexpected(book.error());
    host->book_ = std::move(*book);
    auto loop = net::Loop::create();
    if (!loop) return std::unexpected(loop.error());
    host->loop_ = std::move(*loop);
    if (auto run = host->run(options, machine); !run) return std::unexpected(run.error());
    return host;
  }

  ~LoopHost() override {
    if (thread_.joinable()) {
      loop_->post([this] { end(); });
      loop_->stop();
      thread_.join();
    }
    // The store finishes its writes before the loop goes, which they report to.
    book_.reset();
    store_.reset();
  }

  void propose(SharedBytes data, ProposalDone done) override {
    try_post(
        [data = std::move(data), answer = Answer<ProposalResult>(std::move(done), kNeverProposed)](
            HostCore& core) mutable { core.propose(std::move(data), answer.take()); });
  }
  void propose_conf_change(ConfChange change, ProposalDone done) override {
    post([change = std::move(change),
          answer = Answer<ProposalResult>(std::move(done), kNeverProposed)](
             HostCore& core) mutable { core.propose_conf_change(change, answer.take()); });
  }
  void save_snapshot(std::move_only_function<void(Status)> done) override {
    post([answer = Answer<Status>(std::move(done), std::unexpected(stopped_error()))](
             HostCore& core) mutable { core.save_snapshot(answer.take()); });
  }
  void read_index(std::move_only_function<void(Result<Index>)> done) override {
    try_post([answer = Answer<Result<Index>>(std::move(done), std::unexpected(refused_error()))](
                 HostCore& core) mutable { core.read_index(answer.take()); });
  }
  void transfer_leader(PeerId to) override {
    post([to](HostCore& core) { core.transfer_leader(to); });
  }
  void add_peer(PeerAddress peer) override {
    post([peer = std::move(peer)](HostCore& core) { core.add_peer(peer); });
  }
  void remove_peer(PeerId peer) override {
    post([peer](HostCore& core) { core.remove_peer(peer); });
  }
  void status(std::move_only_function<void(NodeStatus)> done) override {
    post([answer = Answer<NodeStatus>(std::move(done), NodeStatus{})](HostCore& core) mutable {
      core.status(answer.take());
    });
  }
  void on_leader_change(std::function<void(SoftState, Term)> changed) override {
    post([changed = std::move(changed)](HostCore& core) mutable {
      core.on_leader_change(std::move(changed));
    });
  }
  std::uint16_t port() const override { return port_; }
  std::optional<Error> failure() const override {
    std::lock_guard lock(failure_mutex_);
    return failure_;
  }

 private:
  Status run(const HostOptions& options, StateMachine& machine) {
    std::promise<Result<std::uint16_t>> started;
    auto result = started.get_future();
    thread_ = std::thread([this] { loop_->run(); });
    loop_->post([&] {
      core_ = std::make_shared<HostCore>(*loop_, options, machine, *store_, *book_,
                                         [this](const Error& error) {
                                           std::lock_guard lock(failure_mutex_);
                                           failure_ = error;
                                         });
      started.set_value(core_->start());
    });
    const auto port = result.get();
    if (!port) return std::unexpected(port.error());
    port_ = *port;
    return {};
  }

  // Raft thread, once.
  void end() {
    if (core_ == nullptr) return;
    core_->stop(stopped_error());
    core_.reset();
  }

  template <typename Call>
  void post(Call call) {
    loop_->post([this, call = std::move(call)]() mutable {
      if (core_ != nullptr) call(*core_);
    });
  }

  // What any number of callers may send: dropped, and so refused, when too much waits.
  template <typename Call>
  void try_post(Call call) {
    loop_->try_post([this, call = std::move(call)]() mutable {
      if (core_ != nullptr) call(*core_);
    });
  }

  std::unique_ptr<net::Loop> loop_;  // last to go
  std::unique_ptr<RaftStore> store_;
  std::unique_ptr<PeerBook> book_;
  std::shared_ptr<HostCore> core_;  // raft thread
  std::thread thread_;
  std::uint16_t port_ = 0;
  mutable std::mutex failure_mutex_;
  std::optional<Error> failure_;
};

}  // namespace

Result<std::unique_ptr<RaftHost>> RaftHost::start(const HostOptions& options,
                                                  StateMachine& machine) {
  net::prepare_process();
  return LoopHost::make(options, machine);
}

}  // namespace andyx::raft
