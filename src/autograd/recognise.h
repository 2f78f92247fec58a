// Declares the hook through which composite patterns are found before a graph is differentiated.
#pragma once

#include <span>
#include <vector>

#include "lazuli/lazy_tensor.h"

namespace lazuli::autograd {

/// Rewrites patterns of primitive ops (attention, norms, LoRA, SwiGLU, cross entropy) into composite ops that own a derivative rule. The
/// graph keeps its outputs and the numbers of its leaves. Returns whether anything changed.
using Recogniser = bool (*)(ComputationGraph& graph);

/// Sets the one recogniser, at start-up; without one nothing is rewritten. Returns true, so that a static object can hold the call.
bool register_recogniser(Recogniser recogniser);

/// `outputs` recorded again with composite ops where there are patterns, down to `stops`; `outputs` themselves when there are none.
std::vector<LazyTensor> recognised(std::span<const LazyTensor> outputs, std::span<const LazyTensor> stops);

}  // namespace lazuli::autograd
