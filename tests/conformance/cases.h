// Defines conformance cases, what each op is tried on, and how files enter theirs.
#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <vector>

#include "conformance/data.h"
#include "conformance/harness.h"

namespace lazuli::conformance {

struct Case {
  std::string label;
  OpCall call;
  Tolerance tolerance = {};
};
using Cases = std::vector<Case>;

inline constexpr Tolerance kExact{0, 0, 0};
inline std::string label(DType dtype, const std::string& what) { return std::string(lazuli::name_of(dtype)) + " " + what; }

using MakeCases = Cases (*)(Op);

/// A static object of this type, beside the function that makes them, enters the cases of ops when the program starts.
struct RegisterCases {
  /// An op has the cases of every function that is entered for it.
  RegisterCases(std::initializer_list<Op> ops, MakeCases make);
  /// Of all ops of a class that have no cases of their own.
  RegisterCases(OpClass cls, MakeCases make);
};

/// The cases of an op; nothing when no file enters any. Those of leaves and views are empty: they never reach a backend.
std::optional<Cases> cases_of(Op op);

}  // namespace lazuli::conformance
