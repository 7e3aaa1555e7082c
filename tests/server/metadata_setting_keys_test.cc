#include "server/metadata/setting_keys.h"

#include <doctest/doctest.h>

#include <fstream>
#include <set>
#include <sstream>
#include <vector>

namespace andyx::server::test {
namespace {

std::string trimmed(std::string text) {
  const auto unwanted = " `";
  text.erase(0, text.find_first_not_of(unwanted));
  text.erase(text.find_last_not_of(unwanted) + 1);
  return text;
}

std::vector<std::string> cells_of(const std::string& line) {
  std::vector<std::string> cells;
  std::istringstream in(line.substr(1));
  for (std::string cell; std::getline(in, cell, '|');) cells.push_back(trimmed(cell));
  return cells;
}

std::string value_text(const SettingKey& key) {
  if (key.type == SettingKey::Type::kSwitch) return "true, false";
  if (key.type == SettingKey::Type::kOff) return "false";
  return std::to_string(key.least) + " to " + std::to_string(key.most);
}

TEST_CASE("FORMAT.md lists every setting as it is in the code") {
  std::ifstream file(ANDYX_SOURCE_ROOT "/protocol/FORMAT.md");
  REQUIRE(file);
  std::set<std::string> documented;
  bool here = false;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("#")) here = line == "## Scopes, settings, retention";
    if (!here || !line.starts_with("| `")) continue;
    const auto cells = cells_of(line);
    CAPTURE(line);
    REQUIRE(cells.size() >= 5);
    const auto found = find_setting(cells[0], Level::kTenant);
    REQUIRE(found);
    const SettingKey& key = **found;
    CHECK(cells[1] == key.original);
    CHECK(cells[2] == value_text(key));
    CHECK(cells[3] == level_name(key.settable));
    CHECK(cells[4] == (key.default_value.empty() ? "the node's" : key.default_value));
    documented.emplace(key.key);
  }
  CHECK(documented.size() == setting_keys().size());
}

TEST_CASE("keys are known by both names, and what is kept is always the same text") {
  for (const SettingKey& key : setting_keys()) {
    CAPTURE(key.key);
    CHECK(*find_setting(key.key, Level::kTenant) == &key);
    if (!key.original.empty()) CHECK(*find_setting(key.original, Level::kTenant) == &key);
    if (!key.default_value.empty()) CHECK(check_value(key, key.default_value) == key.default_value);
    CHECK(key.shown >= key.settable);
  }
  const SettingKey& partitions = **find_setting("default-partitions", Level::kTopic);
  CHECK(check_value(partitions, "0007") == "7");
  for (const char* bad : {"-1", "+7", " 7", "7 ", "", "1e3", "99999999999999999999999"}) {
    CAPTURE(bad);
    CHECK_FALSE(check_value(partitions, bad));
  }
  const SettingKey& allowed = **find_setting("topic-auto-create", Level::kComponent);
  CHECK(check_value(allowed, "TRUE") == "true");
  CHECK(check_value(allowed, "False") == "false");
  for (const char* bad : {"1", "yes", "true ", "falsefalsefalse"}) {
    CAPTURE(bad);
    CHECK_FALSE(check_value(allowed, bad));
  }
}

TEST_CASE("what nobody could print does not get into a message") {
  const auto refused = find_setting("\x1b[31m\n", Level::kTopic);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().message.find('\x1b') == std::string::npos);
  CHECK(refused.error().message.find('\n') == std::string::npos);
  const auto long_one = find_setting(std::string(100'000, 'x'), Level::kTopic);
  REQUIRE_FALSE(long_one);
  CHECK(long_one.error().message.size() < 1'000);
}

}  // namespace
}  // namespace andyx::server::test
