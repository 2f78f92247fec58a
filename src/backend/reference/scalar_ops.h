// Defines the elementwise ops on single numbers.
#pragma once

#include "backend/reference/element.h"

namespace lazuli::reference {

/// The result of an elementwise op, unrounded for floats and wrapped for integers; operands that the op does not have are ignored.
Number apply(Op op, DType result, const Number& a, const Number& b, const Number& c);

/// An op with a real argument: the activations among others.
double apply_unary(Op op, double x);

}  // namespace lazuli::reference
