// Declares what plain loops stand in for, so that tests reach on any machine what products do on some processors alone.
#pragma once

#include <memory>

#include "backend/cpu/gemm/matrix_unit.h"
#include "backend/cpu/gemm/onednn.h"
#include "backend/cpu/gemm/pair_tiles.h"

namespace lazuli::cpu {

/// What is looked at when a product is prepared. Tests set it; nothing else does, for plain loops are slow.
struct Emulated {
  bool matrix_unit = false;  ///< AMX, also where the processor has it
  bool bf16_blocks = false;  ///< oneDNN's products of bf16
  bool bf16_pairs = false;   ///< the products of pairs of AVX-512 BF16
  bool byte_panels = false;  ///< the panels of AVX-512 VNNI for weights of 8 and 4 bits
};
/// No product may be prepared while it changes.
Emulated& emulated();

/// The same values to within rounding, in tiles of the same sizes and in another order within a tile.
const LimbKernels& plain_limb_kernels();
const PairKernels& plain_pair_kernels();
/// Takes scratch as the real one does.
std::shared_ptr<const BlockProduct> plain_block_product(const BlockProduct::Shape& shape);

}  // namespace lazuli::cpu
