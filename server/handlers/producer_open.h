// Opening a producer by name: see FORMAT.md, "Producing".
#pragma once

#include "server/handlers/handlers.h"
#include "server/handlers/routing.h"

namespace andyx::server {

// The loop that keeps the places of a topic's producers: that of its first partition, on the node
// that is its main.
CoreLoop& producer_home(Node& node, const Topic& topic);

// kNotMain, with the node to go to, where that is another one.
Status check_producer_home(const Node& node, const Topic& topic);

void open_named_producer(ClientConnection& client, const protocol::ProducerOpen& body, Reply reply);

}  // namespace andyx::server
