// The words that options take (`--acks main`, `--from offset:7`), the same in every tool. Any
// thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "andyx/consumer.h"
#include "andyx/types.h"

namespace andyx::tools {

// One word for each value of an enumeration; `value_of` is empty for any other word.
template <typename Enum>
struct Choices {
  struct Entry {
    std::string_view word;
    Enum value;
  };
  std::vector<Entry> entries;

  std::optional<Enum> value_of(std::string_view word) const {
    for (const Entry& entry : entries) {
      if (entry.word == word) return entry.value;
    }
    return std::nullopt;
  }
  std::string_view word_of(Enum value) const {
    for (const Entry& entry : entries) {
      if (entry.value == value) return entry.word;
    }
    return "unknown";
  }
  // "none|main|quorum"
  std::string words() const {
    std::string text;
    for (const Entry& entry : entries) {
      if (!text.empty()) text += '|';
      text += entry.word;
    }
    return text;
  }
};

const Choices<client::Acks>& acks_choices();
const Choices<client::Compression>& compression_choices();
const Choices<client::SubscriptionType>& type_choices();
const Choices<client::SubscriptionMode>& mode_choices();
const Choices<client::AnswerKind>& answer_choices();
const Choices<client::ProducerInstance>& instance_choices();

// `earliest`, `latest`, `offset:N`, or a TIME (time_text.h). kBadArgument otherwise.
Result<client::Start> parse_start(std::string_view text, TimeUs now_us);

}  // namespace andyx::tools
