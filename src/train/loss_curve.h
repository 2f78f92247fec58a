// Defines LossCurves, the losses of a training over its iterations, and their plots.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace lazuli {

struct LossPoint {
  int64_t iteration = 0;
  double loss = 0;
};

/// In ascending order of iterations; losses that are not finite are left out.
struct LossCurves {
  std::vector<LossPoint> train, validation;
};

/// From the lines that MetricsFile wrote; lines that were cut short are left out. Throws IoError.
LossCurves read_loss_curves(const std::string& path);

/// A plot of letters, `width` columns wide: `*` training, `o` validation. Empty where no curve has two points.
std::string plot_text(const LossCurves& curves, int width, int height = 12);
/// The same as an SVG document.
std::string plot_svg(const LossCurves& curves, const std::string& title);

}  // namespace lazuli
