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
constexpr std::uint32_t kLookEveryMs = 200;

// What its gaps are counted under: where the controller is hit, others decide only after a while.
std::string label(const ActiveFault& fault) {
  const std::string name(info(fault.kind).name);
  const bool said = name.find("controller") != std::string::npos || info(fault.kind).alone;
  return name + (fault.controller && !said ? " (controller)" : "");
}

void sleep_ms(std::uint64_t ms) { std::this_thread::sleep_for(Millis(ms)); }

std::vector<TestTopic> topics_of(const std::deque<Trial>& trials) {
  std::vector<TestTopic> topics;
  for (const Trial& trial : trials) topics.push_back(trial.topic());
  return topics;
}

}  // namespace

Nemesis::Nemesis(Cluster& cluster, std::deque<Trial>& trials, NemesisOptions options,
                 std::uint64_t seed)
    : cluster_(cluster),
      trials_(trials),
      options_(std::move(options)),
      random_(seed),
      faults_(cluster, topics_of(trials), random_) {}

void Nemesis::note(const std::string& text) {
  for (Trial& trial : trials_) trial.history().add(Note{text});
}

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
  std::vector<std::uint32_t> before_ms;
  for (Trial& trial : trials_) {
    trial.look();
    before_ms.push_back(trial.history().now_ms());
  }
  std::optional<ActiveFault> fault = faults_.begin(kind);
  if (!fault) return std::nullopt;
  ++begun_;
  for (std::size_t i = 0; i < trials_.size(); ++i) {
    trials_[i].history().add(FaultBegun{begun_, label(*fault), before_ms[i]});
  }
  note(fault->text);
  std::cout << "fault " << begun_ << " at " << before_ms.front() << " ms, for " << fault->hold_ms
            << " ms: " << fault->text << std::endl;
  return fault;
}

void Nemesis::end_round(std::vector<ActiveFault>& faults) {
  std::ranges::sort(faults, {}, &ActiveFault::hold_ms);
  std::uint32_t held_ms = 0;
  for (ActiveFault& fault : faults) {
    hold(fault.hold_ms - held_ms);
    held_ms = fault.hold_ms;
    faults_.end(fault);
    note("ended: " + fault.text);
  }
  cluster_.proxy().heal();
}

// For so long, and looks on: what is elected meanwhile is to be seen.
void Nemesis::hold(std::uint32_t ms) {
  const auto end = Clock::now() + Millis(ms);
  for (auto now = Clock::now(); now < end; now = Clock::now()) {
    for (Trial& trial : trials_) trial.look();
    std::this_thread::sleep_until(std::min(end, now + Millis(kLookEveryMs)));
  }
}

bool Nemesis::recover() {
  for (Trial& trial : trials_) trial.healed();
  std::string lacking;
  const auto begun = Clock::now();
  while (!(lacking = missing()).empty() && Clock::now() < begun + kRecoverWithin) {
    std::this_thread::sleep_for(kLookAgain);
  }
  const auto took_ms = std::chrono::duration_cast<Millis>(Clock::now() - begun).count();
  for (Trial& trial : trials_) {
    trial.recovered({.in_time = lacking.empty(),
                     .text = lacking.empty() ? "in " + std::to_string(took_ms) + " ms"
                                             : "after fault " + std::to_string(begun_) + " and " +
                                                   std::to_string(took_ms) + " ms: " + lacking});
  }
  std::cout << (lacking.empty() ? "  recovered in " : "  NOT RECOVERED in ") << took_ms << " ms"
            << (lacking.empty() ? "" : ": " + lacking) << std::endl;
  if (!lacking.empty()) trouble_ = lacking;
  return lacking.empty();
}

// What the cluster lacks; empty: it is whole.
std::string Nemesis::missing() {
  if (std::string exit = cluster_.unexpected_exit(); !exit.empty()) return exit;
  for (Cluster::Place place = 1; place <= cluster_.size(); ++place) {
    if (!cluster_.ready(place)) {
      return "node " + std::to_string(cluster_.node_at(place)) + " is not ready";
    }
  }
  for (Trial& trial : trials_) {
    if (std::string lacking = trial.lacking(); !lacking.empty()) return lacking;
  }
  // Two voters can lose none, and the next fault may be a disk that is gone for good.
  const ClusterView view = cluster_.view({});
  return view.voters >= (cluster_.size() < kVoters ? 1 : kVoters) ? std::string() : view.text();
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
