#include "server/metadata/setting_keys.h"

#include <algorithm>
#include <charconv>

#include "protocol/base/limits.h"

namespace andyx::server {
namespace {

using Type = SettingKey::Type;

constexpr SettingKey kKeys[] = {
    {setting::kProductAutoCreate, "IsProductAutomaticCreationAllowed", Type::kSwitch,
     Level::kTenant, Level::kTenant, 0, 0, "true"},
    {setting::kComponentAutoCreate, "IsComponentAutomaticCreationAllowed", Type::kSwitch,
     Level::kProduct, Level::kProduct, 0, 0, "true"},
    {setting::kTopicAutoCreate, "IsTopicAutomaticCreationAllowed", Type::kSwitch, Level::kComponent,
     Level::kComponent, 0, 0, "true"},
    {setting::kSubscriptionAutoCreate, "IsSubscriptionAutomaticCreationAllowed", Type::kSwitch,
     Level::kComponent, Level::kTopic, 0, 0, "true"},
    {setting::kProducerAutoCreate, "IsProducerAutomaticCreationAllowed", Type::kSwitch,
     Level::kComponent, Level::kTopic, 0, 0, "true"},
    {setting::kDefaultPartitions, "", Type::kNumber, Level::kTopic, Level::kTopic, 1,
     limits::kMaxPartitionsPerTopic, ""},
    {setting::kMaxMessageBytes, "", Type::kNumber, Level::kTopic, Level::kTopic, 1,
     limits::kMaxMessageBytes, ""},
    {setting::kDedupWindowMs, "", Type::kNumber, Level::kTopic, Level::kTopic, 0,
     limits::kMaxDedupWindowMs, "0"},
    {"encryption", "IsEncryptionEnabled", Type::kOff, Level::kTenant, Level::kTopic, 0, 0, "false"},
    {"authorization", "IsAuthorizationEnabled", Type::kOff, Level::kComponent, Level::kTopic, 0, 0,
     "false"},
    {"schema-validation", "EnforceSchemaValidation", Type::kOff, Level::kComponent, Level::kTopic,
     0, 0, "false"},
};

std::string keys_settable_on(Level level) {
  std::string text;
  for (const SettingKey& key : kKeys) {
    if (level > key.settable) continue;
    if (!text.empty()) text += ", ";
    text += key.key;
  }
  return text;
}

// Bad input goes into messages and logs: cut, and only with characters that are safe to print.
std::string quoted(std::string_view text) {
  constexpr std::size_t kShown = 80;
  std::string out = "'";
  for (const char c : text.substr(0, kShown)) out += c >= 0x20 && c < 0x7f ? c : '?';
  if (text.size() > kShown) out += "…";
  return out + "'";
}

std::string lower(std::string_view text) {
  std::string out(text.substr(0, 8));  // longer than any word that is looked for
  std::ranges::transform(out, out.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return out;
}

}  // namespace

std::span<const SettingKey> setting_keys() { return kKeys; }

Result<const SettingKey*> find_setting(std::string_view key, Level level) {
  const std::string possible =
      "; possible on a " + std::string(level_name(level)) + ": " + keys_settable_on(level);
  for (const SettingKey& known : kKeys) {
    if (key.empty() || (key != known.key && key != known.original)) continue;
    if (level <= known.settable) return &known;
    return fail(ErrorCode::kBadArgument, std::string(known.key) + " is not set on a " +
                                             std::string(level_name(level)) + ", but on a " +
                                             std::string(level_name(known.settable)) + " or above" +
                                             possible);
  }
  return fail(ErrorCode::kBadArgument, "there is no setting " + quoted(key) + possible);
}

Result<std::string> check_value(const SettingKey& key, std::string_view value) {
  const auto bad = [&](const std::string& possible) {
    return fail(ErrorCode::kBadArgument, std::string(key.key) + " is " + possible + ", not " +
                                             quoted(value) + "; an empty value removes it");
  };
  if (key.type == Type::kNumber) {
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
    if (error != std::errc{} || end != value.data() + value.size() || number < key.least ||
        number > key.most) {
      return bad("a whole number from " + std::to_string(key.least) + " to " +
                 std::to_string(key.most));
    }
    return std::to_string(number);
  }
  std::string word = lower(value);
  if (word == "true" && key.type == Type::kOff) {
    return bad("false: this version has nothing that it would switch on");
  }
  if (word != "true" && word != "false") {
    return bad(key.type == Type::kOff ? "false in this version" : "true or false");
  }
  return word;
}

std::uint32_t number_of(std::string_view value) {
  std::uint32_t number = 0;
  std::from_chars(value.data(), value.data() + value.size(), number);
  return number;
}

}  // namespace andyx::server
