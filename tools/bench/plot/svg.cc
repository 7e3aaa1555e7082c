#include "tools/bench/plot/svg.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>

namespace andyx::bench {
namespace {

constexpr double kWidth = 900, kPanelHeight = 420;
constexpr double kLeft = 80, kRight = 20, kTop = 60, kBottom = 60;
constexpr double kLegendLine = 16;
// Told apart by people who see few colours, too (Okabe and Ito).
constexpr const char* kColors[] = {"#0072b2", "#d55e00", "#009e73", "#cc79a7",
                                   "#e69f00", "#56b4e9", "#000000", "#999999"};
constexpr double kMostNines = 6;

template <typename... Values>
void append(std::string& out, const char* format, Values... values) {
  char text[512];
  std::snprintf(text, sizeof text, format, values...);
  out += text;
}

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        // XML has no other control characters, however they are written.
        out += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
    }
  }
  return out;
}

double nines(double percentile) {
  const double rest = std::max(1 - percentile / 100, std::pow(10, -kMostNines));
  return -std::log10(rest);
}

// Where values lie between 0 and 1.
class Range {
 public:
  explicit Range(Scale scale) : scale_(scale) {}

  bool shows(double value) const {
    return std::isfinite(value) && (scale_ != Scale::kLog || value > 0);
  }
  void include(double value) {
    if (!shows(value)) return;
    least_ = std::min(least_, even(value));
    most_ = std::max(most_, even(value));
  }
  void close() {
    if (least_ > most_) least_ = most_ = 0;
    if (scale_ == Scale::kLog) {
      least_ = std::floor(least_);
      most_ = std::ceil(most_);
    } else {
      least_ = 0;
    }
    if (most_ <= least_) most_ = least_ + 1;
    if (scale_ == Scale::kLinear) most_ = std::ceil(most_ / step()) * step();
  }
  double place(double value) const { return (even(value) - least_) / (most_ - least_); }

  // Values with a line and a number.
  std::vector<double> ticks() const {
    std::vector<double> values;
    if (scale_ == Scale::kLinear) {
      for (int i = 0; step() * i <= most_ * 1.0001; ++i) values.push_back(step() * i);
    } else if (scale_ == Scale::kLog) {
      for (double power = least_; power <= most_; ++power) values.push_back(std::pow(10, power));
    } else {
      for (double count = 0; count <= std::floor(most_); ++count) {
        values.push_back(100 - 100 * std::pow(10, -count));
      }
    }
    return values;
  }

 private:
  // On a scale on which equal distances are equal.
  double even(double value) const {
    if (scale_ == Scale::kLog) return std::log10(value);
    return scale_ == Scale::kPercentile ? nines(value) : value;
  }
  // 1, 2 or 5 times a power of ten, so that there are four to ten.
  double step() const {
    const double power = std::pow(10, std::floor(std::log10(most_)));
    for (const double factor : {0.1, 0.2, 0.5, 1.0}) {
      if (most_ / (power * factor) <= 10) return power * factor;
    }
    return power;
  }

  Scale scale_;
  double least_ = std::numeric_limits<double>::infinity();
  double most_ = -std::numeric_limits<double>::infinity();
};

std::string number_text(double value) {
  struct Unit {
    double size;
    const char* name;
  };
  for (const Unit unit : {Unit{1e9, "G"}, {1e6, "M"}, {1e3, "k"}}) {
    if (value < unit.size) continue;
    std::string text;
    append(text, "%.6g%s", value / unit.size, unit.name);
    return text;
  }
  std::string text;
  append(text, "%.9g", value);
  return text;
}

struct Frame {
  double top;  // of the panel
  Range x, y;

  double x_of(double value) const { return kLeft + x.place(value) * (kWidth - kLeft - kRight); }
  double y_of(double value) const {
    return top + kPanelHeight - kBottom - y.place(value) * (kPanelHeight - kTop - kBottom);
  }
};

void draw_axes(std::string& out, const Panel& panel, const Frame& frame) {
  const double bottom = frame.top + kPanelHeight - kBottom;
  append(out, "<text x=\"%.1f\" y=\"%.1f\" font-size=\"15\" font-weight=\"bold\">", kLeft,
         frame.top + 24);
  out += escaped(panel.title) + "</text>\n";
  for (const double tick : frame.x.ticks()) {
    const double x = frame.x_of(tick);
    append(out, "<path d=\"M%.1f %.1fV%.1f\" stroke=\"#dddddd\"/>\n", x, frame.top + kTop, bottom);
    append(out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%s</text>\n", x, bottom + 18,
           number_text(tick).c_str());
  }
  for (const double tick : frame.y.ticks()) {
    const double y = frame.y_of(tick);
    append(out, "<path d=\"M%.1f %.1fH%.1f\" stroke=\"#dddddd\"/>\n", kLeft, y, kWidth - kRight);
    append(out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">%s</text>\n", kLeft - 8, y + 4,
           number_text(tick).c_str());
  }
  append(out, "<path d=\"M%.1f %.1fV%.1fH%.1f\" stroke=\"#333333\" fill=\"none\"/>\n", kLeft,
         frame.top + kTop, bottom, kWidth - kRight);
  append(out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">", (kLeft + kWidth - kRight) / 2,
         bottom + 40);
  out += escaped(panel.x.label) + "</text>\n";
  append(out, "<text x=\"%.1f\" y=\"%.1f\">", kLeft - 60, frame.top + kTop - 12);
  out += escaped(panel.y.label) + "</text>\n";
}

void draw_curve(std::string& out, const Curve& curve, const Frame& frame) {
  std::string path;
  for (const auto& [x, y] : curve.points) {
    if (!frame.x.shows(x) || !frame.y.shows(y)) continue;
    append(path, "%s%.1f %.1f", path.empty() ? "M" : "L", frame.x_of(x), frame.y_of(y));
  }
  if (path.empty()) return;
  out += "<path d=\"" + path + "\" fill=\"none\" stroke-width=\"2\" stroke=\"";
  out += kColors[curve.color % std::size(kColors)];
  out += curve.dashed ? "\" stroke-dasharray=\"6 4\"/>\n" : "\"/>\n";
}

void draw_legend(std::string& out, const Panel& panel, const Frame& frame) {
  double y = frame.top + kTop + kLegendLine;
  for (const Curve& curve : panel.curves) {
    if (curve.name.empty()) continue;
    append(out, "<path d=\"M%.1f %.1fh24\" stroke-width=\"2\" stroke=\"%s\"%s/>\n", kLeft + 12,
           y - 4, kColors[curve.color % std::size(kColors)],
           curve.dashed ? " stroke-dasharray=\"6 4\"" : "");
    append(out, "<text x=\"%.1f\" y=\"%.1f\">", kLeft + 42, y);
    out += escaped(curve.name) + "</text>\n";
    y += kLegendLine;
  }
}

}  // namespace

std::string draw_svg(const std::vector<Panel>& panels) {
  const double height = kPanelHeight * static_cast<double>(panels.size());
  std::string out;
  append(out,
         "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f %.0f\" "
         "font-family=\"sans-serif\" font-size=\"12\">\n",
         kWidth, height);
  append(out, "<rect width=\"%.0f\" height=\"%.0f\" fill=\"white\"/>\n", kWidth, height);
  double top = 0;
  for (const Panel& panel : panels) {
    Frame frame{.top = top, .x = Range(panel.x.scale), .y = Range(panel.y.scale)};
    for (const Curve& curve : panel.curves) {
      for (const auto& [x, y] : curve.points) {
        frame.x.include(x);
        frame.y.include(y);
      }
    }
    frame.x.close();
    frame.y.close();
    draw_axes(out, panel, frame);
    for (const Curve& curve : panel.curves) draw_curve(out, curve, frame);
    draw_legend(out, panel, frame);
    top += kPanelHeight;
  }
  return out + "</svg>\n";
}

}  // namespace andyx::bench
