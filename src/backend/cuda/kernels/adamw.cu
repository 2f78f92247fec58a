// adamw: parameter, gradient, m, v, rate, beta1, beta2, eps, decay, step, gradient factor -> parameter, m, v. P, G, M, V: dtypes of the
// first four; RATE, BETA1, BETA2, EPS, DECAY, STEP, FACTOR: of the numbers. n: count. A result may lie where its operand does.
struct Numbers {
  float factor, keep, beta1, rest1, beta2, rest2, correction, eps, rate;
};

__device__ inline Numbers numbers(const Params& p) {
  const double rate = load<RATE>(p.in[4], 0), beta1 = load<BETA1>(p.in[5], 0), beta2 = load<BETA2>(p.in[6], 0);
  const double step = static_cast<double>(load<STEP>(p.in[9], 0));
  Numbers c;
  c.factor = static_cast<float>(load<FACTOR>(p.in[10], 0));
  c.keep = static_cast<float>(1 - rate * static_cast<double>(load<DECAY>(p.in[8], 0)));
  c.beta1 = static_cast<float>(beta1);
  c.rest1 = static_cast<float>(1 - beta1);
  c.beta2 = static_cast<float>(beta2);
  c.rest2 = static_cast<float>(1 - beta2);
  c.correction = static_cast<float>(sqrt(1 - pow(beta2, step)));
  c.eps = static_cast<float>(load<EPS>(p.in[7], 0));
  c.rate = static_cast<float>(rate / (1 - pow(beta1, step)));
  return c;
}

template <int N>
__device__ inline void step(const Params& p, const Numbers& c, i64 from, i64 count) {
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
  const i64 count = p.n[0];
  i64 packs = 0;
  if (aligned(p.in[0], 4 * sizeof(P)) && aligned(p.in[1], 4 * sizeof(G)) && aligned(p.in[2], 4 * sizeof(M)) &&
      aligned(p.in[3], 4 * sizeof(V)) && aligned(p.out[0], 4 * sizeof(P)) && aligned(p.out[1], 4 * sizeof(M)) &&
      aligned(p.out[2], 4 * sizeof(V))) {
    packs = count / 4;
    step<4>(p, c, 0, packs);
  }
  step<1>(p, c, packs * 4, count);
}
