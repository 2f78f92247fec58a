// Declares the switch for results that do not depend on what else is computed with them.
#pragma once

namespace lazuli {

/// On: a row's result is the same, bit for bit, in every run and whatever other rows are in the batch with it. On CUDA devices matrix
/// products are then computed by kernels that add in one fixed order (cuBLASLt is not used), no sum is cut by how many rows there are, and
/// attention cuts keys at fixed places; that is slower. On the CPU nothing changes: a run repeats its bits there as long as the number of
/// threads and the sizes are the same, and a row may depend on the number of rows in the last bits. What adds rows together (losses,
/// gradients of weights) depends on all of them in any case. Of 16-bit dtypes: an operand that is broadcast along the batch by a dimension
/// of 1 looks like any other when the batch is 1, may be fused with a product there, and is then added before the product is rounded.
///
/// For the whole process; holds for whatever is evaluated from then on. Plans of the other state stay in the cache and are not used, and
/// compiled functions find or make a plan of the new state at their next call. Set it while no other thread evaluates.
void set_deterministic(bool on);
/// Whether it is on; off at the start.
bool deterministic();

}  // namespace lazuli
