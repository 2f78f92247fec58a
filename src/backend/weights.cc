#include "lazuli/weights.h"

#include "backend/backend.h"

namespace lazuli {

Tensor keep_packed(const Tensor& weight, bool in_file) { return backend_for(weight.device()).keep_packed(weight, in_file); }

}  // namespace lazuli
