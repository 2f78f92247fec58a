// Declares the switch for deterministic results: a row's result does not depend on the other rows of its batch.
#pragma once

namespace lazuli {

/// Switches deterministic results on or off. If they are on, a row's result is bit-identical in every run, whatever other rows are in the
/// batch.
///
/// On CUDA devices matrix products then use kernels that add in one fixed order, and not cuBLASLt. No sum is split by the number of rows,
/// and attention splits keys at fixed places. That is slower.
///
/// On the CPU nothing changes. A run repeats its bits there as long as the number of threads and the sizes are the same. A row may depend
/// on the number of rows in the last bits.
///
/// Results that add rows together (losses, gradients of weights) depend on all rows in any case.
///
/// One exception concerns 16-bit dtypes and an operand that is broadcast along the batch by a dimension of 1. With a batch of 1 it looks
/// like any other operand and may be fused with a product. It is then added before the product is rounded.
///
/// The switch holds for the process and for everything evaluated from then on. Plans of the other state stay in the cache and are not used.
/// Compiled functions find or make a plan of the new state at their next call. Set it while no other thread evaluates.
void set_deterministic(bool on);
/// Whether deterministic results are on. They are off at the start.
bool deterministic();

}  // namespace lazuli
