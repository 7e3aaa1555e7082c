#include "server/metadata/controller.h"

#include <utility>
#include <vector>

#include "server/metadata/controller_shell.h"
#include "server/metadata/wish.h"

namespace andyx::server {

Controller::Controller(net::Loop& loop, std::unique_ptr<MetadataLog> log, ControllerOptions options)
    : shell_(std::make_unique<Shell>(loop, std::move(log), std::move(options))) {}

Controller::~Controller() = default;

void Controller::on_image(ImageListener listener) {
  shell_->on_image_.push_back(std::move(listener));
}

void Controller::on_role(std::function<void(bool)> listener) {
  shell_->on_role_.push_back(std::move(listener));
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
    shell->stop(std::move(stopped));
  });
}

void Controller::give_up(Error error) {
  shell_->loop_.post([shell = shell_.get(), error = std::move(error)]() mutable {
    shell->core_.give_up(std::move(error));
    shell->act();
  });
}

std::shared_ptr<const Image> Controller::image() const {
  const std::lock_guard lock(shell_->image_mutex_);
  return shell_->image_;
}

bool Controller::leading() const { return shell_->leading_; }
ControllerEpoch Controller::epoch() const { return shell_->epoch_; }
NodeId Controller::leader() const { return shell_->leader_; }

void Controller::propose_for(const Uuid& command_id, ByteSpan wish, AnswerDone done) {
  auto decoded = decode_wish(wish);
  if (!decoded) return done(std::unexpected(std::move(decoded.error())));
  shell_->propose_for(command_id, std::move(*decoded), std::move(done));
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
      ProducerOpening{topic,
                      {0, std::move(spec.name), spec.instance, spec.session, spec.known_epoch}},
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

void Controller::decide(Wish wish, StatusDone done) {
  const ControllerEpoch epoch = shell_->epoch_;
  if (epoch == 0) {
    return done(fail(ErrorCode::kNotController,
                     "this node decides nothing: another one, or none, "
                     "is the controller"));
  }
  shell_->propose(std::move(wish), status_answer(std::move(done)), epoch);
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
