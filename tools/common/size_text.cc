#include "tools/common/size_text.h"

#include <array>
#include <charconv>
#include <span>

namespace andyx::tools {
namespace {

struct Unit {
  std::string_view name;
  std::int64_t factor;
};

constexpr std::int64_t kSecondMs = 1'000;
constexpr std::array<Unit, 7> kDurations{{{"", 1},
                                          {"ms", 1},
                                          {"s", kSecondMs},
                                          {"m", 60 * kSecondMs},
                                          {"h", 3600 * kSecondMs},
                                          {"d", 86'400 * kSecondMs},
                                          {"w", 604'800 * kSecondMs}}};

constexpr std::int64_t kKilo = 1'000, kKibi = 1'024;
constexpr std::array<Unit, 11> kSizes{{{"", 1},
                                       {"B", 1},
                                       {"kB", kKilo},
                                       {"KB", kKilo},
                                       {"MB", kKilo* kKilo},
                                       {"GB", kKilo* kKilo* kKilo},
                                       {"TB", kKilo* kKilo* kKilo* kKilo},
                                       {"KiB", kKibi},
                                       {"MiB", kKibi* kKibi},
                                       {"GiB", kKibi* kKibi* kKibi},
                                       {"TiB", kKibi* kKibi* kKibi* kKibi}}};

Result<std::int64_t> parse(std::string_view text, std::span<const Unit> units,
                           std::string_view what) {
  const auto bad = [&] {
    return fail(ErrorCode::kBadArgument, "'" + std::string(text) + "' is not " + std::string(what));
  };
  std::int64_t amount = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), amount);
  if (error != std::errc{} || amount < 0) return bad();
  const std::string_view name = text.substr(static_cast<std::size_t>(end - text.data()));
  for (const Unit& unit : units) {
    if (unit.name != name) continue;
    std::int64_t value = 0;
    if (__builtin_mul_overflow(amount, unit.factor, &value)) return bad();
    return value;
  }
  return bad();
}

}  // namespace

Result<std::int64_t> parse_duration_ms(std::string_view text) {
  return parse(text, kDurations,
               "a length of time; write 500ms, 30s, 5m, 12h, 7d, 2w, or milliseconds");
}

Result<std::int64_t> parse_bytes(std::string_view text) {
  return parse(text, kSizes, "a size; write 10GB, 512MiB, 64kB, or bytes");
}

}  // namespace andyx::tools
