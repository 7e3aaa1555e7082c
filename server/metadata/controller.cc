#include "server/metadata/controller.h"

#include <mutex>
#include <unordered_map>
#include <utility>
#include <vector>

#include "protocol/base/limits.h"
#include "server/metadata/controller_core.h"
#include "server/metadata/snapshot.h"

namespace andyx::server {

namespace {

constexpr std::size_t kReadBytes = limits::kMaxReadBytes;

RegisterNodeCommand register_command(NodeSpec node) {
  return {node.node_id, node.disk_id,   node.incarnation, std::move(node.host),
          node.port,    node.peer_port, node.roles,       node.intact};
}

}  // namespace

// On the control loop, except image_ under its mutex, and what starts a proposal.
struct Controller::Shell {
  using OnCompletion = std::move_only_function<void(ControllerCompletion)>;

  Shell(net::Loop& loop, std::unique_ptr<MetadataLog> log, ControllerOptions options)
      : loop_(loop),
        options_(std::move(options)),
        core_({options_.max_pending, options_.snapshot_entries, options_.snapshot_bytes}),
        log_(std::move(log)) {}

  void start(StatusDone ready);
  void propose(Wish wish, OnCompletion done);
  void propose_on_loop(Wish wish, OnCompletion done);
  void act();
  void ask_log(ControllerActions& actions);

  // A callback for the log: takes its answer to the loop, and there to `event`.
  template <typename T, typename Event>
  LogDone<T> on_loop(Event event) {
    return [this, event = std::move(event)](T answer) mutable {
      loop_.post([this, event = std::move(event), answer = std::move(answer)]() mutable {
        event(std::move(answer));
        act();
      });
    };
  }

  net::Loop& loop_;
  const ControllerOptions options_;
  ControllerCore core_;
  std::uint64_t next_ticket_ = 1;
  std::unordered_map<std::uint64_t, OnCompletion> open_;  // bounded by max_pending
  std::vector<ImageListener> on_image_;
  std::vector<std::function<void(const Error&)>> on_failed_;
  std::vector<std::move_only_function<void()>> on_stopped_;

  mutable std::mutex image_mutex_;
  std::shared_ptr<const Image> image_ = std::make_shared<const Image>();

  std::unique_ptr<MetadataLog> log_;  // last: ends its callbacks before the rest goes
};

void Controller::Shell::start(StatusDone ready) {
  core_.start();
  propose_on_loop(BootstrapCommand{Uuid::random()}, [](ControllerCompletion) {});
  propose_on_loop(
      register_command(options_.node),
      [ready = std::move(ready)](ControllerCompletion c) mutable { ready(std::move(c.status)); });
}

// Any thread. `done` is shared with the task, because a task that is refused is lost.
void Controller::Shell::propose(Wish wish, OnCompletion done) {
  auto shared = std::make_shared<OnCompletion>(std::move(done));
  const bool posted = loop_.try_post([this, wish = std::move(wish), shared]() mutable {
    propose_on_loop(std::move(wish), std::move(*shared));
  });
  if (posted) return;
  (*shared)({.status = fail(ErrorCode::kOverloaded,
                            "the control loop has too much to do, or has stopped")});
}

void Controller::Shell::propose_on_loop(Wish wish, OnCompletion done) {
  const std::uint64_t ticket = next_ticket_++;
  open_.emplace(ticket, std::move(done));
  core_.propose({ticket, Uuid::random(), net::wall_time_us(), std::move(wish)});
  act();
}

// Carries out what the core wants, in the order of its fields. Listeners may propose again: that
// goes through the loop's mailbox, never back into here.
void Controller::Shell::act() {
  ControllerActions actions = core_.take_actions();
  if (actions.publish) {
    {
      const std::lock_guard lock(image_mutex_);
      image_ = actions.publish;
    }
    for (const ImageListener& listener : on_image_) listener(actions.publish);
  }
  for (ControllerCompletion& completion : actions.completions) {
    auto done = open_.extract(completion.ticket);
    done.mapped()(std::move(completion));
  }
  if (actions.failed) {
    for (const auto& listener : on_failed_) listener(*actions.failed);
  }
  ask_log(actions);
  if (!actions.stopped) return;
  for (auto& stopped : std::exchange(on_stopped_, {})) stopped();
}

void Controller::Shell::ask_log(ControllerActions& actions) {
  if (actions.campaign) {
    log_->campaign(options_.node.node_id, options_.ttl_ms,
                   on_loop<Result<ControllerEpoch>>([this](auto r) { core_.on_campaign(r); }));
  }
  if (actions.get_snapshot) {
    log_->get_snapshot(on_loop<Result<std::optional<ImageSnapshotBytes>>>(
        [this](auto r) { core_.on_get_snapshot(std::move(r)); }));
  }
  if (actions.tail) {
    log_->tail(on_loop<Result<Position>>([this](auto r) { core_.on_tail(r); }));
  }
  if (actions.read) {
    log_->read(*actions.read, kReadBytes, on_loop<Result<std::vector<LogEntry>>>([this](auto r) {
      core_.on_read(std::move(r));
    }));
  }
  if (actions.append) {
    log_->append(actions.append->expected, actions.append->epoch,
                 std::move(actions.append->entries),
                 on_loop<AppendResult>([this](auto r) { core_.on_append(r); }));
  }
  if (actions.trim) log_->trim(*actions.trim, [](const Status&) {});
  if (actions.put_snapshot) {
    const Position position = actions.put_snapshot->position;
    log_->put_snapshot(
        {position, encode_snapshot(*actions.put_snapshot)},
        on_loop<Status>([this, position](auto r) { core_.on_put_snapshot(position, r); }));
  }
}

Controller::Controller(net::Loop& loop, std::unique_ptr<MetadataLog> log, ControllerOptions options)
    : shell_(std::make_unique<Shell>(loop, std::move(log), std::move(options))) {}

Controller::~Controller() = default;

void Controller::on_image(ImageListener listener) {
  shell_->on_image_.push_back(std::move(listener));
}

void Controller::on_failed(std::function<void(const Error&)> listener) {
  shell_->on_failed_.push_back(std::move(listener));
}

void Controller::start(StatusDone ready) {
  shell_->loop_.post([shell = shell_.get(), ready = std::move(ready)]() mutable {
    shell->start(std::move(ready));
  });
}

void Controller::stop(std::move_only_function<void()> stopped) {
  shell_->loop_.post([shell = shell_.get(), stopped = std::move(stopped)]() mutable {
    shell->on_stopped_.push_back(std::move(stopped));
    shell->core_.stop();
    shell->act();
  });
}

std::shared_ptr<const Image> Controller::image() const {
  const std::lock_guard lock(shell_->image_mutex_);
  return shell_->image_;
}

namespace {

// The answers to each kind of proposal, from its completion.

auto topic_answer(TopicName name, Controller::TopicDone done) {
  return [name = std::move(name), done = std::move(done)](ControllerCompletion c) mutable {
    if (!c.status) return done(std::unexpected(std::move(c.status.error())));
    auto topic = c.image->find_topic(static_cast<TopicId>(c.result));
    if (topic) return done(std::move(topic));
    done(fail(ErrorCode::kUnknownTopic, "topic " + name.path() + " was deleted again"));
  };
}

auto subscription_answer(TopicName topic, std::string name, Controller::SubscriptionDone done) {
  return [topic = std::move(topic), name = std::move(name),
          done = std::move(done)](ControllerCompletion c) mutable {
    if (!c.status) return done(std::unexpected(std::move(c.status.error())));
    const auto of = c.image->find_topic(topic);
    auto found = of ? of->subscriptions.find(std::string_view(name)) : nullptr;
    if (found && found->id == c.result) return done(std::move(found));
    done(fail(ErrorCode::kUnknownSubscription,
              "subscription " + name + " on topic " + topic.path() + " was deleted again"));
  };
}

auto status_answer(Controller::StatusDone done) {
  return [done = std::move(done)](ControllerCompletion c) mutable { done(std::move(c.status)); };
}

CreateSubscriptionCommand command_of(SubscriptionSpec spec) {
  return {0,
          std::move(spec.name),
          spec.type,
          spec.mode,
          spec.start_kind,
          spec.start_value,
          spec.key_ordered};
}

}  // namespace

void Controller::create_topic(TopicName name, std::uint32_t partitions, TopicDone done) {
  shell_->propose(TopicProposal{name, partitions, IfExists::kRefuse},
                  topic_answer(name, std::move(done)));
}

void Controller::ensure_topic(TopicName name, std::uint32_t partitions, TopicDone done) {
  shell_->propose(TopicProposal{name, partitions, IfExists::kAnswer},
                  topic_answer(name, std::move(done)));
}

void Controller::auto_create_topic(TopicName name, std::uint32_t default_partitions,
                                   TopicDone done) {
  shell_->propose(TopicProposal{name, default_partitions, IfExists::kAnswer, true},
                  topic_answer(name, std::move(done)));
}

void Controller::alter_topic(TopicName name, std::uint32_t partitions, TopicDone done) {
  shell_->propose(TopicAlteration{name, partitions}, topic_answer(name, std::move(done)));
}

void Controller::create_scope(LevelPath path, std::string description, StatusDone done) {
  shell_->propose(CreateScopeCommand{std::move(path.path), std::move(description)},
                  status_answer(std::move(done)));
}

void Controller::delete_scope(LevelPath path, StatusDone done) {
  shell_->propose(DeleteScopeCommand{std::move(path.path)}, status_answer(std::move(done)));
}

void Controller::activate_tenant(LevelPath tenant, bool active, StatusDone done) {
  shell_->propose(ActivateTenantCommand{std::move(tenant.path), active},
                  status_answer(std::move(done)));
}

void Controller::set_settings(LevelPath path,
                              std::vector<std::pair<std::string, std::string>> settings,
                              StatusDone done) {
  shell_->propose(SetSettingsCommand{std::move(path.path), std::move(settings)},
                  status_answer(std::move(done)));
}

void Controller::set_retention(LevelPath path, std::optional<RetentionPolicy> policy,
                               StatusDone done) {
  shell_->propose(SetRetentionCommand{std::move(path.path), policy},
                  status_answer(std::move(done)));
}

void Controller::delete_topic(TopicName name, StatusDone done) {
  shell_->propose(TopicDeletion{std::move(name)}, status_answer(std::move(done)));
}

void Controller::create_subscription(TopicName topic, SubscriptionSpec spec,
                                     SubscriptionDone done) {
  const std::string name = spec.name;
  shell_->propose(SubscriptionProposal{topic, command_of(std::move(spec)), IfExists::kRefuse},
                  subscription_answer(topic, name, std::move(done)));
}

void Controller::ensure_subscription(TopicName topic, SubscriptionSpec spec,
                                     SubscriptionDone done) {
  const std::string name = spec.name;
  shell_->propose(SubscriptionProposal{topic, command_of(std::move(spec)), IfExists::kAnswer},
                  subscription_answer(topic, name, std::move(done)));
}

void Controller::delete_subscription(TopicName topic, std::string name, StatusDone done) {
  shell_->propose(SubscriptionDeletion{std::move(topic), std::move(name)},
                  status_answer(std::move(done)));
}

void Controller::create_producer(TopicName topic, ProducerSpec spec, StatusDone done) {
  shell_->propose(ProducerProposal{std::move(topic), {0, std::move(spec.name), spec.instance}},
                  status_answer(std::move(done)));
}

void Controller::open_producer(TopicName topic, ProducerSpec spec, ProducerDone done) {
  const std::string name = spec.name;
  shell_->propose(
      ProducerOpening{topic, {0, std::move(spec.name), spec.instance, spec.session}},
      [topic, name, done = std::move(done)](ControllerCompletion c) mutable {
        if (!c.status) return done(std::unexpected(std::move(c.status.error())));
        const auto of = c.image->find_topic(topic);
        auto record = of ? of->producers.find(std::string_view(name)) : nullptr;
        if (record) return done(OpenedProducer{c.result, std::move(record)});
        done(fail(ErrorCode::kUnknownProducer,
                  "producer " + name + " on topic " + topic.path() + " was deleted again"));
      });
}

void Controller::delete_producer(TopicName topic, std::string name,
                                 std::vector<ProducerId> open_ids, StatusDone done) {
  shell_->propose(ProducerDeletion{std::move(topic), {0, std::move(name), std::move(open_ids)}},
                  status_answer(std::move(done)));
}

void Controller::reserve_producer_ids(std::uint32_t count, IdDone done) {
  shell_->propose(ReserveProducerIdsCommand{count},
                  [done = std::move(done)](ControllerCompletion c) mutable {
                    if (!c.status) return done(std::unexpected(std::move(c.status.error())));
                    done(c.result);
                  });
}

void Controller::register_node(NodeSpec node, StatusDone done) {
  shell_->propose(register_command(std::move(node)), status_answer(std::move(done)));
}

void Controller::propose(Wish wish, StatusDone done) {
  shell_->propose(std::move(wish), status_answer(std::move(done)));
}

void Controller::create_topic(TopicProposal topic, TopicDone done) {
  TopicName name = topic.name;
  shell_->propose(std::move(topic), topic_answer(std::move(name), std::move(done)));
}

void Controller::alter_topic(TopicAlteration topic, TopicDone done) {
  TopicName name = topic.name;
  shell_->propose(std::move(topic), topic_answer(std::move(name), std::move(done)));
}

void Controller::change_in_sync(TopicId topic, std::uint32_t partition, SetProposal proposal,
                                StatusDone done) {
  propose(ChangeInSyncCommand{topic, partition, std::move(proposal)}, std::move(done));
}

void Controller::ask_for_new_epoch(TopicId topic, std::uint32_t partition, MainEpoch main_epoch,
                                   StatusDone done) {
  propose(ElectMainCommand{.topic_id = topic, .partition = partition, .main_epoch = main_epoch},
          std::move(done));
}

}  // namespace andyx::server
