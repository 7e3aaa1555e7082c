// The three kinds of transcripts. Each keeps its state from directive to directive of one file.
#pragma once

#include <memory>
#include <string>

#include "tests/raft/transcripts/script.h"

namespace andyx::raft::transcripts {

class Case {
 public:
  virtual ~Case() = default;
  virtual std::string run(const Directive& directive) = 0;  // may throw BadDirective
};

std::unique_ptr<Case> make_quorum_case();
std::unique_ptr<Case> make_conf_change_case();
std::unique_ptr<Case> make_interaction_case();

// The kind that a script's directives belong to; nothing when there is no such.
std::unique_ptr<Case> make_case(const Script& script);

}  // namespace andyx::raft::transcripts
