// adamw: parameter, gradient, m, v, rate, beta1, beta2, eps, decay, step, gradient factor -> parameter, m, v. P, G, M, V: dtypes of the
// first four; RATE, BETA1, BETA2, EPS, DECAY, STEP, FACTOR: of the numbers. PARAMETERS: how often the first four and the results repeat; a
// row of blocks does one. n: the count of each. A result may lie where its operand does.
struct Numbers {
  float factor, keep, beta1, rest1, beta2, rest2, correction, eps, rate;
};

__device__ inline Numbers numbers(const Params& p) {
  const double rate = load<RATE>(p.in[4 * PARAMETERS + 0], 0), beta1 = load<BETA1>(p.in[4 * PARAMETERS + 1], 0), beta2 = load<BETA2>(p.in[4 * PARAMETERS + 2], 0);
  const double step = static_cast<double>(load<STEP>(p.in[4 * PARAMETERS + 5], 0));
  Numbers c;
  c.factor = static_cast<float>(load<FACTOR>(p.in[4 * PARAMETERS + 6], 0));
  c.keep = static_cast<float>(1 - rate * static_cast<double>(load<DECAY>(p.in[4 * PARAMETERS + 4], 0)));
  c.beta1 = static_cast<float>(beta1);
  c.rest1 = static_cast<float>(1 - beta1);
  c.beta2 = static_cast<float>(beta2);
  c.rest2 = static_cast<float>(1 - beta2);
  c.correction = static_cast<float>(sqrt(1 - pow(beta2, step)));
  c.eps = static_cast<float>(load<EPS>(p.in[4 * PARAMETERS + 3], 0));
  c.rate = static_cast<float>(rate / (1 - pow(beta1, step)));
  return c;
}

// Operands and results of one parameter.
struct Parameter {
  const void* in[4];
  void* out[3];
};

template <int N>
__device__ inline void step(const Parameter& p, const Numbers& c, i64 from, i64 count) {
  const Pack<P, N>* parameters = static_cast<const Pack<P, N>*>(p.in[0]);
  const Pack<G, N>* gradients = static_cast<const Pack<G, N>*>(p.in[1]);
  const Pack<M, N>* ms = static_cast<const Pack<M, N>*>(p.in[2]);
  const Pack<V, N>* vs = static_cast<const Pack<V, N>*>(p.in[3]);
  const bool changes = c.factor == c.factor;
  for (i64 k = from + first_index(); k < count; k += index_step()) {
    Pack<P, N> parameter = parameters[k];
    Pack<M, N> first = ms[k];
    Pack<V, N> second = vs[k];
    if (changes) {
      const Pack<G, N> gradient = gradients[k];
#pragma unroll
      for (int i = 0; i < N; ++i) {
        const float g = static_cast<float>(widen(gradient.v[i])) * c.factor;
        const float m = fmaf(c.beta1, widen(first.v[i]), c.rest1 * g);
        const float v = fmaf(c.beta2, widen(second.v[i]), c.rest2 * g * g);
        const float denominator = sqrtf(v) / c.correction + c.eps;
        parameter.v[i] = narrow<P>(fmaf(-c.rate, m / denominator, widen(parameter.v[i]) * c.keep));
        first.v[i] = narrow<M>(m);
        second.v[i] = narrow<V>(v);
      }
    }
    if (p.out[0] != nullptr) static_cast<Pack<P, N>*>(p.out[0])[k] = parameter;
    if (p.out[1] != nullptr) static_cast<Pack<M, N>*>(p.out[1])[k] = first;
    if (p.out[2] != nullptr) static_cast<Pack<V, N>*>(p.out[2])[k] = second;
  }
}

// Whether data may be read in packs.
__device__ inline bool aligned(const void* data, size_t pack) { return reinterpret_cast<u64>(data) % pack == 0; }

KERNEL {
  __shared__ Numbers shared;
  if (threadIdx.x == 0) shared = numbers(p);
  __syncthreads();
  const Numbers c = shared;
  const u32 index = blockIdx.y;
  const i64 count = p.n[index];
  Parameter one;
#pragma unroll
  for (int k = 0; k < 4; ++k) one.in[k] = p.in[4 * index + k];
#pragma unroll
  for (int j = 0; j < 3; ++j) one.out[j] = p.out[3 * index + j];
  i64 packs = 0;
  if (aligned(one.in[0], 4 * sizeof(P)) && aligned(one.in[1], 4 * sizeof(G)) && aligned(one.in[2], 4 * sizeof(M)) &&
      aligned(one.in[3], 4 * sizeof(V)) && aligned(one.out[0], 4 * sizeof(P)) && aligned(one.out[1], 4 * sizeof(M)) &&
      aligned(one.out[2], 4 * sizeof(V))) {
    packs = count / 4;
    step<4>(one, c, 0, packs);
  }
  step<1>(one, c, packs * 4, count);
}
