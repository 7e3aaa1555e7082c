#include "protocol/base/names.h"

#include <algorithm>
#include <array>

#include "protocol/base/limits.h"

namespace andyx {
namespace {

constexpr std::string_view kScheme = "andyx://";
constexpr std::string_view kDefault = "default";

bool is_name_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
         c == '_' || c == '-';
}

// Bad input goes into messages and logs: cut, and only with characters that are safe to print.
std::string quoted(std::string_view text) {
  constexpr std::size_t kShown = 160;
  std::string out = "'";
  for (char c : text.substr(0, kShown)) out += c >= 0x20 && c < 0x7f ? c : '?';
  if (text.size() > kShown) out += "…";
  return out + "'";
}

}  // namespace

Status check_name(std::string_view name, std::string_view what) {
  const auto bad = [&](const std::string& why) {
    return fail(ErrorCode::kBadName, std::string(what) + " " + quoted(name) + " " + why);
  };
  if (name.empty()) return bad("is empty");
  if (name.size() > limits::kMaxNameBytes) {
    return bad("has " + std::to_string(name.size()) + " bytes, the limit is " +
               std::to_string(limits::kMaxNameBytes));
  }
  if (name.front() == '.') return bad("starts with a dot");
  if (!std::ranges::all_of(name, is_name_char)) {
    return bad("holds a character other than A-Z a-z 0-9 . _ -");
  }
  return {};
}

Result<TopicName> TopicName::parse(std::string_view text) {
  const std::string_view whole = text;
  const bool has_scheme = text.starts_with(kScheme);
  if (has_scheme) text.remove_prefix(kScheme.size());

  constexpr std::array<std::string_view, 4> kLevels = {"tenant", "product", "component", "topic"};
  std::array<std::string_view, 4> parts;
  std::size_t count = 0;
  while (true) {
    const auto slash = text.find('/');
    if (count < parts.size()) parts[count] = text.substr(0, slash);
    ++count;
    if (slash == std::string_view::npos) break;
    text.remove_prefix(slash + 1);
  }
  if (count == 1 && !has_scheme) {
    if (auto status = check_name(parts[0], "the topic name"); !status) {
      return std::unexpected(status.error());
    }
    return TopicName{std::string(kDefault), std::string(kDefault), std::string(kDefault),
                     std::string(parts[0])};
  }
  if (count != parts.size()) {
    return fail(ErrorCode::kBadName,
                "the topic name " + quoted(whole) + " has " + std::to_string(count) +
                    " parts; it is NAME or [andyx://]tenant/product/component/topic");
  }
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const std::string what =
        "the " + std::string(kLevels[i]) + " of the topic name " + quoted(whole) + ",";
    if (auto status = check_name(parts[i], what); !status) return std::unexpected(status.error());
  }
  return TopicName{std::string(parts[0]), std::string(parts[1]), std::string(parts[2]),
                   std::string(parts[3])};
}

std::string TopicName::path() const {
  std::string out;
  out.reserve(tenant.size() + product.size() + component.size() + topic.size() + 3);
  return out.append(tenant)
      .append("/")
      .append(product)
      .append("/")
      .append(component)
      .append("/")
      .append(topic);
}

std::string TopicName::url() const { return std::string(kScheme) + path(); }

}  // namespace andyx
