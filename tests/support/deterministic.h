// Defines a scope in which runs are deterministic.
#pragma once

#include "lazuli/determinism.h"

namespace lazuli::test {

class Deterministic {
 public:
  Deterministic() { set_deterministic(true); }
  ~Deterministic() { set_deterministic(false); }
  Deterministic(const Deterministic&) = delete;
  Deterministic& operator=(const Deterministic&) = delete;
};

}  // namespace lazuli::test
