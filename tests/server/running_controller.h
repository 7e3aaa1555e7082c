// A controller on a loop with its own thread, over a storage shard that outlives it. For tests.
#pragma once

#include <doctest/doctest.h>

#include <future>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "server/metadata/controller.h"
#include "storage/storage_shard.h"
#include "tests/server/metadata_commands.h"

namespace andyx::server::test {

class RunningController {
 public:
  explicit RunningController(storage::StorageShard& shard, std::uint64_t incarnation = 1,
                             Uuid disk = {1, 1})
      : RunningController(open(shard), incarnation, disk) {}

  explicit RunningController(std::unique_ptr<MetadataLog> log, std::uint64_t incarnation = 1,
                             Uuid disk = {1, 1}) {
    auto loop = net::Loop::create();
    REQUIRE(loop);
    loop_ = std::move(*loop);
    ControllerOptions options;
    options.node = {1, disk, incarnation, "127.0.0.1", 6540};
    options.bootstrap_cluster = Uuid::random();
    options.snapshot_entries = 50;
    controller_ = std::make_unique<Controller>(*loop_, std::move(log), options);
    controller_->on_image([this](const std::shared_ptr<const Image>& image) {
      CHECK(image->position >= last_position_);
      last_position_ = image->position;
    });
    thread_ = std::thread([this] { loop_->run(); });
    std::promise<Status> ready;
    controller_->start([&](Status status) { ready.set_value(std::move(status)); });
    started = ready.get_future().get();
  }

  ~RunningController() {
    std::promise<void> stopped;
    controller_->stop([&] { stopped.set_value(); });
    stopped.get_future().get();
    loop_->stop();
    thread_.join();
  }

  Controller* operator->() { return controller_.get(); }

  Result<std::shared_ptr<const Topic>> create(const std::string& name) {
    std::promise<Result<std::shared_ptr<const Topic>>> answer;
    controller_->create_topic(topic_name(name), 1, [&](auto r) { answer.set_value(std::move(r)); });
    return answer.get_future().get();
  }

  Status started;

 private:
  static std::unique_ptr<MetadataLog> open(storage::StorageShard& shard) {
    auto log = open_local_metadata_log(shard);
    REQUIRE_MESSAGE(log.has_value(), log.error().message);
    return std::move(*log);
  }

  std::unique_ptr<net::Loop> loop_;
  std::unique_ptr<Controller> controller_;
  Position last_position_ = 0;  // control loop
  std::thread thread_;
};

}  // namespace andyx::server::test
