// Opening a producer by name: see FORMAT.md, "Producing".
#pragma once

#include "server/handlers/handlers.h"
#include "server/handlers/routing.h"

namespace andyx::server {

// The loop that keeps the places of a topic's producers: that of its first partition.
CoreLoop& producer_home(Node& node, const Topic& topic);

void open_named_producer(ClientConnection& client, const protocol::ProducerOpen& body, Reply reply);

}  // namespace andyx::server
