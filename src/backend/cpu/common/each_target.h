// Defines which Highway targets a kernel source is compiled for; define HWY_TARGET_INCLUDE as that source, then include this.
#pragma once

// Portable, AVX2 and AVX-512 are what compile time allows; the targets between them run the portable code.
#ifdef LAZULI_FEW_TARGETS
// One vector target less: instrumented kernels are slow to compile.
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4 | HWY_AVX3 | HWY_AVX3_DL)
#else
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4 | HWY_AVX3_DL)
#endif

#include "hwy/foreach_target.h"
