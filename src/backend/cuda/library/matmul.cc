// Matrix products by cuBLASLt, which counts columns first: d = a @ b is asked for as its transpose, b' @ a'.
#include <algorithm>
#include <array>
#include <cstring>
#include <mutex>
#include <vector>

#include "backend/cuda/library/driver.h"
#include "backend/cuda/library/toolkit.h"

/// A product with the algorithms found so far, one for each alignment of its operands.
struct LzMatmulPlan {
  static constexpr size_t kAlignments = LZ_MOST_ALIGNED + 1;

  LzMatmul spec{};
  cublasLtMatmulDesc_t product = nullptr;
  cublasLtMatrixLayout_t a = nullptr, b = nullptr, d = nullptr;
  std::mutex mutex;
  std::array<cublasLtMatmulAlgo_t, kAlignments> algorithm{};
  std::array<bool, kAlignments> found{};

  ~LzMatmulPlan() {
    if (product != nullptr) lazuli::cuda_library::cublaslt()->cublasLtMatmulDescDestroy(product);
    for (cublasLtMatrixLayout_t l : {a, b, d}) {
      if (l != nullptr) lazuli::cuda_library::cublaslt()->cublasLtMatrixLayoutDestroy(l);
    }
  }
};

namespace lazuli::cuda_library {

namespace {

int check_blas(cublasStatus_t status, const char* call) {
  if (status == CUBLAS_STATUS_SUCCESS) return LZ_OK;
  const bool memory = status == CUBLAS_STATUS_ALLOC_FAILED;
  return failed(memory ? LZ_OUT_OF_MEMORY : LZ_DEVICE_ERROR, std::string(call) + ": " + cublaslt()->cublasLtGetStatusString(status));
}

cudaDataType_t type_of(int type) { return type == LZ_F32 ? CUDA_R_32F : type == LZ_BF16 ? CUDA_R_16BF : CUDA_R_16F; }

int make_layout(cublasLtMatrixLayout_t* layout, int type, bool transposed, int64_t rows, int64_t columns, int64_t ld, const LzMatmul& m,
                int64_t stride) {
  const auto stored_rows = static_cast<uint64_t>(transposed ? columns : rows),
             stored_columns = static_cast<uint64_t>(transposed ? rows : columns);
  int status = check_blas(cublaslt()->cublasLtMatrixLayoutCreate(layout, type_of(type), stored_rows, stored_columns, ld),
                          "cublasLtMatrixLayoutCreate");
  if (status != LZ_OK || m.batch == 1) return status;
  const auto batch = static_cast<int32_t>(m.batch);
  status = check_blas(cublaslt()->cublasLtMatrixLayoutSetAttribute(*layout, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &batch, sizeof batch),
                      "batch count");
  if (status != LZ_OK) return status;
  return check_blas(
      cublaslt()->cublasLtMatrixLayoutSetAttribute(*layout, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &stride, sizeof stride),
      "batch stride");
}

template <class T>
int set(cublasLtMatmulDesc_t product, cublasLtMatmulDescAttributes_t which, const T& value) {
  return check_blas(cublaslt()->cublasLtMatmulDescSetAttribute(product, which, &value, sizeof value), "cublasLtMatmulDescSetAttribute");
}

int fill(LzMatmulPlan& plan) {
  const LzMatmul& m = plan.spec;
  int status = check_blas(cublaslt()->cublasLtMatmulDescCreate(&plan.product, CUBLAS_COMPUTE_32F, CUDA_R_32F), "cublasLtMatmulDescCreate");
  const cublasOperation_t first = m.transpose_b != 0 ? CUBLAS_OP_T : CUBLAS_OP_N, second = m.transpose_a != 0 ? CUBLAS_OP_T : CUBLAS_OP_N;
  if (status == LZ_OK) status = set(plan.product, CUBLASLT_MATMUL_DESC_TRANSA, first);
  if (status == LZ_OK) status = set(plan.product, CUBLASLT_MATMUL_DESC_TRANSB, second);
  if (m.has_bias != 0) {
    const cublasLtEpilogue_t epilogue = CUBLASLT_EPILOGUE_BIAS;
    if (status == LZ_OK) status = set(plan.product, CUBLASLT_MATMUL_DESC_EPILOGUE, epilogue);
    const cudaDataType_t type = type_of(m.type_d);
    if (status == LZ_OK) status = set(plan.product, CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, type);
  }
  if (status == LZ_OK) status = make_layout(&plan.a, m.type_ab, m.transpose_b != 0, m.n, m.k, m.ldb, m, m.stride_b);
  if (status == LZ_OK) status = make_layout(&plan.b, m.type_ab, m.transpose_a != 0, m.k, m.m, m.lda, m, m.stride_a);
  if (status == LZ_OK) status = make_layout(&plan.d, m.type_d, false, m.n, m.m, m.ldd, m, m.stride_d);
  return status;
}

static_assert(sizeof(cublasLtMatmulAlgo_t) == sizeof(LzAlgorithm));
constexpr int kMostCandidates = 8;
/// Memory that a measured product may take for results that are thrown away.
constexpr size_t kMostResultBytes = size_t{512} << 20;

/// Proposals of the library for operands of this alignment, best first by its own estimate; at least one, or a failure.
int candidates_of(LzDevice* device, const LzMatmulPlan& plan, uint32_t alignment_log2, int most, std::vector<cublasLtMatmulAlgo_t>* found) {
  cublasLtMatmulPreference_t preference = nullptr;
  if (const int status = check_blas(cublaslt()->cublasLtMatmulPreferenceCreate(&preference), "cublasLtMatmulPreferenceCreate");
      status != LZ_OK)
    return status;
  const auto prefer = [&](cublasLtMatmulPreferenceAttributes_t which, const auto& value) {
    static_cast<void>(cublaslt()->cublasLtMatmulPreferenceSetAttribute(preference, which, &value, sizeof value));
  };
  const size_t workspace = kWorkspaceBytes;
  prefer(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, workspace);
  const uint32_t alignment = uint32_t{1} << alignment_log2;
  for (auto which : {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
                     CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES}) {
    prefer(which, alignment);
  }
  std::array<cublasLtMatmulHeuristicResult_t, kMostCandidates> results{};
  int count = 0;
  const cublasStatus_t status =
      cublaslt()->cublasLtMatmulAlgoGetHeuristic(static_cast<cublasLtHandle_t>(device->blas), plan.product, plan.a, plan.b, plan.d, plan.d,
                                                 preference, std::min(most, kMostCandidates), results.data(), &count);
  cublaslt()->cublasLtMatmulPreferenceDestroy(preference);
  for (int k = 0; status == CUBLAS_STATUS_SUCCESS && k < count; ++k) {
    const cublasLtMatmulHeuristicResult_t& r = results[static_cast<size_t>(k)];
    if (r.state == CUBLAS_STATUS_SUCCESS && r.workspaceSize <= kWorkspaceBytes) found->push_back(r.algo);
  }
  return found->empty() ? failed(LZ_UNSUPPORTED, "cuBLASLt has no algorithm for this product") : LZ_OK;
}

void take(LzMatmulPlan& plan, uint32_t alignment_log2, const cublasLtMatmulAlgo_t& algorithm) {
  plan.algorithm[alignment_log2] = algorithm;
  plan.found[alignment_log2] = true;
}

int set_bias(const LzMatmulPlan& plan, const void* bias) {
  return bias == nullptr ? LZ_OK : set(plan.product, CUBLASLT_MATMUL_DESC_BIAS_POINTER, bias);
}

/// One product; the plan is locked.
int multiply(LzDevice* device, const LzMatmulPlan& plan, const LzMatmulRun& run, void* d, const cublasLtMatmulAlgo_t& algorithm) {
  const float beta = run.c != nullptr ? 1.0f : 0.0f;
  return check_blas(cublaslt()->cublasLtMatmul(static_cast<cublasLtHandle_t>(device->blas), plan.product, &run.alpha, run.b, plan.a, run.a,
                                               plan.b, &beta, run.c != nullptr ? run.c : d, plan.d, d, plan.d, &algorithm,
                                               workspace_of(device), kWorkspaceBytes, reinterpret_cast<cudaStream_t>(stream_of(device))),
                    "cublasLtMatmul");
}

/// Two events of a device's stream.
class Stopwatch {
 public:
  explicit Stopwatch(LzDevice* device) : device_(device) {
    for (CUevent& e : events_) status_ = status_ != LZ_OK ? status_ : check(driver()->cuEventCreate(&e, 0), "cuEventCreate");
  }
  ~Stopwatch() {
    for (CUevent e : events_) {
      if (e != nullptr) static_cast<void>(driver()->cuEventDestroy(e));
    }
  }
  Stopwatch(const Stopwatch&) = delete;
  Stopwatch& operator=(const Stopwatch&) = delete;

  /// Milliseconds that `work` takes on the device when none of its operands is in a cache; waits for them.
  template <class Work>
  int time(const Work& work, float* milliseconds) {
    const Driver& d = *driver();
    int status = status_;
    const auto then = [&](auto&& call, const char* name) {
      if (status == LZ_OK) status = check(call(), name);
    };
    // As large as most second-level caches; it also keeps the device busy until the work is submitted.
    then([&] { return d.cuMemsetD8Async(device_->workspaces[0], 0, kWorkspaceBytes, device_->stream); }, "cuMemsetD8Async");
    then([&] { return d.cuEventRecord(events_[0], device_->stream); }, "cuEventRecord");
    if (status == LZ_OK) status = work();
    then([&] { return d.cuEventRecord(events_[1], device_->stream); }, "cuEventRecord");
    then([&] { return d.cuEventSynchronize(events_[1]); }, "cuEventSynchronize");
    then([&] { return d.cuEventElapsedTime(milliseconds, events_[0], events_[1]); }, "cuEventElapsedTime");
    return status;
  }

 private:
  LzDevice* device_;
  std::array<CUevent, 2> events_{};
  int status_ = LZ_OK;
};

/// Results that are thrown away, where those of the product would overwrite one of its operands.
class SpareResult {
 public:
  SpareResult(const LzMatmul& m, const LzMatmulRun& run) : d_(run.d) {
    if (run.c != run.d) return;
    const size_t bytes = static_cast<size_t>(m.batch) * static_cast<size_t>(m.m) * static_cast<size_t>(m.n) * (m.type_d == LZ_F32 ? 4 : 2);
    d_ = nullptr;
    if (bytes <= kMostResultBytes && driver()->cuMemAlloc(&own_, bytes) == CUDA_SUCCESS) d_ = reinterpret_cast<void*>(own_);
  }
  ~SpareResult() {
    if (d_ != nullptr && own_ != 0) static_cast<void>(driver()->cuMemFree(own_));
  }
  SpareResult(const SpareResult&) = delete;
  SpareResult& operator=(const SpareResult&) = delete;
  /// Null: there is no memory for it.
  void* d() const { return d_; }

 private:
  void* d_;
  CUdeviceptr own_ = 0;
};

/// Best of a few runs of one algorithm, the first of which also loads its code.
int time_algorithm(LzDevice* device, const LzMatmulPlan& plan, const LzMatmulRun& run, void* d, const cublasLtMatmulAlgo_t& algorithm,
                   Stopwatch& watch, float* best, float* spent) {
  constexpr int kRuns = 5;
  constexpr float kLong = 2;  // milliseconds: one run of that length says enough
  *best = 1e30f;
  for (int k = 0; k <= kRuns; ++k) {
    float now = 0;
    const int status = watch.time([&] { return multiply(device, plan, run, d, algorithm); }, &now);
    if (status != LZ_OK) return status;
    if (k == 0) continue;
    *spent += now;
    *best = std::min(*best, now);
    if (now > kLong) break;
  }
  return LZ_OK;
}

}  // namespace

int matmul_create(LzDevice* device, const LzMatmul* spec, LzMatmulPlan** plan) {
  if (const int status = enter(device); status != LZ_OK) return status;
  auto* made = new LzMatmulPlan;
  made->spec = *spec;
  if (const int status = fill(*made); status != LZ_OK) {
    delete made;
    return status;
  }
  *plan = made;
  return LZ_OK;
}

int matmul_measure(LzDevice* device, LzMatmulPlan* plan, const LzMatmulRun* run, double milliseconds, LzAlgorithm* fastest) {
  if (const int status = enter(device); status != LZ_OK) return status;
  if (stream_of(device) != device->stream) return failed(LZ_UNSUPPORTED, "nothing is timed while launches are recorded");
  const std::lock_guard lock(plan->mutex);
  std::vector<cublasLtMatmulAlgo_t> candidates;
  int status = candidates_of(device, *plan, run->alignment_log2, kMostCandidates, &candidates);
  if (status == LZ_OK) status = set_bias(*plan, run->bias);
  if (status != LZ_OK) return status;
  const SpareResult spare(plan->spec, *run);
  if (spare.d() == nullptr) return failed(LZ_UNSUPPORTED, "no memory to time a product in");
  Stopwatch watch(device);
  // The library's first proposal stays unless another one is clearly faster.
  constexpr float kClearly = 0.97f;
  float least = 0, spent = 0;
  const cublasLtMatmulAlgo_t* chosen = nullptr;
  for (const cublasLtMatmulAlgo_t& candidate : candidates) {
    float best = 0;
    status = time_algorithm(device, *plan, *run, spare.d(), candidate, watch, &best, &spent);
    if (status == LZ_OK && (chosen == nullptr || best < least * kClearly)) {
      least = best;
      chosen = &candidate;
    }
    if (spent > milliseconds) break;
  }
  if (chosen == nullptr) return failed(LZ_UNSUPPORTED, "no algorithm could be timed");
  take(*plan, run->alignment_log2, *chosen);
  std::memcpy(fastest, chosen, sizeof *fastest);
  return LZ_OK;
}

int matmul_take(LzDevice* device, LzMatmulPlan* plan, uint32_t alignment_log2, const LzAlgorithm* algorithm) {
  if (const int status = enter(device); status != LZ_OK) return status;
  cublasLtMatmulAlgo_t known{};
  std::memcpy(&known, algorithm, sizeof known);
  const std::lock_guard lock(plan->mutex);
  cublasLtMatmulHeuristicResult_t result{};
  const cublasStatus_t status = cublaslt()->cublasLtMatmulAlgoCheck(static_cast<cublasLtHandle_t>(device->blas), plan->product, plan->a,
                                                                    plan->b, plan->d, plan->d, &known, &result);
  if (status != CUBLAS_STATUS_SUCCESS || result.workspaceSize > kWorkspaceBytes) {
    return failed(LZ_UNSUPPORTED, "cuBLASLt refuses an algorithm that was measured before");
  }
  take(*plan, alignment_log2, known);
  return LZ_OK;
}

int matmul_run(LzDevice* device, LzMatmulPlan* plan, const LzMatmulRun* run) {
  if (const int status = enter(device); status != LZ_OK) return status;
  const std::lock_guard lock(plan->mutex);
  if (!plan->found[run->alignment_log2]) {
    std::vector<cublasLtMatmulAlgo_t> first;
    if (const int status = candidates_of(device, *plan, run->alignment_log2, 1, &first); status != LZ_OK) return status;
    take(*plan, run->alignment_log2, first.front());
  }
  if (const int status = set_bias(*plan, run->bias); status != LZ_OK) return status;
  return multiply(device, *plan, *run, run->d, plan->algorithm[run->alignment_log2]);
}

void matmul_destroy(LzMatmulPlan* plan) { delete plan; }

}  // namespace lazuli::cuda_library
