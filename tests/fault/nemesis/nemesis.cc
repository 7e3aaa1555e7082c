#include "tests/fault/nemesis/nemesis.h"

#include <algorithm>
#include <iostream>
#include <thread>
#include <utility>

namespace andyx::test::fault {
namespace {

constexpr std::uint64_t kTwoAtOncePercent = 25;
constexpr std::uint64_t kLongestCalmMs = 500, kLongestBetweenTwoMs = 800;
constexpr Millis kLookAgain{50};
constexpr std::uint32_t kVoters = 3;

// What its gaps are counted under: where the controller is hit, others decide only after a while.
std::string label(const ActiveFault& fault) {
  const std::string name(info(fault.kind).name);
  const bool said = name.find("controller") != std::string::npos || info(fault.kind).alone;
  return name + (fault.controller && !said ? " (controller)" : "");
}

void sleep_ms(std::uint64_t ms) { std::this_thread::sleep_for(Millis(ms)); }

}  // namespace

Nemesis::Nemesis(Cluster& cluster, Workload& workload, History& history, NemesisOptions options,
                 std::uint64_t seed)
    : cluster_(cluster),
      workload_(workload),
      history_(history),
      options_(std::move(options)),
      random_(seed),
      faults_(cluster, options_.topic, options_.topic_path, random_) {}

std::uint32_t Nemesis::run() {
  const auto end = Clock::now() + options_.at_most;
  std::uint32_t fruitless = 0;  // rounds in a row in which no fault made sense
  while (begun_ < options_.faults && Clock::now() < end) {
    sleep_ms(random_() % kLongestCalmMs);
    std::vector<ActiveFault> faults = begin_round();
    fruitless = faults.empty() ? fruitless + 1 : 0;
    if (fruitless > 3 * options_.kinds.size()) {
      trouble_ = "none of the faults makes sense in this cluster";
      break;
    }
    if (faults.empty()) continue;
    end_round(faults);
    if (!recover()) break;
  }
  return begun_;
}

std::vector<ActiveFault> Nemesis::begin_round() {
  std::vector<ActiveFault> faults;
  auto first = begin_one(false);
  if (!first) return faults;
  const bool alone = info(first->kind).alone;
  faults.push_back(std::move(*first));
  if (alone || begun_ >= options_.faults || random_() % 100 >= kTwoAtOncePercent) return faults;
  sleep_ms(random_() % kLongestBetweenTwoMs);
  auto second = begin_one(true);
  if (second) faults.push_back(std::move(*second));
  return faults;
}

std::optional<ActiveFault> Nemesis::begin_one(bool beside_another) {
  const FaultKind kind = draw();
  if (beside_another && info(kind).alone) return std::nullopt;
  // Before it: beginning some faults takes a while.
  const std::uint32_t before_ms = history_.now_ms();
  std::optional<ActiveFault> fault = faults_.begin(kind);
  if (!fault) return std::nullopt;
  ++begun_;
  history_.add(FaultBegun{begun_, label(*fault), before_ms});
  history_.add(Note{fault->text});
  std::cout << "fault " << begun_ << " at " << before_ms << " ms, for " << fault->hold_ms
            << " ms: " << fault->text << std::endl;
  return fault;
}

void Nemesis::end_round(std::vector<ActiveFault>& faults) {
  std::ranges::sort(faults, {}, &ActiveFault::hold_ms);
  std::uint32_t held_ms = 0;
  for (ActiveFault& fault : faults) {
    sleep_ms(fault.hold_ms - held_ms);
    held_ms = fault.hold_ms;
    faults_.end(fault);
    history_.add(Note{"ended: " + fault.text});
  }
  cluster_.proxy().heal();
}

bool Nemesis::recover() {
  const std::uint32_t healed_ms = history_.now_ms();
  std::string lacking;
  const auto end = Clock::now() + kRecoverWithin;
  while (!(lacking = missing(healed_ms)).empty() && Clock::now() < end) {
    std::this_thread::sleep_for(kLookAgain);
  }
  const std::uint32_t took_ms = history_.now_ms() - healed_ms;
  history_.add(Recovery{.in_time = lacking.empty(),
                        .text = lacking.empty()
                                    ? "in " + std::to_string(took_ms) + " ms"
                                    : "after fault " + std::to_string(begun_) + " and " +
                                          std::to_string(took_ms) + " ms: " + lacking});
  std::cout << (lacking.empty() ? "  recovered in " : "  NOT RECOVERED in ") << took_ms << " ms"
            << (lacking.empty() ? "" : ": " + lacking) << std::endl;
  if (!lacking.empty()) trouble_ = lacking;
  return lacking.empty();
}

// What the cluster lacks; empty: it is whole.
std::string Nemesis::missing(std::uint32_t healed_ms) {
  if (std::string exit = cluster_.unexpected_exit(); !exit.empty()) return exit;
  for (Cluster::Place place = 1; place <= cluster_.size(); ++place) {
    if (!cluster_.ready(place)) {
      return "node " + std::to_string(cluster_.node_at(place)) + " is not ready";
    }
  }
  if (!workload_.committed_since(healed_ms)) return "not every partition has committed a write";
  const ClusterView view = cluster_.view(options_.topic_path);
  // Two voters can lose none, and the next fault may be a disk that is gone for good.
  const bool voted = view.voters >= (cluster_.size() < kVoters ? 1 : kVoters);
  return voted && view.complete(options_.factor) ? std::string() : view.text();
}

// From a bag that holds each kind once and is filled again when it is empty.
FaultKind Nemesis::draw() {
  if (bag_.empty()) {
    bag_ = options_.kinds;
    std::ranges::shuffle(bag_, random_);
  }
  const FaultKind kind = bag_.back();
  bag_.pop_back();
  return kind;
}

}  // namespace andyx::test::fault
