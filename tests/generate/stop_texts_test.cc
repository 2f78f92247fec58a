// Checks that stop texts are found across pieces and nothing of them is passed on.
#include "generate/stop_texts.h"

#include <gtest/gtest.h>

#include "lazuli/error.h"

namespace lazuli {
namespace {

TEST(StopTexts, WithoutStopsAllIsPassedOnAtOnce) {
  StopTexts stops({});
  EXPECT_EQ(stops.feed("abc"), "abc");
  EXPECT_EQ(stops.flush(), "");
}

TEST(StopTexts, AStopAcrossPiecesIsHeldBack) {
  StopTexts stops({"END"});
  EXPECT_EQ(stops.feed("text E"), "text ");
  EXPECT_EQ(stops.feed("N"), "");
  EXPECT_EQ(stops.feed("D more"), "");
  EXPECT_TRUE(stops.found());
  EXPECT_EQ(stops.feed("x"), "");
  EXPECT_EQ(stops.flush(), "");
}

TEST(StopTexts, WhatWasNoStopIsPassedOnLater) {
  StopTexts stops({"aab"});
  EXPECT_EQ(stops.feed("aa"), "");
  EXPECT_EQ(stops.feed("a"), "a");
  EXPECT_EQ(stops.feed("c"), "aac");
  EXPECT_EQ(stops.feed("xa"), "x");
  EXPECT_EQ(stops.flush(), "a");
  EXPECT_FALSE(stops.found());
}

TEST(StopTexts, TheFirstOfSeveralEndsTheText) {
  StopTexts stops({"world", "lo"});
  EXPECT_EQ(stops.feed("hello world"), "hel");
  EXPECT_TRUE(stops.found());
}

TEST(StopTexts, WhatMayBecomeAnyOfSeveralIsHeldBack) {
  for (const auto& texts : std::vector<std::vector<std::string>>{{"abc", "bx"}, {"bx", "abc"}}) {
    StopTexts stops(texts);
    EXPECT_EQ(stops.feed("zab"), "z") << "ab may become abc, b may become bx";
    EXPECT_EQ(stops.feed("x"), "a");
    EXPECT_TRUE(stops.found());
    EXPECT_EQ(stops.flush(), "");
    StopTexts other(texts);
    EXPECT_EQ(other.feed("zab"), "z");
    EXPECT_EQ(other.feed("d"), "abd");
    EXPECT_FALSE(other.found());
  }
}

TEST(StopTexts, OfTwoThatBeginTogetherTheShorterEndsTheText) {
  StopTexts stops({"aab", "aa"});
  EXPECT_EQ(stops.feed("ca"), "c");
  EXPECT_EQ(stops.feed("a"), "");
  EXPECT_TRUE(stops.found());
}

TEST(StopTexts, AStopTextOfOneCharacterIsNeverHalfThere) {
  StopTexts stops({"\n", "end"});
  EXPECT_EQ(stops.feed("a line"), "a lin");
  EXPECT_EQ(stops.feed("s\nmore"), "es");
  EXPECT_TRUE(stops.found());
}

TEST(StopTexts, AWholeStopTextAtTheEndOfAPieceIsFound) {
  StopTexts stops({"END"});
  EXPECT_EQ(stops.feed("textEND"), "text");
  EXPECT_TRUE(stops.found());
}

TEST(StopTexts, AnEmptyStopIsRefused) { EXPECT_THROW(StopTexts({""}), ValueError); }

}  // namespace
}  // namespace lazuli
