// The elementwise ops on wide values (float, double or i64): op_<name>, called by generated code.

template <class V>
__device__ inline V op_copy(V x) { return x; }

#define ONE(V) (V x)
#define TWO(V) (V a, V b)
#define THREE(V) (V a, V b, V c)

__device__ inline i64 wrapped(u64 v) { return static_cast<i64>(v); }
__device__ inline u64 bits(i64 v) { return static_cast<u64>(v); }

#define REAL_AND_INTEGER(name, parameters, real, integer)                   \
  __device__ inline float op_##name parameters(float) { return real; }   \
  __device__ inline double op_##name parameters(double) { return real; } \
  __device__ inline i64 op_##name parameters(i64) { return integer; }
#define REAL(name, parameters, real)                                     \
  __device__ inline float op_##name parameters(float) { return real; }   \
  __device__ inline double op_##name parameters(double) { return real; }
#define TEST(name, parameters, test)                                   \
  __device__ inline i64 op_##name parameters(float) { return test; }  \
  __device__ inline i64 op_##name parameters(double) { return test; } \
  __device__ inline i64 op_##name parameters(i64) { return test; }

REAL_AND_INTEGER(neg, ONE, -x, wrapped(0 - bits(x)))
REAL_AND_INTEGER(abs, ONE, fabs(x), x < 0 ? wrapped(0 - bits(x)) : x)
REAL_AND_INTEGER(sign, ONE, x != x ? x : (x > 0) - (x < 0), (x > 0) - (x < 0))
REAL_AND_INTEGER(square, ONE, x * x, wrapped(bits(x) * bits(x)))
REAL_AND_INTEGER(relu, ONE, x != x || x > 0 ? x : 0, x > 0 ? x : 0)
REAL_AND_INTEGER(add, TWO, a + b, wrapped(bits(a) + bits(b)))
REAL_AND_INTEGER(sub, TWO, a - b, wrapped(bits(a) - bits(b)))
REAL_AND_INTEGER(mul, TWO, a * b, wrapped(bits(a) * bits(b)))
REAL_AND_INTEGER(div, TWO, a / b, b == 0 ? 0 : b == -1 ? wrapped(0 - bits(a)) : a / b)
REAL_AND_INTEGER(maximum, TWO, larger(a, b), larger(a, b))
REAL_AND_INTEGER(minimum, TWO, smaller(a, b), smaller(a, b))
REAL_AND_INTEGER(clip, THREE, smaller(larger(a, b), c), smaller(larger(a, b), c))

REAL(exp, ONE, exp(x))
REAL(log, ONE, log(x))
REAL(sqrt, ONE, sqrt(x))
REAL(rsqrt, ONE, 1 / sqrt(x))
REAL(reciprocal, ONE, 1 / x)
REAL(sin, ONE, sin(x))
REAL(cos, ONE, cos(x))
REAL(tanh, ONE, tanh(x))
REAL(erf, ONE, erf(x))
REAL(pow, TWO, pow(a, b))
REAL(sigmoid, ONE, 1 / (1 + exp(-x)))
REAL(silu, ONE, x / (1 + exp(-x)))
__device__ inline float op_gelu(float x) { return 0.5f * x * erfcf(-0.70710678118654752440f * x); }
__device__ inline double op_gelu(double x) { return 0.5 * x * erfc(-0.70710678118654752440 * x); }
__device__ inline float op_gelu_tanh(float x) { return x / (1 + expf(-1.59576912160573071176f * (x + 0.044715f * x * x * x))); }
__device__ inline double op_gelu_tanh(double x) { return x / (1 + exp(-1.59576912160573071176 * (x + 0.044715 * x * x * x))); }

TEST(logical_not, ONE, x == 0)
TEST(equal, TWO, a == b)
TEST(not_equal, TWO, a != b)
TEST(less, TWO, a < b)
TEST(less_equal, TWO, a <= b)
TEST(greater, TWO, a > b)
TEST(greater_equal, TWO, a >= b)
TEST(logical_and, TWO, !(a == 0) && !(b == 0))
TEST(logical_or, TWO, !(a == 0) || !(b == 0))
__device__ inline i64 op_is_finite(float x) { return x - x == 0; }
__device__ inline i64 op_is_finite(double x) { return x - x == 0; }
__device__ inline i64 op_is_finite(i64) { return 1; }
template <class C, class V>
__device__ inline V op_where(C c, V a, V b) { return c == 0 ? b : a; }
template <class T, class V>
__device__ inline auto op_cast(V v) { return widen(narrow<T>(v)); }
