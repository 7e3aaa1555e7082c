// `simple`, `enter-joint`, `leave-joint` on the changer.
#include <sstream>

#include "raft/core/membership.h"
#include "tests/raft/transcripts/cases.h"
#include "tests/raft/transcripts/conf_change_text.h"

namespace andyx::raft::transcripts {

std::expected<std::vector<ConfChangeSingle>, std::string> parse_changes(const std::string& text) {
  std::vector<ConfChangeSingle> changes;
  std::istringstream words(text);
  for (std::string word; words >> word;) {
    if (word.size() < 2) {
      return std::unexpected("unknown token " + word);
    }
    ConfChangeSingle change;
    switch (word[0]) {
      case 'v':
        change.type = ConfChangeType::kAddVoter;
        break;
      case 'l':
        change.type = ConfChangeType::kAddLearner;
        break;
      case 'r':
        change.type = ConfChangeType::kRemove;
        break;
      case 'u':
        change.type = ConfChangeType::kUpdate;
        break;
      default:
        return std::unexpected("unknown input: " + word);
    }
    change.peer = number(word.substr(1));
    changes.push_back(change);
  }
  return changes;
}

namespace {

constexpr std::uint32_t kInflight = 10;

class ConfChangeCase final : public Case {
 public:
  std::string run(const Directive& directive) override {
    const Index last = last_index_++;
    const auto changes = parse_changes(directive.input);
    if (!changes) {
      return changes.error() + "\n";
    }
    const Changer changer(membership_, last, kInflight, kNoLimit);
    auto next = apply(changer, directive, *changes);
    if (!next) {
      return next.error() + "\n";
    }
    membership_ = *std::move(next);
    std::string out = membership_.config.text() + "\n";
    for (const auto& [peer, progress] : membership_.progress) {
      out += std::to_string(peer) + ": " + progress.text() + "\n";
    }
    return out;
  }

 private:
  static Changer::Outcome apply(const Changer& changer, const Directive& directive,
                                const std::vector<ConfChangeSingle>& changes) {
    if (directive.command == "simple") {
      return changer.simple(changes);
    }
    if (directive.command == "enter-joint") {
      const auto auto_leave = directive.value("autoleave");
      return changer.enter_joint(auto_leave && truth(*auto_leave), changes);
    }
    if (directive.command != "leave-joint") {
      return std::unexpected("unknown command");
    }
    if (!changes.empty()) {
      return std::unexpected("this command takes no input");
    }
    return changer.leave_joint();
  }

  Membership membership_;
  Index last_index_ = 0;
};

}  // namespace

std::unique_ptr<Case> make_conf_change_case() { return std::make_unique<ConfChangeCase>(); }

}  // namespace andyx::raft::transcripts
