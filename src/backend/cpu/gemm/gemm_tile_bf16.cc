// Outer-product kernels over bf16; a source of their own, because they take long to compile.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/gemm/gemm_tile_bf16.cc"
#include "backend/cpu/common/each_target.h"
#include "backend/cpu/gemm/gemm_tile.h"

HWY_BEFORE_NAMESPACE();
namespace lazuli::cpu::HWY_NAMESPACE {
namespace {
void fill_tiles_bf16(GemmKernels& set) { fill_tiles<bf16>(set); }
}  // namespace
}  // namespace lazuli::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lazuli::cpu {
HWY_EXPORT(fill_tiles_bf16);
void gemm_fill_tiles_bf16(GemmKernels& set) { HWY_DYNAMIC_DISPATCH(fill_tiles_bf16)(set); }
}  // namespace lazuli::cpu
#endif
