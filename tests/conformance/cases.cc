// Collects the cases that the files beside this one enter.
#include "conformance/cases.h"

#include <unordered_map>

#include "lazuli/op.h"

namespace lazuli::conformance {

namespace {

struct Entered {
  std::unordered_map<Op, std::vector<MakeCases>> of_op;
  std::unordered_map<OpClass, MakeCases> of_class;
};

/// Made by the first entry, whichever file that is in.
Entered& entered() {
  static Entered all;
  return all;
}

Cases no_kernel(Op) { return {}; }
const RegisterCases kLeaves(OpClass::leaf, no_kernel);
const RegisterCases kViews(OpClass::view, no_kernel);

}  // namespace

RegisterCases::RegisterCases(std::initializer_list<Op> ops, MakeCases make) {
  for (const Op op : ops) entered().of_op[op].push_back(make);
}
RegisterCases::RegisterCases(OpClass cls, MakeCases make) { entered().of_class.emplace(cls, make); }

std::optional<Cases> cases_of(Op op) {
  if (const auto row = entered().of_op.find(op); row != entered().of_op.end()) {
    Cases cases;
    for (const MakeCases make : row->second) {
      for (Case& c : make(op)) cases.push_back(std::move(c));
    }
    return cases;
  }
  if (const auto row = entered().of_class.find(info(op).cls); row != entered().of_class.end()) return row->second(op);
  return std::nullopt;
}

}  // namespace lazuli::conformance
