// Defines what sources with AVX-512 VNNI instructions share: the attributes of their functions, and a look at the processor.
#pragma once

// GCC takes the operand that its own headers leave undefined on purpose for a mistake, and this optimisation makes it store sums that stay
// in registers in memory as well, in every round.
#if !defined(__clang__)
#pragma GCC optimize("no-tree-pre")
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <immintrin.h>

#define LAZULI_VNNI __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,f16c,fma")))
#define LAZULI_VNNI_INLINE LAZULI_VNNI inline __attribute__((always_inline))

// Before a loop over registers: sums stay in registers only when it is unrolled.
#if defined(__clang__)
#define LAZULI_UNROLL _Pragma("clang loop unroll(full)")
#else
#define LAZULI_UNROLL _Pragma("GCC unroll 32")
#endif
