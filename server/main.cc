// andyx-server: one node.
#include <cstdio>
#include <iostream>

#include <string_view>

#include "server/app/log.h"
#include "server/app/metadata_command.h"
#include "server/app/server.h"

int main(int argc, char** argv) {
  using namespace andyx;
  if (argc > 1 && std::string_view(argv[1]) == "metadata")
    return server::run_metadata_command(argc - 1, argv + 1);
  auto parsed = server::parse_config(argc, argv);
  if (parsed.exit_code) {
    (*parsed.exit_code == 0 ? std::cout : std::cerr) << parsed.printed;
    return *parsed.exit_code;
  }
  server::log::setup(parsed.config.log_level, parsed.config.log_format);
  auto files = net::prepare_process();
  server::log::info(
      "starting",
      {{"version", ANDYX_VERSION}, {"cores", parsed.config.cores}, {"open_files", files}});
  if (!net::is_loopback(parsed.config.listen)) {
    server::log::warn(
        "listening beyond loopback without authentication: everybody who reaches this port may read, "
        "write and delete everything",
        {{"listen", parsed.config.listen.text()}});
  }
  if (const net::Address peers = parsed.config.peer_address(); !net::is_loopback(peers)) {
    server::log::warn(
        "listening for metadata peers beyond loopback without authentication: everybody who reaches "
        "this port may take part in deciding the metadata",
        {{"listen", peers.text()}});
  }
  auto started = server::Server::start(std::move(parsed.config));
  if (!started) {
    std::cerr << "andyx-server: " << started.error().name() << ": " << started.error().message
              << "\n  " << started.error().remedy() << "\n";
    return 1;
  }
  (*started)->watch_signals();  // before anybody knows that it serves
  std::printf("andyx-server ready on %s\n", (*started)->address().text().c_str());
  std::fflush(stdout);
  (*started)->wait_for_signal();
  auto stopped = (*started)->stop();
  if (!stopped) {
    std::cerr << "andyx-server: " << stopped.error().name() << ": " << stopped.error().message
              << "\n";
    return 1;
  }
  server::log::info("stopped");
  return 0;
}
