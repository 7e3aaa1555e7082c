// Publishes a hundred keyed messages and waits until each one is durable.
//   andyx_example_producer HOST:PORT TOPIC
#include <cstdio>
#include <string>

#include "andyx/client.h"

namespace {

int complain(const andyx::Error& error) {
  std::fprintf(stderr, "%s: %s\n  %s\n", std::string(error.name()).c_str(), error.message.c_str(),
               std::string(error.remedy()).c_str());
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: %s HOST:PORT TOPIC\n", argv[0]);
    return 1;
  }
  auto client = andyx::client::Client::connect({.servers = {argv[1]}});
  if (!client) return complain(client.error());
  auto producer = client->producer({.topic = argv[2]});
  if (!producer) return complain(producer.error());

  for (int i = 0; i < 100; ++i) {
    const std::string key = "sensor-" + std::to_string(i % 10);
    const std::string payload = "reading " + std::to_string(i);
    const auto sent = producer->send({.key = key, .payload = payload});
    if (!sent) return complain(sent.error());
  }
  if (const auto stored = producer->close(); !stored) return complain(stored.error());
  std::printf("published 100 messages\n");
  return 0;
}
