#include "tests/integration/support/delivery_ledger.h"

#include <algorithm>
#include <charconv>

namespace andyx::test {
namespace {

constexpr std::size_t kKeptViolations = 20;

std::string place(std::uint32_t partition, Offset offset) {
  return "partition " + std::to_string(partition) + " offset " + std::to_string(offset);
}

bool parse_number(std::string_view& text, std::uint32_t& value) {
  const std::size_t end = text.find('/');
  if (end == std::string_view::npos) return false;
  const auto result = std::from_chars(text.data(), text.data() + end, value);
  if (result.ec != std::errc{} || result.ptr != text.data() + end) return false;
  text.remove_prefix(end + 1);
  return true;
}

}  // namespace

std::string MessageId::text() const {
  return "message " + std::to_string(producer) + "/" + std::to_string(sequence);
}

std::string payload_of(MessageId id, std::size_t size_bytes) {
  std::string text = std::to_string(id.producer) + "/" + std::to_string(id.sequence) + "/";
  if (text.size() < size_bytes) text.resize(size_bytes, '.');
  return text;
}

std::optional<MessageId> id_in(std::string_view payload) {
  MessageId id;
  if (!parse_number(payload, id.producer) || !parse_number(payload, id.sequence)) {
    return std::nullopt;
  }
  return id;
}

void Violations::add(std::string what) {
  ++count_;
  if (first_.size() < kKeptViolations) first_.push_back(std::move(what));
}

std::string Violations::text() const {
  std::string result = std::to_string(count_) + " violations";
  for (const std::string& line : first_) result += "\n  " + line;
  return result;
}

void DeliveryLedger::acknowledged(MessageId id, std::uint32_t partition, Offset offset) {
  acknowledged_.push_back({id, partition, offset});
}

void DeliveryLedger::stored(std::uint32_t partition, Offset offset, std::string_view payload,
                            std::optional<std::string_view> key) {
  std::vector<MessageId>& log = stored_[partition];
  if (offset != log.size()) {
    violations_.add(place(partition, offset) + " follows offset " + std::to_string(log.size()) +
                    " - 1: a gap or a repetition");
    return;
  }
  const std::optional<MessageId> id = id_in(payload);
  log.push_back(id.value_or(MessageId{}));
  if (!id) {
    violations_.add(place(partition, offset) + " holds something that nobody sent");
    return;
  }
  std::vector<bool>& seen = seen_[id->producer];
  if (seen.size() <= id->sequence) seen.resize(id->sequence + 1);
  if (seen[id->sequence])
    violations_.add(id->text() + " is stored twice; " + place(partition, offset));
  seen[id->sequence] = true;

  const auto [last, first_of_producer] = last_.try_emplace({partition, id->producer}, id->sequence);
  if (!first_of_producer && last->second >= id->sequence) {
    violations_.add(id->text() + " comes after sequence " + std::to_string(last->second) + "; " +
                    place(partition, offset));
  }
  last->second = std::max(last->second, id->sequence);

  if (!key) return;
  const auto [known, inserted] = partition_of_key_.try_emplace(std::string(*key), partition);
  if (!inserted && known->second != partition) {
    violations_.add("key " + std::string(*key) + " of partition " + std::to_string(known->second) +
                    " is also in " + place(partition, offset));
  }
}

Offset DeliveryLedger::stored_end(std::uint32_t partition) const {
  const auto log = stored_.find(partition);
  return log == stored_.end() ? 0 : log->second.size();
}

void DeliveryLedger::require_stored(std::size_t mark) {
  for (; judged_ < mark; ++judged_) {
    const Acknowledgement& entry = acknowledged_[judged_];
    const std::vector<MessageId>& log = stored_[entry.partition];
    if (entry.offset >= log.size()) {
      violations_.add(entry.id.text() + " was acknowledged at " +
                      place(entry.partition, entry.offset) + " and the partition ends at " +
                      std::to_string(log.size()));
    } else if (log[entry.offset] != entry.id) {
      violations_.add(entry.id.text() + " was acknowledged at " +
                      place(entry.partition, entry.offset) + " where there is " +
                      log[entry.offset].text());
    }
  }
}

std::uint64_t DeliveryLedger::messages_stored() const {
  std::uint64_t total = 0;
  for (const auto& [partition, log] : stored_) total += log.size();
  return total;
}

void SubscriptionLedger::check_order(Partition& state, std::uint32_t partition, Offset offset,
                                     std::optional<std::string_view> key) {
  if (order_ == Order::kPartition && offset != state.delivered_end) {
    violations_.add(place(partition, offset) + " is delivered and " +
                    std::to_string(state.delivered_end) + " never was");
  }
  if (order_ != Order::kKey || !key) return;
  const auto [latest, first] = state.latest.try_emplace(std::string(*key), offset);
  if (first) return;
  if (offset < latest->second) {
    violations_.add(place(partition, offset) + " of key " + std::string(*key) +
                    " is delivered for the first time after " + std::to_string(latest->second));
  }
  latest->second = offset;
}

void SubscriptionLedger::delivered(std::uint32_t run, std::uint32_t partition, Offset offset,
                                   std::optional<std::string_view> key) {
  Partition& state = partitions_[partition];
  if (state.delivered.size() <= offset) state.delivered.resize(offset + 1);
  if (!state.delivered[offset]) {
    check_order(state, partition, offset, key);
    state.delivered[offset] = true;
    state.delivered_end = std::max(state.delivered_end, offset + 1);
    return;
  }
  ++redeliveries_;
  const std::uint32_t confirmed_in =
      offset < state.confirmed_in.size() ? state.confirmed_in[offset] : 0;
  if (confirmed_in != 0 && confirmed_in < run) {
    violations_.add(place(partition, offset) + " was confirmed in run " +
                    std::to_string(confirmed_in) + " and is delivered again in run " +
                    std::to_string(run));
  }
}

void SubscriptionLedger::confirmed(std::uint32_t run, std::uint32_t partition, Offset first,
                                   Offset last) {
  Partition& state = partitions_[partition];
  if (state.confirmed_in.size() <= last) state.confirmed_in.resize(last + 1);
  for (Offset offset = first; offset <= last; ++offset) {
    if (state.confirmed_in[offset] != 0) continue;  // the earliest confirmation promises most
    state.confirmed_in[offset] = run;
    ++state.confirmed_count;
  }
}

std::uint64_t SubscriptionLedger::confirmed_count(std::uint32_t partition) const {
  const auto state = partitions_.find(partition);
  return state == partitions_.end() ? 0 : state->second.confirmed_count;
}

Offset SubscriptionLedger::delivered_end(std::uint32_t partition) const {
  const auto state = partitions_.find(partition);
  return state == partitions_.end() ? 0 : state->second.delivered_end;
}

}  // namespace andyx::test
