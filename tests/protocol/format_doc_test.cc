// FORMAT.md is a contract with strangers: where it can be compared with the code, it is.
#include <doctest/doctest.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "frame_generated.h"
#include "protocol/base/error.h"
#include "protocol/batch/key_hash.h"
#include "tests/protocol/sample_messages.h"

namespace andyx {
namespace {

std::vector<std::string> lines_of_document() {
  std::ifstream file(ANDYX_SOURCE_ROOT "/protocol/FORMAT.md");
  REQUIRE(file);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

std::string trimmed(std::string text) {
  const auto unwanted = " `";
  text.erase(0, std::min(text.find_first_not_of(unwanted), text.size()));
  text.erase(text.find_last_not_of(unwanted) + 1);
  return text;
}

// The rows of the table under `heading`, without its head; cells without spaces and backticks.
std::vector<std::vector<std::string>> table_under(const std::string& heading) {
  std::vector<std::vector<std::string>> rows;
  bool here = false;
  for (const auto& line : lines_of_document()) {
    if (line.starts_with("#")) here = line == heading;
    if (!here || !line.starts_with("|")) continue;
    std::vector<std::string> cells;
    std::istringstream in(line.substr(1));
    for (std::string cell; std::getline(in, cell, '|');) cells.push_back(trimmed(cell));
    rows.push_back(cells);
  }
  REQUIRE(rows.size() > 2);
  rows.erase(rows.begin(), rows.begin() + 2);
  return rows;
}

TEST_CASE("FORMAT.md lists every error code as it is in the code") {
  std::map<int, std::vector<std::string>> documented;
  for (const auto& row : table_under("## Errors")) documented[std::stoi(row[0])] = row;
  for (int number = 1; number < 1'000; ++number) {
    const auto code = static_cast<ErrorCode>(number);
    const auto& info = error_info(code);
    CAPTURE(number);
    REQUIRE(documented.contains(number) == (info.code == code));
    if (info.code != code) continue;
    const auto& row = documented[number];
    REQUIRE(row.size() == 6);
    CHECK(row[1] == info.name);
    CHECK(row[2] == info.text);
    CHECK(row[3] == info.remedy);
    CHECK(row[4] == (info.stored == Storedness::kNotStored ? "not stored" : "maybe stored"));
    CHECK(row[5] == (info.retriable ? "yes" : "no"));
  }
}

TEST_CASE("FORMAT.md gives every body its number") {
  const auto rows = table_under("## Bodies");
  REQUIRE(rows.size() == static_cast<std::size_t>(protocol::Body::MAX));
  for (std::size_t i = 0; i < rows.size(); ++i) {
    CHECK(rows[i][0] == std::to_string(i + 1));
    CHECK(rows[i][1] == protocol::EnumNameBody(static_cast<protocol::Body>(i + 1)));
  }
}

TEST_CASE("FORMAT.md's key hashes and partitions are those of the code") {
  const auto hex = [](std::uint64_t value, int digits) {
    std::ostringstream out;
    out << std::hex;
    out.fill('0');
    out.width(digits);
    out << value;
    return out.str();
  };
  const auto rows = table_under("## Keys and partitions");
  CHECK(rows.size() >= 6);
  for (const auto& row : rows) {
    REQUIRE(row.size() == 9);
    const std::string key = row[0] == "(empty)" ? "" : row[0];
    CAPTURE(key);
    std::string bytes;
    for (const char byte : key) bytes += hex(static_cast<unsigned char>(byte), 2);
    CHECK(row[1] == bytes);
    CHECK(row[2] == hex(batch::key_hash64(key), 16));
    CHECK(row[3] == hex(batch::table_key_hash(key), 8));
    std::size_t column = 4;
    for (const std::uint32_t partitions : {1, 2, 3, 4, 16})
      CHECK(row[column++] == std::to_string(batch::partition_of_key(key, partitions)));
  }
}

TEST_CASE("FORMAT.md shows the bytes of the plain golden batch") {
  const auto batch = test::stored_batch(test::plain_messages());
  std::vector<int> shown;
  for (const auto& line : lines_of_document()) {
    std::istringstream in(line);
    std::size_t at = 0;
    if (!(in >> at) || at != shown.size() || line.size() < 30 || line[3] != ' ') continue;
    std::istringstream bytes(line.substr(5, 23));
    for (int byte; bytes >> std::hex >> byte;) shown.push_back(byte);
  }
  REQUIRE(shown.size() == batch.size());
  for (std::size_t i = 0; i < shown.size(); ++i) {
    CAPTURE(i);
    CHECK(shown[i] == batch.data()[i]);
  }
}

}  // namespace
}  // namespace andyx
