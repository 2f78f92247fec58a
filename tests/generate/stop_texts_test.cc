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

TEST(StopTexts, AnEmptyStopIsRefused) { EXPECT_THROW(StopTexts({""}), ValueError); }

}  // namespace
}  // namespace lazuli
