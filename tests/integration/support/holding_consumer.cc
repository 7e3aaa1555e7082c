// A consumer that takes messages and never answers, in a process of its own, so that it can be
// stopped or killed: holding_consumer SERVER TOPIC SUBSCRIPTION TYPE COUNT. Prints "holds N" once
// it has COUNT messages, then keeps them and its connection until it is ended.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "andyx/client.h"

using namespace andyx;

int main(int argc, char** argv) {
  if (argc != 6) return 1;
  const std::string type = argv[4];
  const std::uint64_t count = std::strtoull(argv[5], nullptr, 10);
  auto client = client::Client::connect({.servers = {argv[1]}});
  if (!client) return 2;
  auto consumer = client->subscribe({.topic = argv[2],
                                     .subscription = argv[3],
                                     .name = "holder",
                                     .type = type == "shared" ? client::SubscriptionType::kShared
                                                              : client::SubscriptionType::kUnique,
                                     .mode = client::SubscriptionMode::kNonresilient,
                                     .create = false});
  if (!consumer) return 3;
  std::uint64_t held = 0;
  while (held < count) {
    const auto batch = consumer->poll(1'000);
    if (!batch) return 4;
    held += batch->count();
  }
  std::printf("holds %llu\n", static_cast<unsigned long long>(held));
  std::fflush(stdout);
  for (;;) pause();
}
