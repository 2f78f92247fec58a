// Checks notices: who gets them, and how often.
#include "lazuli/notice.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/notices.h"

namespace lazuli {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(Notice, IsToldOnceHoweverOftenItComes) {
  const test::Notices notices;
  notice("one");
  notice("two");
  notice("one");
  EXPECT_THAT(notices.told(), ElementsAre("one", "two"));
}

TEST(Notice, IsToldAgainToAnotherHandler) {
  const test::Notices outer;
  notice("one");
  {
    const test::Notices inner;
    notice("one");
    EXPECT_THAT(inner.told(), ElementsAre("one"));
  }
  EXPECT_THAT(outer.told(), ElementsAre("one"));
  notice("two");
  EXPECT_THAT(outer.told(), ElementsAre("one", "two"));
}

TEST(Notice, WithoutAHandlerNothingIsTold) {
  const test::Notices notices;
  NoticeHandler before = set_notice_handler({});
  notice("one");
  set_notice_handler(std::move(before));
  EXPECT_THAT(notices.told(), IsEmpty());
}

}  // namespace
}  // namespace lazuli
