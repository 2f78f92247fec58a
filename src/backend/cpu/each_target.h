// Defines which Highway targets a kernel source is compiled for; define HWY_TARGET_INCLUDE as that source, then include this.
#pragma once

// Portable, AVX2 and AVX-512 are what compile time allows; the targets between them run the portable code.
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4 | HWY_AVX3_DL)

#include "hwy/foreach_target.h"
