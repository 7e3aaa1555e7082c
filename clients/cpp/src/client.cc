#include "andyx/client.h"

#include <cassert>
#include <random>
#include <ranges>
#include <string_view>
#include <utility>

#include "clients/cpp/src/client_impl.h"
#include "clients/cpp/src/consumer_impl.h"
#include "clients/cpp/src/producer_impl.h"

namespace andyx::client {
namespace {

Result<ClusterOptions> cluster_options(const ClientOptions& options) {
  ClusterOptions out;
  for (const auto& text : options.servers) {
    for (const auto part : std::views::split(std::string_view(text), ',')) {
      auto address = net::Address::parse(std::string_view(part));
      if (!address) return std::unexpected(address.error());
      out.servers.push_back(std::move(*address));
    }
  }
  if (out.servers.empty()) return fail(ErrorCode::kBadArgument, "no server is named");
  if (options.ping_timeout_ms == 0)
    return fail(ErrorCode::kBadArgument, "ping_timeout_ms must be over 0");
  if (options.doubt_ms == 0) return fail(ErrorCode::kBadArgument, "doubt_ms must be over 0");
  std::uint64_t seed = options.seed;
  while (seed == 0) seed = (std::uint64_t{std::random_device{}()} << 32) | std::random_device{}();
  out.link = {.client_name = options.name,
              .cluster_id = options.cluster_id,
              .connect_timeout_ms = options.connect_timeout_ms,
              .ping_timeout_ms = options.ping_timeout_ms,
              .doubt_ms = options.doubt_ms,
              .backoff_min_ms = options.backoff_min_ms,
              .backoff_max_ms = options.backoff_max_ms,
              .seed = seed,
              .front_door = options.front_door};
  out.connect_timeout_ms = options.connect_timeout_ms;
  out.request_timeout_ms = options.request_timeout_ms;
  return out;
}

}  // namespace

ClientImpl::ClientImpl(const ClientOptions& options, std::unique_ptr<net::Loop> loop)
    : options_(options), loop_(std::move(loop)) {}

Result<std::shared_ptr<ClientImpl>> ClientImpl::start(const ClientOptions& options) {
  auto cluster = cluster_options(options);
  if (!cluster) return std::unexpected(cluster.error());
  auto loop = net::Loop::create();
  if (!loop) return std::unexpected(loop.error());
  std::shared_ptr<ClientImpl> impl(new ClientImpl(options, std::move(*loop)));
  impl->cluster_ = std::make_unique<Cluster>(*impl->loop_, std::move(*cluster));
  // The thread is joined by close(), so it may use the object without owning it.
  impl->thread_ = std::thread([client = impl.get()] { client->loop_->run(); });
  impl->thread_id_ = impl->thread_.get_id();
  auto connected = impl->wait<bool>([client = impl.get()](auto done) {
    client->cluster_->start([done](Status status) mutable {
      status ? done(true) : done(std::unexpected(status.error()));
    });
  });
  if (connected) return impl;
  impl->close();
  return std::unexpected(connected.error());
}

ClientImpl::~ClientImpl() { close(); }

void ClientImpl::close() {
  std::lock_guard lock(closing_);
  if (!thread_.joinable()) return;
  assert(thread_.get_id() != std::this_thread::get_id() && "not from a callback");
  loop_->post([this] {
    const Error reason{ErrorCode::kShuttingDown, "the client is closed"};
    for (const auto& part : std::exchange(parts_, {})) part->end(reason);
    cluster_->shut_down(reason);
  });
  loop_->stop();
  thread_.join();
}

Client::Client(std::shared_ptr<ClientImpl> impl) : impl_(std::move(impl)) {}
Client::Client(Client&&) noexcept = default;

Client& Client::operator=(Client&& other) noexcept {
  close();
  impl_ = std::move(other.impl_);
  return *this;
}

Client::~Client() { close(); }

Result<Client> Client::connect(ClientOptions options) {
  auto impl = ClientImpl::start(options);
  if (!impl) return std::unexpected(impl.error());
  return Client(std::move(*impl));
}

Result<Producer> Client::producer(ProducerOptions options) {
  auto impl = ProducerImpl::open(impl_, std::move(options));
  if (!impl) return std::unexpected(impl.error());
  return Producer(std::move(*impl));
}

Result<Consumer> Client::subscribe(ConsumerOptions options) {
  auto impl = ConsumerImpl::open(impl_, std::move(options));
  if (!impl) return std::unexpected(impl.error());
  return Consumer(std::move(*impl));
}

Admin Client::admin() { return Admin(impl_); }

void Client::close() {
  if (impl_ != nullptr) impl_->close();
}

}  // namespace andyx::client
