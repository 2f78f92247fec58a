// What bench/instructions.sh counts: `lazuli_record_eval NAME TIMES` does a piece of recording and evaluating so many times, on one thread
// and with instructions that every x86-64-v2 machine has. `lazuli_record_eval` alone lists the names.
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "exec/team.h"
#include "hwy/highway.h"
#include "lazuli/error.h"
#include "lazuli/ops.h"
#include "lazuli/transforms.h"

namespace {

using lazuli::LazyTensor;
using lazuli::Tensor;

constexpr int kLength = 20;

LazyTensor leaf(int64_t rows) {
  return LazyTensor::from_tensor(Tensor::from_vector(std::vector<float>(static_cast<size_t>(rows), 0.5f), {rows}));
}

/// Ops of every kind that plans treat differently; kernels of 8 numbers cost next to nothing.
LazyTensor chain(const LazyTensor& x) {
  LazyTensor y = x;
  for (int k = 0; k < kLength; ++k) {
    y = relu(y * 0.5 + x);
    y = reshape(softmax(reshape(y, {1, 8}), -1), {8}) - mean(y, {0}, true);
  }
  return y;
}

void record_only(int times) {
  const LazyTensor x = leaf(8);
  for (int k = 0; k < times; ++k) chain(x);
}

void record_and_eval(int times) {
  const LazyTensor x = leaf(8);
  for (int k = 0; k < times; ++k) chain(x).eval();
}

void compiled_call(int times) {
  static lazuli::CompiledFunction f = lazuli::compile([](std::span<const LazyTensor> a) { return std::vector<LazyTensor>{chain(a[0])}; });
  std::vector<Tensor> arguments = {leaf(8).eval()};
  std::vector<Tensor> results;
  for (int k = 0; k < times; ++k) f.call(arguments, results);
}

struct Piece {
  const char* name;
  void (*run)(int times);
};
constexpr Piece kPieces[] = {{"record", record_only}, {"record_eval", record_and_eval}, {"compiled_call", compiled_call}};

constexpr int kWarm = 3;

}  // namespace

/// Known to the script by this name: what happens before, like planning, is not counted.
extern "C" __attribute__((noinline)) void lazuli_counted(void (*run)(int times), int times) { run(times); }

int main(int argc, char** argv) {
  const std::string name = argc > 1 ? argv[1] : "";
  try {
    hwy::SetSupportedTargetsForTest(HWY_SCALAR);
    lazuli::set_thread_count(1);
    for (const Piece& piece : kPieces) {
      if (name.empty()) std::printf("%s\n", piece.name);
      if (name != piece.name) continue;
      piece.run(kWarm);
      lazuli_counted(piece.run, argc > 2 ? std::atoi(argv[2]) : 1);
      return 0;
    }
    if (name.empty()) return 0;
    std::fprintf(stderr, "lazuli_record_eval: there is no '%s'\n", name.c_str());
    return 2;
  } catch (const lazuli::Error& error) {
    std::fprintf(stderr, "lazuli_record_eval: %s\n", error.what());
    return 1;
  }
}
