// Declares the passes of the standard optimiser.
#pragma once

#include <memory>

#include "lazuli/optimizer.h"

namespace lazuli {

/// Views of views, casts of casts, double negation, and transposes that a product can read through.
std::shared_ptr<const FusionPass> make_canonicalise();
/// Nodes with the same op, attributes and operands become one.
std::shared_ptr<const FusionPass> make_cse();
/// Nodes with known operands are computed; operations with a neutral operand vanish.
std::shared_ptr<const FusionPass> make_fold();
/// Composite ops in place of their primitives.
std::shared_ptr<const FusionPass> make_recognise();
/// Products with their bias, residual, activation or low-rank update; softmax with its factors.
std::shared_ptr<const FusionPass> make_epilogues();
/// Several nodes that are done in one pass: the rotations of q and k, a sum and its norm, the optimiser step of all parameters.
std::shared_ptr<const FusionPass> make_joins();
/// Elementwise chains, with the reduction at their end.
std::shared_ptr<const FusionPass> make_chains();
/// Nodes that no output needs.
std::shared_ptr<const FusionPass> make_dead_code();

}  // namespace lazuli
