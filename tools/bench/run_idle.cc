// Connections that say hello and nothing else, to see what they cost the server. Sockets of one
// thread, without the client: its threads are not what is measured.
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>

#include "frame_generated.h"
#include "protocol/frame/frame_reader.h"
#include "protocol/frame/frame_verify.h"
#include "protocol/frame/frame_writer.h"
#include "protocol/net/loop.h"
#include "tools/bench/limit_socket.h"
#include "tools/bench/run.h"
#include "tools/common/progress.h"

namespace andyx::bench {
namespace {

constexpr std::size_t kSlabBytes = 4096;  // a reply to hello is small
constexpr std::chrono::milliseconds kLookEvery{200};

std::unexpected<Error> unreachable(const std::string& server, const std::string& why) {
  return fail(ErrorCode::kUnreachable, server + ": " + why);
}

// The first of the nodes that are given, as getaddrinfo knows it.
struct NodeAddress {
  explicit NodeAddress(const std::string& servers) : text(servers.substr(0, servers.find(','))) {}
  NodeAddress(const NodeAddress&) = delete;
  NodeAddress& operator=(const NodeAddress&) = delete;
  ~NodeAddress() {
    if (found != nullptr) ::freeaddrinfo(found);
  }

  Status resolve() {
    const std::size_t colon = text.rfind(':');
    if (colon == text.npos) return unreachable(text, "not HOST:PORT");
    const addrinfo wanted{.ai_flags = AI_NUMERICSERV,
                          .ai_family = AF_UNSPEC,
                          .ai_socktype = SOCK_STREAM,
                          .ai_protocol = 0,
                          .ai_addrlen = 0,
                          .ai_addr = nullptr,
                          .ai_canonname = nullptr,
                          .ai_next = nullptr};
    std::string host = text.substr(0, colon);
    if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
    const int code = ::getaddrinfo(host.c_str(), text.c_str() + colon + 1, &wanted, &found);
    return code == 0 ? Status{} : Status(unreachable(text, ::gai_strerror(code)));
  }

  std::string text;
  addrinfo* found = nullptr;
};

frame::OutFrame hello_frame() {
  frame::FrameWriter writer;
  return writer.write(1, [](flatbuffers::FlatBufferBuilder& builder) {
    const auto name = builder.CreateString("andyx-bench idle");
    const auto version = builder.CreateString(ANDYX_VERSION);
    const auto cluster = builder.CreateString("");
    protocol::HelloBuilder hello(builder);
    hello.add_client_name(name);
    hello.add_client_version(version);
    hello.add_cluster_id(cluster);
    return frame::Body{static_cast<std::uint8_t>(protocol::Body::Hello), hello.Finish().Union()};
  });
}

Status await_reply(int fd, const std::string& server, std::uint32_t timeout_ms) {
  frame::FrameReader reader(limits::kMaxFrameBytes, kSlabBytes);
  while (true) {
    const Result<std::optional<SharedBytes>> whole = reader.next();
    if (!whole) return std::unexpected(whole.error());
    if (*whole) {
      const auto frame = frame::verify_frame((*whole)->span());
      if (!frame) return std::unexpected(frame.error());
      if ((*frame)->body_as_HelloReply() != nullptr) return {};
      return unreachable(server, "hello was refused");
    }
    pollfd ready{.fd = fd, .events = POLLIN, .revents = 0};
    if (::poll(&ready, 1, static_cast<int>(timeout_ms)) == 0) {
      return fail(ErrorCode::kTimedOut, server + ": no answer to hello");
    }
    const std::span<std::uint8_t> into = reader.receive_buffer();
    const ssize_t count = ::recv(fd, into.data(), into.size(), 0);
    if (count <= 0) return unreachable(server, "the connection was closed before hello");
    reader.received(static_cast<std::size_t>(count));
  }
}

Result<FileDescriptor> open_one(const NodeAddress& node, const SharedBytes& hello,
                                std::uint32_t timeout_ms) {
  const addrinfo& to = *node.found;
  FileDescriptor socket(::socket(to.ai_family, SOCK_STREAM | SOCK_CLOEXEC, to.ai_protocol));
  if (socket.get() < 0 || ::connect(socket.get(), to.ai_addr, to.ai_addrlen) != 0) {
    return unreachable(node.text, std::strerror(errno));
  }
  if (Status sent = send_all(socket.get(), hello.span()); !sent) {
    return std::unexpected(sent.error());
  }
  if (Status there = await_reply(socket.get(), node.text, timeout_ms); !there) {
    return std::unexpected(there.error());
  }
  return socket;
}

// How many the server has closed meanwhile.
std::uint64_t closed_count(const std::vector<FileDescriptor>& sockets) {
  std::uint64_t closed = 0;
  char byte;
  for (const FileDescriptor& socket : sockets) {
    if (::recv(socket.get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0) ++closed;
  }
  return closed;
}

}  // namespace

Result<RunResult> run_idle(const Options& options, client::Client& control) {
  NodeAddress node(options.server);
  if (Status resolved = node.resolve(); !resolved) return std::unexpected(resolved.error());
  const auto before = control.admin().node_status();
  if (!before) return std::unexpected(before.error());
  const frame::OutFrame hello = hello_frame();
  std::vector<FileDescriptor> sockets;
  tools::Progress progress;
  const std::uint64_t started_ns = net::monotonic_ns();
  for (std::uint32_t i = 0; i < options.connections; ++i) {
    auto socket = open_one(node, hello.head, options.timeout_ms);
    if (!socket) return std::unexpected(socket.error());
    sockets.push_back(std::move(*socket));
    progress.update([&] { return std::to_string(sockets.size()) + " connections"; });
  }
  RunResult result;
  Report& report = result.report;
  report.command = "idle";
  report.elapsed_s = static_cast<double>(net::monotonic_ns() - started_ns) / 1e9;
  const std::uint64_t until_ns =
      net::monotonic_ns() + static_cast<std::uint64_t>(options.seconds_or_default() * 1e9);
  while (net::monotonic_ns() < until_ns) std::this_thread::sleep_for(kLookEvery);
  const auto after = control.admin().node_status();
  if (!after) return std::unexpected(after.error());
  report.errors = closed_count(sockets);
  if (report.errors != 0) {
    result.error = Error{ErrorCode::kConnectionLost, "the server closed idle connections"};
    report.first_error = result.error->message;
  }
  report.details = {{"connections", sockets.size()},
                    {"server_connections", after->connections},
                    {"rss_before_bytes", before->rss_bytes},
                    {"rss_bytes", after->rss_bytes},
                    {"cpu_us", after->cpu_us - before->cpu_us}};
  return result;
}

}  // namespace andyx::bench
