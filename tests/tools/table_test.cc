#include "tools/common/table.h"

#include <doctest/doctest.h>

TEST_CASE("columns are as wide as their widest cell, numbers to the right, no trailing blanks") {
  andyx::tools::Table table({"NAME", ">COUNT", "STATE"});
  table.add({"a", "1", "ok"});
  table.add({"longer", "12345678", ""});
  CHECK(table.text() ==
        "NAME       COUNT  STATE\n"
        "a              1  ok\n"
        "longer  12345678\n");
}
