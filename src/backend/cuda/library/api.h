/* Declares the table of C functions through which the program reaches liblazuli_cuda.so; no C++ type, exception or global crosses it. */
/* NOLINTBEGIN(modernize-*): this is C. */
#ifndef LAZULI_CUDA_API_H
#define LAZULI_CUDA_API_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Raised whenever a function or struct below changes. */
#define LAZULI_CUDA_ABI 2

/* Recorded launches of different lanes may run side by side. */
#define LZ_LANES 4

/* What functions return. The text of the last failure on the calling thread: last_error. */
enum LzStatus { LZ_OK = 0, LZ_DEVICE_ERROR = 1, LZ_OUT_OF_MEMORY = 2, LZ_UNSUPPORTED = 3 };

/* dtypes of matrix products. */
enum LzType { LZ_F32 = 0, LZ_BF16 = 1, LZ_F16 = 2 };

typedef struct LzDeviceInfo {
  char name[128];
  int major, minor; /* compute capability */
  int multiprocessors;
  size_t memory_bytes, free_bytes;
  int driver_version; /* 13000 is 13.0 */
} LzDeviceInfo;

typedef struct LzLibraryInfo {
  int nvrtc_version; /* 13000 is 13.0 */
  size_t cublaslt_version;
} LzLibraryInfo;

/* d = alpha * a @ b + beta * c (+ bias along each row), all row-major: a is (m, k), b (k, n), c and d (m, n), each `batch` times. */
typedef struct LzMatmul {
  int type_ab, type_d;          /* c and bias have d's type */
  int transpose_a, transpose_b; /* a is stored (k, m), b (n, k) */
  int64_t m, n, k;
  int64_t lda, ldb, ldd; /* elements from one stored row to the next */
  int64_t batch, stride_a, stride_b, stride_d;
  int has_c, has_bias;
} LzMatmul;

/* How cuBLASLt computes a product, as bytes that its same version understands again. */
typedef struct LzAlgorithm {
  uint64_t words[8];
} LzAlgorithm;

/* Where the matrices of one product lie. `alignment_log2`: of a, b, c and d, 0 to LZ_MOST_ALIGNED. */
enum { LZ_MOST_ALIGNED = 8 };
typedef struct LzMatmulRun {
  const void *a, *b, *c, *bias; /* c, bias: null where the product has none; c may be d */
  void* d;
  float alpha;
  uint32_t alignment_log2;
} LzMatmulRun;

typedef struct LzDevice LzDevice;
typedef struct LzMatmulPlan LzMatmulPlan;
typedef struct LzRead LzRead;

/* Makes bytes [offset, offset + bytes) of what is uploaded. */
typedef void (*LzFill)(void* context, void* piece, size_t offset, size_t bytes);

typedef struct LzCudaApi {
  uint32_t abi;
  const char* (*last_error)(void);
  /* Loads the driver. LZ_UNSUPPORTED: there is none, last_error says why. */
  int (*device_count)(int* count);
  int (*device_info)(int index, LzDeviceInfo* info);
  int (*library_info)(LzLibraryInfo* info);
  /* A device with one stream, on which everything below runs in order. Opened once, never closed. */
  int (*open)(int index, LzDevice** device);

  int (*allocate)(LzDevice*, size_t bytes, void** memory);
  int (*release)(LzDevice*, void* memory); /* waits for the device */
  /* Host memory that the device writes to: `on_device` is its address there. */
  int (*allocate_shared)(LzDevice*, size_t bytes, void** memory, void** on_device);
  /* `from` may be changed as soon as it returns. */
  int (*upload)(LzDevice*, void* to, const void* from, size_t bytes);
  /* The same for bytes that `fill` makes piece by piece: on several threads at once, in any order; offsets are multiples of 64. */
  int (*upload_filled)(LzDevice*, void* to, size_t bytes, LzFill fill, void* context);
  /* Waits for everything before it. */
  int (*download)(LzDevice*, void* to, const void* from, size_t bytes);
  /* A copy of at most 1024 bytes to the host, of what everything before it left there. read_end waits for nothing later, copies to `to`
     (null: waits for nothing and drops it) and ends the read in every case. */
  int (*read_begin)(LzDevice*, const void* from, size_t bytes, LzRead** read);
  int (*read_end)(LzDevice*, LzRead*, void* to);
  int (*copy)(LzDevice*, void* to, const void* from, size_t bytes);
  int (*synchronize)(LzDevice*);

  /* Compiles a text for `architecture` ("sm_90"); `code` is freed with free_code. Needs no device. */
  int (*compile)(const char* source, const char* architecture, void** code, size_t* bytes);
  void (*free_code)(void* code);
  /* The entry `run` of compiled code. */
  int (*load)(LzDevice*, const void* code, void** function);
  int (*launch)(LzDevice*, void* function, const uint32_t grid[3], uint32_t block, uint32_t shared_bytes, void* parameters, size_t bytes);

  int (*matmul_create)(LzDevice*, const LzMatmul*, LzMatmulPlan** plan);
  /* Times the algorithms that suit the alignment on the given memory, for about `milliseconds` at most, and takes the fastest. Writes to d
     only where c does not lie there. LZ_UNSUPPORTED: nothing was timed (launches are recorded, no memory for another d). */
  int (*matmul_measure)(LzDevice*, LzMatmulPlan*, const LzMatmulRun*, double milliseconds, LzAlgorithm* fastest);
  /* Takes an algorithm that was measured before. LZ_UNSUPPORTED: it does not fit this product. */
  int (*matmul_take)(LzDevice*, LzMatmulPlan*, uint32_t alignment_log2, const LzAlgorithm*);
  /* By the algorithm taken for the alignment, else by the first one that the library proposes. */
  int (*matmul_run)(LzDevice*, LzMatmulPlan*, const LzMatmulRun*);
  void (*matmul_destroy)(LzMatmulPlan*);

  /* Between the two, launches are recorded instead of run. */
  int (*capture_begin)(LzDevice*);
  /* What is recorded from here on follows what was marked with these numbers, and nothing else, in the given lane (0 to LZ_LANES - 1). Of
     two products in one lane, one has to follow the other. */
  int (*capture_after)(LzDevice*, const int32_t* marks, size_t count, int lane);
  /* Gives the end of what was recorded since capture_after a number: 0, then 1, and so on. */
  int (*capture_mark)(LzDevice*);
  int (*capture_end)(LzDevice*, void** graph); /* graph null: discard what was recorded */
  int (*graph_launch)(LzDevice*, void* graph);
  void (*graph_destroy)(void* graph);
} LzCudaApi;

/* The only symbol of the library. Null when `abi` is not the one that it was built for. */
const LzCudaApi* lazuli_cuda_api(uint32_t abi);

#ifdef __cplusplus
}
#endif

#endif
/* NOLINTEND(modernize-*) */
