// Reads and plots losses.
#include "train/loss_curve.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <optional>
#include <sstream>

#include "base/file.h"
#include "base/json.h"
#include "lazuli/error.h"

namespace lazuli {

namespace {

constexpr size_t kMaxCurveBytes = size_t{1} << 30;

void add_point(const JsonValue& line, const char* key, std::vector<LossPoint>& curve) {
  const std::optional<JsonValue> value = line.find(key);
  if (!value || !value->is_number()) return;
  const LossPoint point{line.get("iteration").as_int(), value->as_double()};
  if (std::isfinite(point.loss) && (curve.empty() || curve.back().iteration < point.iteration)) curve.push_back(point);
}

/// What both plots have to show.
struct Range {
  double low = std::numeric_limits<double>::infinity(), high = -std::numeric_limits<double>::infinity();
  int64_t first = std::numeric_limits<int64_t>::max(), last = std::numeric_limits<int64_t>::min();

  explicit Range(const LossCurves& curves) {
    for (const auto* curve : {&curves.train, &curves.validation}) {
      for (const LossPoint& p : *curve) {
        low = std::min(low, p.loss);
        high = std::max(high, p.loss);
        first = std::min(first, p.iteration);
        last = std::max(last, p.iteration);
      }
    }
    // A flat curve runs through the middle.
    if (low == high) {
      low -= 0.5;
      high += 0.5;
    }
  }
  /// From 0 at the left to 1 at the right.
  double across(double iteration) const { return (iteration - static_cast<double>(first)) / static_cast<double>(last - first); }
  /// From 0 at the bottom to 1 at the top.
  double up(double loss) const { return (loss - low) / (high - low); }
};

bool can_be_plotted(const LossCurves& curves) { return curves.train.size() >= 2 || curves.validation.size() >= 2; }

/// On the line between the points around an iteration; nothing outside of the curve.
std::optional<double> loss_at(const std::vector<LossPoint>& curve, double iteration) {
  for (size_t k = 1; k < curve.size(); ++k) {
    const auto a = static_cast<double>(curve[k - 1].iteration), b = static_cast<double>(curve[k].iteration);
    if (iteration >= a && iteration <= b) return curve[k - 1].loss + (curve[k].loss - curve[k - 1].loss) * (iteration - a) / (b - a);
  }
  return std::nullopt;
}

void draw(const std::vector<LossPoint>& curve, const Range& range, char mark, std::vector<std::string>& rows) {
  const size_t columns = rows[0].size();
  for (size_t c = 0; c < columns; ++c) {
    const double at = static_cast<double>(range.first) +
                      static_cast<double>(range.last - range.first) * static_cast<double>(c) / static_cast<double>(columns - 1);
    const std::optional<double> loss = loss_at(curve, at);
    if (!loss) continue;
    const auto row = static_cast<size_t>(std::lround((1 - range.up(*loss)) * static_cast<double>(rows.size() - 1)));
    rows[row][c] = mark;
  }
}

std::string escaped(const std::string& text) {
  std::string out;
  for (char c : text) {
    switch (c) {
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '&':
        out += "&amp;";
        break;
      default:
        out += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
    }
  }
  return out;
}

constexpr double kWidth = 720, kHeight = 400, kLeft = 64, kRight = 16, kTop = 40, kBottom = 44;

struct SvgPlane {
  const Range& range;
  double x(double iteration) const { return kLeft + range.across(iteration) * (kWidth - kLeft - kRight); }
  double y(double loss) const { return kTop + (1 - range.up(loss)) * (kHeight - kTop - kBottom); }
};

void svg_axes(fmt::memory_buffer& out, const SvgPlane& plane) {
  constexpr int kTicks = 5;
  auto to = std::back_inserter(out);
  const Range& r = plane.range;
  for (int k = 0; k <= kTicks; ++k) {
    const double part = static_cast<double>(k) / kTicks;
    const double loss = r.low + part * (r.high - r.low);
    const double iteration = std::round(static_cast<double>(r.first) + part * static_cast<double>(r.last - r.first));
    fmt::format_to(to, "<line x1=\"{}\" x2=\"{}\" y1=\"{:.1f}\" y2=\"{:.1f}\" stroke=\"#ddd\"/>\n", kLeft, kWidth - kRight, plane.y(loss),
                   plane.y(loss));
    fmt::format_to(to, "<text x=\"{}\" y=\"{:.1f}\" text-anchor=\"end\">{:.3f}</text>\n", kLeft - 6, plane.y(loss) + 4, loss);
    fmt::format_to(to, "<text x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">{:.0f}</text>\n", plane.x(iteration), kHeight - kBottom + 18,
                   iteration);
  }
  fmt::format_to(to, "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">iteration</text>\n", (kLeft + kWidth - kRight) / 2, kHeight - 8);
}

void svg_curve(fmt::memory_buffer& out, const SvgPlane& plane, const std::vector<LossPoint>& curve, const char* colour, bool dots) {
  if (curve.empty()) return;
  auto to = std::back_inserter(out);
  fmt::format_to(to, "<polyline fill=\"none\" stroke=\"{}\" stroke-width=\"2\" points=\"", colour);
  for (const LossPoint& p : curve) {
    fmt::format_to(to, "{:.1f},{:.1f} ", plane.x(static_cast<double>(p.iteration)), plane.y(p.loss));
  }
  fmt::format_to(to, "\"/>\n");
  for (const LossPoint& p : curve) {
    if (!dots && curve.size() > 1) break;
    fmt::format_to(to, "<circle r=\"3\" fill=\"{}\" cx=\"{:.1f}\" cy=\"{:.1f}\"><title>iteration {}: {:.4f}</title></circle>\n", colour,
                   plane.x(static_cast<double>(p.iteration)), plane.y(p.loss), p.iteration, p.loss);
  }
}

}  // namespace

LossCurves read_loss_curves(const std::string& path) {
  LossCurves curves;
  std::istringstream lines(read_file(path, kMaxCurveBytes));
  for (std::string line; std::getline(lines, line);) {
    try {
      const JsonDocument document = JsonDocument::parse(line, path);
      add_point(document.root(), "train_loss", curves.train);
      add_point(document.root(), "val_loss", curves.validation);
    } catch (const FormatError&) {
      // A line that an interrupted run cut short says nothing.
    }
  }
  return curves;
}

std::string plot_text(const LossCurves& curves, int width, int height) {
  constexpr int kLabel = 10;
  if (!can_be_plotted(curves) || width < kLabel + 10 || height < 3) return {};
  const Range range(curves);
  std::vector<std::string> rows(static_cast<size_t>(height), std::string(static_cast<size_t>(width - kLabel), ' '));
  draw(curves.train, range, '*', rows);
  draw(curves.validation, range, 'o', rows);
  std::string text;
  for (size_t r = 0; r < rows.size(); ++r) {
    const double loss = range.high - (range.high - range.low) * static_cast<double>(r) / static_cast<double>(rows.size() - 1);
    const bool labelled = r == 0 || r + 1 == rows.size() || r == rows.size() / 2;
    const std::string label = labelled ? fmt::format("{:>8.4f}", loss) : std::string(8, ' ');
    std::string line = fmt::format("{} |{}", label, rows[r]);
    line.resize(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  }
  const std::string left = std::to_string(range.first), right = std::to_string(range.last);
  const auto gap = static_cast<size_t>(std::max(1, width - kLabel - static_cast<int>(left.size() + right.size())));
  text += fmt::format("{:>8} +{}\n{:>10}{}{}{}\n", "", std::string(static_cast<size_t>(width - kLabel), '-'), "", left,
                      std::string(gap, ' '), right);
  text += fmt::format("{:>10}loss by iteration: * training{}\n", "", curves.validation.empty() ? "" : ", o validation");
  return text;
}

std::string plot_svg(const LossCurves& curves, const std::string& title) {
  fmt::memory_buffer out;
  auto to = std::back_inserter(out);
  fmt::format_to(to,
                 "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {1}\" width=\"{0}\" height=\"{1}\" "
                 "font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"{0}\" height=\"{1}\" fill=\"white\"/>\n",
                 kWidth, kHeight);
  fmt::format_to(to, "<text x=\"{}\" y=\"20\" font-size=\"14\">{}</text>\n", kLeft, escaped(title));
  if (can_be_plotted(curves)) {
    const Range range(curves);
    const SvgPlane plane{range};
    svg_axes(out, plane);
    svg_curve(out, plane, curves.train, "#1d4f91", false);
    svg_curve(out, plane, curves.validation, "#c8501e", true);
    fmt::format_to(to, "<text x=\"{0}\" y=\"20\" text-anchor=\"end\" fill=\"#1d4f91\">training</text>\n", kWidth - kRight - 80);
    fmt::format_to(to, "<text x=\"{0}\" y=\"20\" text-anchor=\"end\" fill=\"#c8501e\">validation</text>\n", kWidth - kRight);
  }
  fmt::format_to(to, "</svg>\n");
  return fmt::to_string(out);
}

}  // namespace lazuli
