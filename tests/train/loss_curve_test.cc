// Checks the reading of losses and their plots.
#include "train/loss_curve.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "support/temp_folder.h"

namespace lazuli {
namespace {

using testing::HasSubstr;

LossCurves falling() {
  LossCurves curves;
  for (int k = 1; k <= 10; ++k) curves.train.push_back({10 * k, 4.0 - 0.3 * k});
  curves.validation = {{0, 4.0}, {50, 3.0}, {100, 1.5}};
  return curves;
}

TEST(LossCurve, IsReadFromMetrics) {
  const test::TempFolder folder;
  folder.write("metrics.jsonl",
               "{\"iteration\":0,\"val_loss\":4.5}\n{\"iteration\":10,\"train_loss\":4}\n{\"iteration\":20,\"train_loss\":null}\n"
               "{\"iteration\":20,\"val_loss\":3.5}\n{\"iteration\":30,\"train_loss\":3}\n{\"iterat");
  const LossCurves curves = read_loss_curves(folder.path("metrics.jsonl"));
  ASSERT_EQ(curves.train.size(), 2U);
  EXPECT_EQ(curves.train[1].iteration, 30);
  EXPECT_EQ(curves.train[1].loss, 3.0);
  ASSERT_EQ(curves.validation.size(), 2U);
  EXPECT_EQ(curves.validation[1].loss, 3.5);
}

TEST(LossCurve, TextFitsTheWidthAndFalls) {
  const std::string text = plot_text(falling(), 60, 8);
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 8 + 3);
  for (size_t begin = 0; begin < text.size(); begin = text.find('\n', begin) + 1) EXPECT_LE(text.find('\n', begin) - begin, 60U);
  EXPECT_TRUE(text.starts_with("  4.0000 |"));
  EXPECT_THAT(text, testing::AllOf(HasSubstr("1.0000"), HasSubstr("* training, o validation"), HasSubstr("100")));
  const std::string first_row = text.substr(0, text.find('\n'));
  EXPECT_NE(first_row.find('o'), std::string::npos);
  EXPECT_EQ(first_row.find('*'), std::string::npos);
}

TEST(LossCurve, TextNeedsRoomAndMarksThePointsInTheirRows) {
  EXPECT_EQ(plot_text(falling(), 19, 8), "");
  EXPECT_NE(plot_text(falling(), 20, 8), "");
  EXPECT_EQ(plot_text(falling(), 60, 2), "");
  EXPECT_NE(plot_text(falling(), 60, 3), "");
  LossCurves line;
  line.train = {{0, 4.0}, {10, 2.0}};
  EXPECT_EQ(plot_text(line, 21, 3),
            "  4.0000 |***\n"
            "  3.0000 |   *****\n"
            "  2.0000 |        ***\n"
            "         +-----------\n"
            "          0        10\n"
            "          loss by iteration: * training\n");
  LossCurves flat;
  flat.validation = {{0, 2.0}, {10, 2.0}};
  EXPECT_TRUE(plot_text(flat, 21, 3).starts_with("  2.5000 |\n  2.0000 |ooooooooooo\n  1.5000 |\n"));
}

TEST(LossCurve, NothingIsDrawnOfOnePoint) {
  LossCurves curves;
  curves.train = {{1, 2.0}};
  EXPECT_EQ(plot_text(curves, 80), "");
  EXPECT_THAT(plot_svg(curves, "one"), testing::Not(HasSubstr("polyline")));
  curves.train.push_back({2, 2.0});
  EXPECT_NE(plot_text(curves, 80), "");
}

TEST(LossCurve, SvgHasBothCurvesAndAnEscapedTitle) {
  const std::string svg = plot_svg(falling(), "a < b & c");
  EXPECT_TRUE(svg.starts_with("<svg "));
  EXPECT_TRUE(svg.ends_with("</svg>\n"));
  EXPECT_THAT(svg, testing::AllOf(HasSubstr("a &lt; b &amp; c"), HasSubstr("iteration 50: 3.0000")));
  size_t curves = 0;
  for (size_t at = svg.find("<polyline"); at != std::string::npos; at = svg.find("<polyline", at + 1)) ++curves;
  EXPECT_EQ(curves, 2U);
}

}  // namespace
}  // namespace lazuli
