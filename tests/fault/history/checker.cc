#include "tests/fault/history/checker.h"

#include <utility>

#include "tests/fault/history/delivery_rules.h"
#include "tests/fault/history/log_rules.h"
#include "tests/fault/history/observer_rules.h"

namespace andyx::test::fault {
namespace {

constexpr std::size_t kKeptFindings = 8;  // of each rule

void count(const Event& event, Judged& judged) {
  if (std::holds_alternative<Sent>(event)) {
    ++judged.sent;
  } else if (const auto* answer = std::get_if<Answered>(&event)) {
    if (answer->outcome == Outcome::kCommitted) ++judged.committed;
    if (answer->outcome == Outcome::kNotStored) ++judged.not_stored;
    if (answer->outcome == Outcome::kMaybeStored) ++judged.maybe_stored;
  } else if (std::holds_alternative<ReadRecord>(event)) {
    ++judged.reads;
  } else if (std::holds_alternative<Delivered>(event)) {
    ++judged.deliveries;
  } else if (const auto* confirmed = std::get_if<Confirmed>(&event)) {
    judged.confirmed += confirmed->last - confirmed->first + 1;
  }
}

}  // namespace

std::string_view rule_name(Rule rule) {
  constexpr std::array<std::string_view, kRules> kNames = {
      "acknowledged message lost",
      "record changed",
      "readers disagree",
      "record vanished",
      "committed offset went back",
      "producer's order broken",
      "stored twice",
      "not_stored appears",
      "foreign bytes",
      "not delivered",
      "delivery order broken",
      "confirmed answer forgotten",
      "not recovered in time",
      "observer became main",
      "observer is behind",
  };
  return kNames[static_cast<std::size_t>(rule)];
}

void Findings::add(Rule rule, std::string what) {
  const auto index = static_cast<std::size_t>(rule);
  ++counts_[index];
  if (first_[index].size() < kKeptFindings) first_[index].push_back(std::move(what));
}

std::size_t Findings::count() const {
  std::size_t total = 0;
  for (const std::size_t count : counts_) total += count;
  return total;
}

std::string Findings::text() const {
  std::string text = std::to_string(count()) + " violations";
  for (std::size_t i = 0; i < kRules; ++i) {
    if (counts_[i] == 0) continue;
    text +=
        "\n  " + std::string(rule_name(static_cast<Rule>(i))) + ": " + std::to_string(counts_[i]);
    for (const std::string& what : first_[i]) text += "\n    " + what;
  }
  return text;
}

Verdict check(const History& history) {
  Verdict verdict;
  LogRules log(history.cast(), verdict.findings);
  DeliveryRules deliveries(history.cast(), verdict.findings);
  ObserverRules observers(history.cast(), verdict.findings);
  for (std::size_t at = 0; at < history.entries().size(); ++at) {
    const Event& event = history.entries()[at].event;
    count(event, verdict.judged);
    log.observe(event);
    deliveries.observe(at, event);
    observers.observe(event);
    const auto* recovery = std::get_if<Recovery>(&event);
    if (recovery != nullptr && !recovery->in_time) {
      verdict.findings.add(Rule::kNotRecovered, recovery->text);
    }
  }
  verdict.judged.stored = log.judge_end();
  deliveries.judge_end(log.final_ends());
  return verdict;
}

}  // namespace andyx::test::fault
