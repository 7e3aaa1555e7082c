#include "tools/common/time_text.h"

#include <array>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <optional>

namespace andyx::tools {
namespace {

constexpr std::int64_t kSecondUs = 1'000'000;
constexpr TimeUs kLatestUs = 253'402'300'799'999'999;  // 9999-12-31T23:59:59.999999Z

std::unexpected<Error> bad_time(std::string_view text, std::string_view why) {
  return fail(ErrorCode::kBadArgument,
              "'" + std::string(text) + "' is not a time: " + std::string(why) +
                  "; write RFC 3339 (2024-03-01T12:30:00Z, 2024-03-01T12:30:00.5+01:00) or a time "
                  "before or after now (-30s, -15m, +1h, +2d)");
}

struct Unit {
  std::string_view name;
  std::int64_t us;
};
constexpr std::array<Unit, 6> kUnits{{{"ms", 1'000},
                                      {"s", kSecondUs},
                                      {"m", 60 * kSecondUs},
                                      {"h", 3600 * kSecondUs},
                                      {"d", 86'400 * kSecondUs},
                                      {"w", 7 * 86'400 * kSecondUs}}};

Result<TimeUs> parse_relative(std::string_view text, TimeUs now_us) {
  const std::string_view rest = text.substr(1);
  std::int64_t amount = 0;
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), amount);
  if (error != std::errc{} || amount < 0) return bad_time(text, "a number should follow the sign");
  const std::string_view name = rest.substr(static_cast<std::size_t>(end - rest.data()));
  for (const Unit& unit : kUnits) {
    if (unit.name != name) continue;
    std::int64_t by_us = 0, at_us = 0;
    const bool far = __builtin_mul_overflow(amount, unit.us, &by_us);
    if (text.front() == '+') {
      if (far || __builtin_add_overflow(now_us, by_us, &at_us) || at_us > kLatestUs)
        return bad_time(text, "that is after the year 9999");
      return at_us;
    }
    if (far || by_us > now_us) return bad_time(text, "that is before 1970");
    return now_us - by_us;
  }
  return bad_time(text, "the unit should be ms, s, m, h, d or w");
}

// Takes exactly `digits` digits off the front of `text`.
std::optional<int> take_number(std::string_view& text, std::size_t digits) {
  if (text.size() < digits) return std::nullopt;
  int value = 0;
  for (std::size_t i = 0; i < digits; ++i) {
    if (text[i] < '0' || text[i] > '9') return std::nullopt;
    value = value * 10 + (text[i] - '0');
  }
  text.remove_prefix(digits);
  return value;
}

bool take_char(std::string_view& text, std::string_view any_of) {
  if (text.empty() || any_of.find(text.front()) == std::string_view::npos) return false;
  text.remove_prefix(1);
  return true;
}

// `.25` → 250000; digits after the sixth are cut. Nothing when there is a dot without digits.
std::optional<std::int64_t> take_fraction_us(std::string_view& text) {
  if (!take_char(text, ".")) return 0;
  std::int64_t us = 0;
  int digits = 0;
  while (!text.empty() && text.front() >= '0' && text.front() <= '9') {
    if (digits < 6) us = us * 10 + (text.front() - '0');
    ++digits;
    text.remove_prefix(1);
  }
  if (digits == 0) return std::nullopt;
  for (; digits < 6; ++digits) us *= 10;
  return us;
}

// `Z` → 0, `+01:30` → 5400.
std::optional<std::int64_t> take_zone_s(std::string_view& text) {
  if (take_char(text, "Zz")) return 0;
  if (text.empty()) return std::nullopt;
  const int sign = text.front() == '-' ? -1 : 1;
  if (!take_char(text, "+-")) return std::nullopt;
  const auto hours = take_number(text, 2);
  if (!hours || *hours > 23 || !take_char(text, ":")) return std::nullopt;
  const auto minutes = take_number(text, 2);
  if (!minutes || *minutes > 59) return std::nullopt;
  return sign * (*hours * 3600 + *minutes * 60);
}

Result<TimeUs> parse_rfc3339(std::string_view text) {
  std::string_view rest = text;
  const auto year = take_number(rest, 4);
  if (!year || !take_char(rest, "-")) return bad_time(text, "it should start with YYYY-MM-DD");
  const auto month = take_number(rest, 2);
  if (!month || !take_char(rest, "-")) return bad_time(text, "it should start with YYYY-MM-DD");
  const auto day = take_number(rest, 2);
  if (!day) return bad_time(text, "it should start with YYYY-MM-DD");
  if (!take_char(rest, "Tt ")) return bad_time(text, "'T' and hh:mm:ss should follow the date");
  const auto hour = take_number(rest, 2);
  if (!hour || !take_char(rest, ":")) return bad_time(text, "the time of day should be hh:mm:ss");
  const auto minute = take_number(rest, 2);
  if (!minute || !take_char(rest, ":")) return bad_time(text, "the time of day should be hh:mm:ss");
  const auto second = take_number(rest, 2);
  if (!second) return bad_time(text, "the time of day should be hh:mm:ss");
  const auto fraction_us = take_fraction_us(rest);
  if (!fraction_us) return bad_time(text, "digits should follow the '.'");
  const auto zone_s = take_zone_s(rest);
  if (!zone_s) return bad_time(text, "it should end with Z or a zone such as +01:00");
  if (!rest.empty()) return bad_time(text, "something follows the zone");

  const std::chrono::year_month_day date{std::chrono::year{*year},
                                         std::chrono::month{static_cast<unsigned>(*month)},
                                         std::chrono::day{static_cast<unsigned>(*day)}};
  // A leap second (60) counts as the first of the next minute.
  if (!date.ok() || *hour > 23 || *minute > 59 || *second > 60) {
    return bad_time(text, "no such day or time of day");
  }
  const std::int64_t days = std::chrono::sys_days{date}.time_since_epoch().count();
  const std::int64_t seconds = days * 86'400 + *hour * 3600 + *minute * 60 + *second - *zone_s;
  if (seconds < 0) return bad_time(text, "that is before 1970");
  return seconds * kSecondUs + *fraction_us;
}

}  // namespace

Result<TimeUs> parse_time(std::string_view text, TimeUs now_us) {
  const bool relative = text.starts_with('-') || text.starts_with('+');
  return relative ? parse_relative(text, now_us) : parse_rfc3339(text);
}

void append_time(std::string& out, TimeUs time_us) {
  const std::chrono::sys_time<std::chrono::microseconds> time{std::chrono::microseconds{time_us}};
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date{day};
  const std::chrono::hh_mm_ss clock{time - day};
  char text[64];
  const int size = std::snprintf(
      text, sizeof text, "%04d-%02u-%02uT%02d:%02d:%02d.%06dZ", static_cast<int>(date.year()),
      static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
      static_cast<int>(clock.hours().count()), static_cast<int>(clock.minutes().count()),
      static_cast<int>(clock.seconds().count()), static_cast<int>(clock.subseconds().count()));
  out.append(text, static_cast<std::size_t>(size));
}

std::string format_time(TimeUs time_us) {
  std::string text;
  append_time(text, time_us);
  return text;
}

std::string format_duration_ms(std::uint64_t duration_ms) {
  const std::uint64_t seconds = duration_ms / 1000;
  char text[64];
  if (seconds < 60) {
    std::snprintf(text, sizeof text, "%.1f s", static_cast<double>(duration_ms) / 1000);
  } else if (seconds < 3600) {
    std::snprintf(text, sizeof text, "%llu min %llu s",
                  static_cast<unsigned long long>(seconds / 60),
                  static_cast<unsigned long long>(seconds % 60));
  } else if (seconds < 86'400) {
    std::snprintf(text, sizeof text, "%llu h %llu min",
                  static_cast<unsigned long long>(seconds / 3600),
                  static_cast<unsigned long long>(seconds / 60 % 60));
  } else {
    std::snprintf(text, sizeof text, "%llu d %llu h",
                  static_cast<unsigned long long>(seconds / 86'400),
                  static_cast<unsigned long long>(seconds / 3600 % 24));
  }
  return text;
}

}  // namespace andyx::tools
