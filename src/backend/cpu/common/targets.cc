// Asks Highway and oneDNN for their choice of instructions.
#include "backend/cpu/common/targets.h"

#include <fmt/format.h>

#include <oneapi/dnnl/dnnl.hpp>
#include <utility>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/common/targets.cc"
#include "backend/cpu/common/each_target.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace lazuli::cpu {
namespace HWY_NAMESPACE {
namespace {

int64_t own_target() { return HWY_TARGET; }

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace lazuli::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lazuli::cpu {

HWY_EXPORT(own_target);

std::vector<std::string> usable_targets() {
  std::vector<std::string> names;
  const int64_t usable = hwy::SupportedTargets() & HWY_TARGETS;
  // Highway gives better targets lower bits.
  for (int64_t bit = 1; bit > 0 && bit <= usable; bit <<= 1) {
    if ((usable & bit) != 0) names.emplace_back(hwy::TargetName(bit));
  }
  return names;
}

std::string target_in_use() { return hwy::TargetName(HWY_DYNAMIC_DISPATCH(own_target)()); }

std::string onednn_isa() {
  static constexpr std::pair<dnnl_cpu_isa_t, const char*> kNames[] = {
      {dnnl_cpu_isa_sse41, "SSE4.1"},
      {dnnl_cpu_isa_avx, "AVX"},
      {dnnl_cpu_isa_avx2, "AVX2"},
      {dnnl_cpu_isa_avx2_vnni, "AVX2 with VNNI"},
      {dnnl_cpu_isa_avx512_core, "AVX-512"},
      {dnnl_cpu_isa_avx512_core_vnni, "AVX-512 with VNNI"},
      {dnnl_cpu_isa_avx512_core_bf16, "AVX-512 with bfloat16"},
      {dnnl_cpu_isa_avx512_core_amx, "AVX-512 with AMX"},
  };
  const dnnl_cpu_isa_t isa = dnnl_get_effective_cpu_isa();
  for (const auto& [value, name] : kNames) {
    if (value == isa) return name;
  }
  return fmt::format("{:#x}", static_cast<unsigned>(isa));
}

}  // namespace lazuli::cpu
#endif
