// Random draws, dropout and data made from attributes on the reference backend.
#include "backend/random.h"

#include <bit>

#include "backend/reference/call.h"
#include "graph/ops/arange.h"
#include "graph/ops/dropout.h"
#include "graph/ops/full.h"
#include "lazuli/op.h"

namespace lazuli::reference {

namespace {

void run_random(const Call& call) {
  const auto seed = static_cast<uint64_t>(call.in(0).integer());
  const Out out = call.out();
  for (int64_t k = call.begin; k < call.end; ++k) {
    const auto element = static_cast<uint64_t>(k);
    if (call.state.op == Op::random_bits) {
      out.set(k, Number::of(random_bits64(seed, element)));
    } else if (call.state.op == Op::random_uniform) {
      out.set(k, static_cast<double>(uniform_from(random_word(seed, element), uniform_bits(out.dtype()))));
    } else {
      const uint64_t even = element - element % 2;
      out.set(k, normal_from(random_word(seed, even), random_word(seed, even + 1))[element % 2]);
    }
  }
}

void run_dropout(const Call& call) {
  namespace in = operand::dropout;
  const In x = call.in(in::x);
  const double probability = call.in(in::probability).real();
  const auto seed = static_cast<uint64_t>(call.in(in::seed).integer());
  for (int64_t k = call.begin; k < call.end; ++k) {
    const bool keep = dropout_keeps(random_word(seed, static_cast<uint64_t>(k)), static_cast<float>(probability));
    call.out().set(k, keep ? x.real(k) / (1 - probability) : 0);
  }
}

void run_full(const Call& call) {
  const auto value = std::bit_cast<double>(call.attr(attr::full::value));
  for (int64_t k = call.begin; k < call.end; ++k) call.out().set(k, value);
}

void run_arange(const Call& call) {
  for (int64_t k = call.begin; k < call.end; ++k)
    call.out().set(k, Number::of(call.attr(attr::arange::start) + k * call.attr(attr::arange::step)));
}

}  // namespace

PreparedOp prepare_random(const KernelRequest& request) { return prepare_loop<run_random>(request, elements(request)); }
PreparedOp prepare_dropout(const KernelRequest& request) { return prepare_loop<run_dropout>(request, elements(request)); }
PreparedOp prepare_full(const KernelRequest& request) { return prepare_loop<run_full>(request, elements(request)); }
PreparedOp prepare_arange(const KernelRequest& request) { return prepare_loop<run_arange>(request, elements(request)); }

}  // namespace lazuli::reference
