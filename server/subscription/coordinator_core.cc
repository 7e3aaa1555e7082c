#include "server/subscription/coordinator_core.h"

#include <utility>

namespace andyx::server {

CoordinatorCore::CoordinatorCore(std::string subscription, std::uint64_t first_epoch)
    : subscription_(std::move(subscription)), next_epoch_(first_epoch) {}

Result<CoordinatorCore::Attached> CoordinatorCore::attach(std::string name, std::uint64_t session,
                                                          std::uint64_t connection) {
  if (consumer_ && consumer_->session != session)
    return fail(ErrorCode::kSubscriptionBusy, "subscription " + subscription_ +
                                                  " is unique, and consumer '" + consumer_->name +
                                                  "' is attached");
  Attached attached{.attach_epoch = next_epoch_++, .displaced = std::move(consumer_)};
  consumer_ = AttachedConsumer{std::move(name), session, connection, attached.attach_epoch};
  return attached;
}

bool CoordinatorCore::detach(std::uint64_t attach_epoch) {
  if (!consumer_ || consumer_->attach_epoch != attach_epoch) return false;
  consumer_.reset();
  return true;
}

std::optional<AttachedConsumer> CoordinatorCore::connection_lost(std::uint64_t connection) {
  if (!consumer_ || consumer_->connection != connection) return std::nullopt;
  return std::exchange(consumer_, std::nullopt);
}

}  // namespace andyx::server
