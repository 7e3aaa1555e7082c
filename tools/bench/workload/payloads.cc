#include "tools/bench/workload/payloads.h"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>

namespace andyx::bench {
namespace {

constexpr std::uint32_t kKeys = 10'000;

std::string random_bytes(std::mt19937_64& random, std::size_t count) {
  std::string bytes(count, '\0');
  for (std::size_t i = 0; i < count; i += sizeof(std::uint64_t)) {
    const std::uint64_t value = random();
    std::memcpy(bytes.data() + i, &value, std::min(sizeof value, count - i));
  }
  return bytes;
}

// Printable, six bits of chance in each byte.
std::string printable_bytes(std::mt19937_64& random, std::size_t count) {
  static constexpr char kDigits[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::string bytes = random_bytes(random, count);
  for (char& c : bytes) c = kDigits[static_cast<unsigned char>(c) & 63];
  return bytes;
}

std::optional<std::filesystem::path> find_file(const std::string& name,
                                               const std::filesystem::path& directory) {
  for (const auto& base : {std::filesystem::path("."), directory, directory / ".."}) {
    std::error_code ignored;
    if (std::filesystem::is_regular_file(base / name, ignored)) return base / name;
  }
  return std::nullopt;
}

Result<std::string> read_payload(const std::filesystem::path& path, std::uint32_t size_bytes) {
  std::error_code error;
  const auto found_bytes = std::filesystem::file_size(path, error);
  if (!error && found_bytes != size_bytes) {
    return fail(ErrorCode::kBadArgument, "payloadFile " + path.string() + " has " +
                                             std::to_string(found_bytes) + " bytes, messageSize " +
                                             std::to_string(size_bytes));
  }
  std::string bytes(size_bytes, '\0');
  std::ifstream file(path, std::ios::binary);
  if (!file.read(bytes.data(), size_bytes)) {
    return fail(ErrorCode::kIo, "cannot read payloadFile " + path.string());
  }
  return bytes;
}

}  // namespace

std::optional<MessageStamp> read_stamp(std::string_view payload) {
  if (payload.size() < sizeof(MessageStamp)) return std::nullopt;
  MessageStamp stamp;
  std::memcpy(&stamp, payload.data(), sizeof stamp);
  return stamp;
}

Result<Payloads> make_payloads(const Workload& workload, const std::string& directory,
                               std::uint64_t seed) {
  Payloads payloads;
  std::mt19937_64 random(seed);
  if (workload.randomized_payloads) {
    payloads.origin = "random";
    const auto random_count =
        static_cast<std::size_t>(workload.message_bytes * workload.random_bytes_ratio);
    for (std::uint32_t i = 0; i < std::max(workload.randomized_payload_pool, 1u); ++i) {
      payloads.pool.push_back(random_bytes(random, random_count));
      payloads.pool.back().resize(workload.message_bytes, '\0');
    }
  } else if (const auto path = workload.payload_file.empty()
                                   ? std::nullopt
                                   : find_file(workload.payload_file, directory)) {
    Result<std::string> payload = read_payload(*path, workload.message_bytes);
    if (!payload) return std::unexpected(payload.error());
    payloads.origin = workload.payload_file;
    payloads.pool.push_back(std::move(*payload));
  } else {
    payloads.origin = "generated";
    payloads.pool.push_back(printable_bytes(random, workload.message_bytes));
  }
  if (workload.key_distributor != KeyDistributor::kNoKey) {
    for (std::uint32_t i = 0; i < kKeys; ++i) {
      payloads.keys.push_back(printable_bytes(random, 8));
    }
  }
  return payloads;
}

}  // namespace andyx::bench
