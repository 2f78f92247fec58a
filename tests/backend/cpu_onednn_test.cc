// Checks what the CPU backend needs of oneDNN.
#include <gtest/gtest.h>

#include "backend/cpu/gemm/onednn.h"

namespace lazuli::cpu {
namespace {

TEST(OneDnn, ItsThreadsCanBeToldToStayAway) { EXPECT_TRUE(has_onednn_threads()); }

}  // namespace
}  // namespace lazuli::cpu
