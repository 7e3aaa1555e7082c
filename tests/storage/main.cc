#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include <cstdlib>
#include <string_view>

#include "tests/storage/support/child_writer.h"
#include "tests/storage/support/outcome.h"

int main(int argc, char** argv) {
  if (argc == 4 && std::string_view(argv[1]) == "--child-writer") {
    return andyx::storage::test::run_child_writer(argv[2], std::strtoull(argv[3], nullptr, 10));
  }
  if (argc == 6 && std::string_view(argv[1]) == "--outcome") {
    return andyx::storage::test::run_outcome(argv + 2);
  }
  return doctest::Context(argc, argv).run();
}
