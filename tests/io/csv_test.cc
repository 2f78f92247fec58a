// Checks the reading of tables: quotes, line ends, blank lines, and the lines that errors name.
#include "io/csv.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "lazuli/error.h"
#include "support/temp_folder.h"

namespace lazuli {
namespace {

using Cells = std::vector<std::string>;
using Rows = std::vector<std::pair<size_t, Cells>>;  // with the line that each begins on
using testing::ElementsAre;
using testing::Pair;

Rows rows_of(const std::string& text, char separator = ',') {
  const std::string name = "t.csv";
  CsvReader reader(text, separator, name);
  Rows rows;
  for (Cells cells; reader.next(cells);) rows.emplace_back(reader.line(), cells);
  return rows;
}
std::string error(const std::string& text) {
  return test::message_of<FormatError>([&] { rows_of(text); });
}

TEST(Csv, CellsStandBetweenSeparators) {
  EXPECT_THAT(rows_of(""), ElementsAre());
  EXPECT_THAT(rows_of("a"), ElementsAre(Pair(1U, Cells{"a"})));
  EXPECT_THAT(rows_of("a,"), ElementsAre(Pair(1U, Cells{"a", ""})));
  EXPECT_THAT(rows_of(","), ElementsAre(Pair(1U, Cells{"", ""})));
  EXPECT_THAT(rows_of("a,b\n,d\n"), ElementsAre(Pair(1U, Cells{"a", "b"}), Pair(2U, Cells{"", "d"})));
  EXPECT_THAT(rows_of("a;b,c", ';'), ElementsAre(Pair(1U, Cells{"a", "b,c"})));
  EXPECT_THAT(rows_of("a\tb", '\t'), ElementsAre(Pair(1U, Cells{"a", "b"})));
}

TEST(Csv, LinesEndInAnyWayAndBlankOnesAreNone) {
  EXPECT_THAT(rows_of("a\r\nb\rc\nd"), ElementsAre(Pair(1U, Cells{"a"}), Pair(2U, Cells{"b"}), Pair(3U, Cells{"c"}), Pair(4U, Cells{"d"})));
  EXPECT_THAT(rows_of("\n\r\n\ra\r\n\r\n\nb\r"), ElementsAre(Pair(4U, Cells{"a"}), Pair(7U, Cells{"b"})));
  EXPECT_THAT(rows_of("\n\r\n"), ElementsAre());
  EXPECT_THAT(rows_of("a,b\r"), ElementsAre(Pair(1U, Cells{"a", "b"})));
  EXPECT_THAT(rows_of("a,\r\nb"), ElementsAre(Pair(1U, Cells{"a", ""}), Pair(2U, Cells{"b"})));
}

TEST(Csv, QuotesHoldSeparatorsLineEndsAndDoubledQuotes) {
  EXPECT_THAT(rows_of("\"a,b\",\"c\"\"d\"\n\"e\nf\r\ng\",h\ni"),
              ElementsAre(Pair(1U, Cells{"a,b", "c\"d"}), Pair(2U, Cells{"e\nf\r\ng", "h"}), Pair(5U, Cells{"i"})));
  EXPECT_THAT(rows_of("\"\""), ElementsAre(Pair(1U, Cells{""})));
  EXPECT_THAT(rows_of("\"\"\"\"\n\"a\"\r\"b\""), ElementsAre(Pair(1U, Cells{"\""}), Pair(2U, Cells{"a"}), Pair(3U, Cells{"b"})));
  EXPECT_THAT(rows_of("\"a\""), ElementsAre(Pair(1U, Cells{"a"})));
  EXPECT_THAT(rows_of("a\"b\",c"), ElementsAre(Pair(1U, Cells{"a\"b\"", "c"})));
}

TEST(Csv, ErrorsNameTheLine) {
  EXPECT_EQ(error("a\n\"b\nc"), "t.csv:2: a closing quote expected, but the file ends");
  EXPECT_EQ(error("a\n\"\"\"\n"), "t.csv:2: a closing quote expected, but the file ends");
  EXPECT_EQ(error("a\n\"b\nc\"d\n"), "t.csv:3: a separator ',' expected behind a closing quote");
  EXPECT_EQ(error("\"a\" ,b\n"), "t.csv:1: a separator ',' expected behind a closing quote");
}

}  // namespace
}  // namespace lazuli
