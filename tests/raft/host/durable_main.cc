#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include <string_view>

#include "tests/raft/host/voter_process.h"

int main(int argc, char** argv) {
  if (argc > 2 && std::string_view(argv[1]) == "--voter") {
    return andyx::raft::run_voter({argv + 2, argv + argc});
  }
  return doctest::Context(argc, argv).run();
}
