#include "backend/cuda/product.h"

#include <algorithm>
#include <atomic>
#include <mutex>

#include "backend/cuda/fixed_product.h"
#include "backend/cuda/generate.h"
#include "backend/cuda/runtime.h"
#include "backend/cuda/vector_product.h"
#include "lazuli/determinism.h"

namespace lazuli::cuda {

namespace {

/// A matrix with its strides in the product's orientation.
struct View {
  explicit View(const MatrixOperand& operand) {
    const OperandSpec& s = operand.spec;
    const int last = s.shape.rank() - 1;
    const int row = operand.transposed ? last : last - 1, column = operand.transposed ? last - 1 : last;
    rows = s.shape[row];
    columns = s.shape[column];
    row_stride = s.strides[row];
    column_stride = s.strides[column];
  }
  /// Elements from a stored row to the next where one of the two orders is stored row by row; 0: neither.
  int64_t row_major() const { return leading(rows, columns, row_stride, column_stride); }
  int64_t column_major() const { return leading(columns, rows, column_stride, row_stride); }

  int64_t rows, columns, row_stride, column_stride;

 private:
  static int64_t leading(int64_t outer, int64_t inner, int64_t outer_stride, int64_t inner_stride) {
    if (inner != 1 && inner_stride != 1) return 0;
    if (outer == 1) return std::max<int64_t>(inner, 1);
    return outer_stride >= inner ? outer_stride : 0;
  }
};

Shape batch_of(const Shape& shape) { return Shape(shape.span().first(static_cast<size_t>(std::max(0, shape.rank() - 2)))); }

OperandSpec batches_of(const OperandSpec& spec) {
  OperandSpec batches;
  batches.shape = batch_of(spec.shape);
  batches.strides = Strides(spec.strides.span().first(static_cast<size_t>(batches.shape.rank())));
  return batches;
}

Space batch_space(const Product& p) {
  const OperandSpec operands[] = {batches_of(p.a.spec), batches_of(p.b.spec)};
  const Shape space = broadcast_shapes("matmul", operands[0].shape, operands[1].shape);
  return space_of(space, operands, ~uint64_t{0});
}

int library_type(DType dtype) { return dtype == DType::f32 ? LZ_F32 : dtype == DType::bf16 ? LZ_BF16 : LZ_F16; }
bool is_library_type(DType dtype) { return dtype == DType::f32 || dtype == DType::bf16 || dtype == DType::f16; }
constexpr int64_t kMostInt = INT32_MAX;

std::optional<LzMatmul> library_form(const Product& p) {
  const View a(p.a), b(p.b);
  const Space batches = batch_space(p);
  const bool types = p.a.spec.dtype == p.b.spec.dtype && is_library_type(p.a.spec.dtype) &&
                     (p.result_dtype == p.a.spec.dtype || p.result_dtype == DType::f32);
  if (!types || batches.rank() > 1) return std::nullopt;
  LzMatmul m{};
  m.type_ab = library_type(p.a.spec.dtype);
  m.type_d = library_type(p.result_dtype);
  m.m = a.rows;
  m.n = b.columns;
  m.k = a.columns;
  m.lda = a.row_major();
  m.ldb = b.row_major();
  m.transpose_a = m.lda == 0;
  m.transpose_b = m.ldb == 0;
  if (m.lda == 0) m.lda = a.column_major();
  if (m.ldb == 0) m.ldb = b.column_major();
  m.ldd = m.n;
  m.batch = batches.count;
  if (batches.rank() == 1) {
    m.stride_a = batches.strides[0][0];
    m.stride_b = batches.strides[1][0];
  }
  // Matrices of a that lie one below the other are one tall matrix when b is the same for all.
  if (m.batch > 1 && m.stride_b == 0 && m.transpose_a == 0 && m.stride_a == m.m * m.lda) {
    m.m *= m.batch;
    m.batch = 1;
  }
  m.stride_d = m.m * m.n;
  m.has_c = p.addend.has_value();
  m.has_bias = p.bias.has_value();
  for (const int64_t size : {m.m, m.n, m.k, m.lda, m.ldb, m.batch}) {
    if (size < 1 || size > kMostInt) return std::nullopt;
  }
  return m;
}

/// A call of the library; the plan for it is made by the device that runs it first.
struct LibraryState {
  LibraryState(const LzMatmul& s, const Product& p) : spec(s), product(p) {}
  ProductPlan& made() const {
    if (ProductPlan* p = plan.load(std::memory_order_acquire)) return *p;
    const std::lock_guard lock(mutex);
    if (owned == nullptr) owned = Runtime::current().make_product(spec);
    plan.store(owned.get(), std::memory_order_release);
    return *owned;
  }

  LzMatmul spec;
  Product product;
  mutable std::mutex mutex;
  mutable std::unique_ptr<ProductPlan> owned;
  mutable std::atomic<ProductPlan*> plan{nullptr};
};

void run_library(const void* state, const KernelArgs& args, int64_t, int64_t) {
  const auto& s = *static_cast<const LibraryState*>(state);
  const Product& p = s.product;
  LzMatmulRun run{};
  run.a = resolve(p.a.place, args);
  run.b = resolve(p.b.place, args);
  run.c = p.addend ? resolve(*p.addend, args) : nullptr;
  run.bias = p.bias ? resolve(*p.bias, args) : nullptr;
  run.d = resolve(p.result, args);
  run.alpha = 1;
  Runtime::current().run_product(s.made(), run);
}

Launch any_strides(const KernelRequest& request, const Product& p) {
  const ProductSizes sizes(p);
  Launch launch;
  launch.sizes = sizes.numbers;
  KernelText text;
  text.type("A", p.a.spec.dtype).type("B", p.b.spec.dtype).type("R", p.result_dtype);
  text.type("ACC", is_float(p.a.spec.dtype) ? DType::f32 : DType::i64);
  launch.grid = {blocks_for((sizes.m + 15) / 16 * ((sizes.n + 15) / 16) * sizes.batches, 1), 1, 1};
  return with_text(request, p, std::move(launch), text, std::string(kernel_file("batches")) + std::string(kernel_file("matmul")));
}

/// The library's algorithm, and with it the order of sums, depends on the number of rows.
bool in_fixed_order(const Product& p) {
  return deterministic() && is_float(p.a.spec.dtype) && is_float(p.b.spec.dtype) && is_float(p.result_dtype);
}

}  // namespace

ProductSizes::ProductSizes(const Product& product) {
  const View a(product.a), b(product.b);
  const Space space = batch_space(product);
  m = a.rows;
  n = b.columns;
  k = a.columns;
  batches = space.count;
  a_row = a.row_stride;
  a_column = a.column_stride;
  b_row = b.row_stride;
  b_column = b.column_stride;
  numbers = {m, n, k, batches, space.rank(), a_row, a_column, b_row, b_column};
  numbers.insert(numbers.end(), space.dims.begin(), space.dims.end());
  for (const auto& strides : space.strides) numbers.insert(numbers.end(), strides.begin(), strides.end());
}

Launch with_text(const KernelRequest& request, const Product& p, Launch launch, KernelText text, std::string_view body) {
  launch.in = {p.a.place, p.b.place};
  launch.out = {p.result};
  const auto add = [&](std::string_view name, const std::optional<Place>& place) {
    text.number(name, place ? static_cast<int64_t>(launch.in.size()) : -1);
    if (place) launch.in.push_back(*place);
  };
  add("BIAS_IN", p.bias);
  add("ADDEND_IN", p.addend);
  add("UP_IN", p.up ? std::optional<Place>(p.up->place) : std::nullopt);
  const std::vector<OperandSpec> operands(launch.in.size(), p.a.spec);
  launch.source = text.of_body({request.op, request.attrs, operands, request.outputs.first(1), nullptr}, launch.sizes.size(), body);
  return launch;
}

bool takes_addends(const Product& product) { return in_fixed_order(product) || library_form(product).has_value(); }

Kernel product_kernel(const KernelRequest& request, const Product& product) {
  if (in_fixed_order(product)) return make_kernel(request, fixed_product_launch(request, product));
  if (auto kernel = vector_product(request, product)) return *std::move(kernel);
  const auto form = library_form(product);
  if (!form) return make_kernel(request, any_strides(request, product));
  Kernel kernel;
  kernel.run = run_library;
  kernel.state = std::make_shared<const LibraryState>(*form, product);
  return kernel;
}

}  // namespace lazuli::cuda
