// Panels with axes, curves and a legend, as SVG. Pure; values.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace andyx::bench {

enum class Scale {
  kLinear,     // from 0
  kLog,        // whole powers of ten; values that are not over 0 are left out
  kPercentile  // 0, 90, 99, 99.9…: each nine as far from the last one
};

struct Axis {
  std::string label;
  Scale scale = Scale::kLinear;
};

struct Curve {
  std::string name;  // in the legend; empty: not there
  unsigned color = 0;
  bool dashed = false;
  std::vector<std::pair<double, double>> points;
};

struct Panel {
  std::string title;
  Axis x, y;
  std::vector<Curve> curves;
};

// One below the other.
std::string draw_svg(const std::vector<Panel>& panels);

}  // namespace andyx::bench
