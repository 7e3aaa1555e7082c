// Receives COUNT messages of a subscription, from the earliest on, and acknowledges them.
//   andyx_example_consumer HOST:PORT TOPIC SUBSCRIPTION COUNT
#include <cstdint>
#include <cstdio>
#include <cstdlib>
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
  if (argc != 5) {
    std::fprintf(stderr, "usage: %s HOST:PORT TOPIC SUBSCRIPTION COUNT\n", argv[0]);
    return 1;
  }
  using namespace andyx::client;
  auto client = Client::connect({.servers = {argv[1]}});
  if (!client) return complain(client.error());
  auto consumer = client->subscribe({.topic = argv[2],
                                     .subscription = argv[3],
                                     .mode = SubscriptionMode::kNonresilient,
                                     .start = Start::earliest()});
  if (!consumer) return complain(consumer.error());

  const std::uint64_t wanted = std::strtoull(argv[4], nullptr, 10);
  for (std::uint64_t received = 0; received < wanted;) {
    auto batch = consumer->poll(10'000);
    if (!batch) return complain(batch.error());
    if (batch->empty()) {
      std::fprintf(stderr, "nothing came for 10 s\n");
      return 1;
    }
    Message message;
    while (batch->next(message)) {
      std::printf("%u/%llu %.*s\n", message.partition,
                  static_cast<unsigned long long>(message.offset),
                  static_cast<int>(message.payload.size()), message.payload.data());
    }
    received += batch->count();
    consumer->acknowledge(*batch);
  }
  if (const auto confirmed = consumer->close(); !confirmed) return complain(confirmed.error());
  return 0;
}
