#include "tools/common/table.h"

#include <algorithm>
#include <cassert>

namespace andyx::tools {
namespace {

constexpr std::size_t kGap = 2;

void append_row(std::string& out, const std::vector<std::string>& cells,
                const std::vector<std::size_t>& widths, const std::vector<bool>& right) {
  std::string line;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    const std::size_t pad = widths[i] - cells[i].size();
    if (i > 0) line.append(kGap, ' ');
    if (right[i]) line.append(pad, ' ');
    line += cells[i];
    if (!right[i]) line.append(pad, ' ');
  }
  line.erase(line.find_last_not_of(' ') + 1);
  out += line;
  out += '\n';
}

}  // namespace

Table::Table(std::vector<std::string> columns) : columns_(std::move(columns)) {
  for (std::string& column : columns_) {
    right_.push_back(column.starts_with('>'));
    if (right_.back()) column.erase(0, 1);
  }
}

void Table::add(std::vector<std::string> row) {
  assert(row.size() == columns_.size());
  rows_.push_back(std::move(row));
}

std::string Table::text() const {
  std::vector<std::size_t> widths;
  for (const std::string& column : columns_) widths.push_back(column.size());
  for (const auto& row : rows_) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string out;
  append_row(out, columns_, widths, right_);
  for (const auto& row : rows_) append_row(out, row, widths, right_);
  return out;
}

}  // namespace andyx::tools
