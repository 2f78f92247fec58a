// Defines Threshold: a number at which a kernel takes another way, as backends list theirs for tests.
#pragma once

#include <cstdint>

namespace lazuli {

struct Threshold {
  const char* group;  ///< of kernels
  const char* name;   ///< of the constant
  int64_t value;
  const char* of;  ///< what is compared with it
};

}  // namespace lazuli
