// Names of topics and subscriptions. Values; usable from any thread.
#pragma once

#include <compare>
#include <string>
#include <string_view>

#include "protocol/base/error.h"

namespace andyx {

// `[A-Za-z0-9._-]{1,128}`, not starting with a dot. kBadName otherwise; `what` opens the message.
Status check_name(std::string_view name, std::string_view what);

// tenant/product/component/topic.
struct TopicName {
  std::string tenant, product, component, topic;

  // Accepts `andyx://tenant/product/component/topic`, `tenant/product/component/topic` and a bare
  // `topic`, which means default/default/default/topic. kBadName with what is wrong otherwise.
  static Result<TopicName> parse(std::string_view text);

  std::string path() const;  // tenant/product/component/topic
  std::string url() const;   // andyx://tenant/product/component/topic

  auto operator<=>(const TopicName&) const = default;
};

}  // namespace andyx
