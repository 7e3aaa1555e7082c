#include "tools/cli/session.h"

int main(int argc, char** argv) {
  const auto parsed = andyx::cli::parse_arguments(argc, argv);
  if (const auto* status = std::get_if<andyx::tools::ExitStatus>(&parsed)) return *status;
  return andyx::cli::run(std::get<andyx::cli::Arguments>(parsed));
}
