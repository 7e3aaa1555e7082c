// A table of text with aligned columns, for people. One thread.
#pragma once

#include <string>
#include <vector>

namespace andyx::tools {

class Table {
 public:
  // Columns whose name starts with '>' are aligned to the right (numbers); the mark is not shown.
  explicit Table(std::vector<std::string> columns);

  void add(std::vector<std::string> row);  // asserts as many cells as columns

  // Header and rows, each line ended by LF, without trailing blanks.
  std::string text() const;

 private:
  std::vector<std::string> columns_;
  std::vector<bool> right_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace andyx::tools
