#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include <string_view>

#include "tests/raft/store/support/child_store.h"

int main(int argc, char** argv) {
  if (argc == 3 && std::string_view(argv[1]) == "--child-store") {
    return andyx::raft::test::run_child_store(argv[2]);
  }
  return doctest::Context(argc, argv).run();
}
