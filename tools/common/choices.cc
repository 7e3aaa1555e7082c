#include "tools/common/choices.h"

#include <charconv>

#include "tools/common/time_text.h"

namespace andyx::tools {

const Choices<client::Acks>& acks_choices() {
  static const Choices<client::Acks> kChoices{{{"none", client::Acks::kNone},
                                               {"main", client::Acks::kMain},
                                               {"quorum", client::Acks::kQuorum}}};
  return kChoices;
}

const Choices<client::Compression>& compression_choices() {
  static const Choices<client::Compression> kChoices{{{"none", client::Compression::kNone},
                                                      {"lz4", client::Compression::kLz4},
                                                      {"zstd", client::Compression::kZstd}}};
  return kChoices;
}

const Choices<client::SubscriptionType>& type_choices() {
  static const Choices<client::SubscriptionType> kChoices{
      {{"unique", client::SubscriptionType::kUnique},
       {"failover", client::SubscriptionType::kFailover},
       {"shared", client::SubscriptionType::kShared}}};
  return kChoices;
}

const Choices<client::SubscriptionMode>& mode_choices() {
  static const Choices<client::SubscriptionMode> kChoices{
      {{"resilient", client::SubscriptionMode::kResilient},
       {"nonresilient", client::SubscriptionMode::kNonresilient}}};
  return kChoices;
}

const Choices<client::AnswerKind>& answer_choices() {
  static const Choices<client::AnswerKind> kChoices{
      {{"ack", client::AnswerKind::kAcknowledge},
       {"skip", client::AnswerKind::kSkip},
       {"unack", client::AnswerKind::kUnacknowledge}}};
  return kChoices;
}

const Choices<client::ProducerInstance>& instance_choices() {
  static const Choices<client::ProducerInstance> kChoices{
      {{"single", client::ProducerInstance::kSingle},
       {"multiple", client::ProducerInstance::kMultiple}}};
  return kChoices;
}

Result<client::Start> parse_start(std::string_view text, TimeUs now_us) {
  if (text == "earliest") return client::Start::earliest();
  if (text == "latest") return client::Start::latest();
  constexpr std::string_view kOffset = "offset:";
  if (text.starts_with(kOffset)) {
    const std::string_view digits = text.substr(kOffset.size());
    std::int64_t offset = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), offset);
    if (error != std::errc{} || end != digits.data() + digits.size() || offset < 0) {
      return fail(ErrorCode::kBadArgument, "'" + std::string(text) +
                                               "' is not a position: a number from 0 should follow "
                                               "'offset:'");
    }
    return client::Start::offset(static_cast<Offset>(offset));
  }
  const Result<TimeUs> time = parse_time(text, now_us);
  if (!time) {
    return fail(ErrorCode::kBadArgument,
                "'" + std::string(text) +
                    "' is not a position: write earliest, latest, offset:N, an RFC 3339 time "
                    "(2024-03-01T12:30:00Z) or a time before or after now (-1h, +1h)");
  }
  return client::Start::time(*time);
}

}  // namespace andyx::tools
