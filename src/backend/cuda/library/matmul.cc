// Matrix products by cuBLASLt, which counts columns first: d = a @ b is asked for as its transpose, b' @ a'.
#include <array>
#include <bit>
#include <mutex>

#include "backend/cuda/library/driver.h"
#include "backend/cuda/library/toolkit.h"

/// A product with the algorithms found so far, one for each alignment of its operands.
struct LzMatmulPlan {
  static constexpr size_t kAlignments = 9;  ///< 1 to 256 bytes

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

int find_algorithm(LzDevice* device, LzMatmulPlan& plan, size_t alignment_log2) {
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
  if (plan.spec.deterministic != 0) {
    const uint32_t none = CUBLASLT_REDUCTION_SCHEME_NONE;
    prefer(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, none);
  }
  cublasLtMatmulHeuristicResult_t result{};
  int count = 0;
  const cublasStatus_t status = cublaslt()->cublasLtMatmulAlgoGetHeuristic(static_cast<cublasLtHandle_t>(device->blas), plan.product,
                                                                           plan.a, plan.b, plan.d, plan.d, preference, 1, &result, &count);
  cublaslt()->cublasLtMatmulPreferenceDestroy(preference);
  if (status != CUBLAS_STATUS_SUCCESS || count == 0) return failed(LZ_UNSUPPORTED, "cuBLASLt has no algorithm for this product");
  plan.algorithm[alignment_log2] = result.algo;
  plan.found[alignment_log2] = true;
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

int matmul_run(LzDevice* device, LzMatmulPlan* plan, const void* a, const void* b, const void* c, const void* bias, void* d, float alpha) {
  if (const int status = enter(device); status != LZ_OK) return status;
  uintptr_t bits = 256;
  for (const void* operand : {a, b, c, static_cast<const void*>(d)}) bits |= reinterpret_cast<uintptr_t>(operand);
  const auto alignment = static_cast<size_t>(std::countr_zero(bits));
  const std::lock_guard lock(plan->mutex);
  if (!plan->found[alignment]) {
    if (const int status = find_algorithm(device, *plan, alignment); status != LZ_OK) return status;
  }
  if (bias != nullptr) {
    if (const int status = set(plan->product, CUBLASLT_MATMUL_DESC_BIAS_POINTER, bias); status != LZ_OK) return status;
  }
  const float beta = c != nullptr ? 1.0f : 0.0f;
  return check_blas(cublaslt()->cublasLtMatmul(static_cast<cublasLtHandle_t>(device->blas), plan->product, &alpha, b, plan->a, a, plan->b,
                                               &beta, c != nullptr ? c : d, plan->d, d, plan->d, &plan->algorithm[alignment],
                                               reinterpret_cast<void*>(device->workspace), kWorkspaceBytes,
                                               reinterpret_cast<cudaStream_t>(stream_of(device))),
                    "cublasLtMatmul");
}

void matmul_destroy(LzMatmulPlan* plan) { delete plan; }

}  // namespace lazuli::cuda_library
