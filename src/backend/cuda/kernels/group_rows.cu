// The order of rows by expert: operand 2, chosen (slots) i32 -> scratch: starts (experts + 1), then the numbers of the slots by expert and ascending, i32.
// n: slots, experts. A warp an expert, which reads all choices twice: no warp waits for another, and the order is always the same.
KERNEL {
  const i64 slots = p.n[0], experts = p.n[1], lane = threadIdx.x % 32;
  const i32* const chosen = static_cast<const i32*>(p.in[2]);
  i32* const starts = static_cast<i32*>(p.scratch);
  i32* const order = starts + experts + 1;
  for (i64 expert = first_index() / 32; expert < experts; expert += index_step() / 32) {
    i64 before = 0, own = 0;
    for (i64 first = 0; first < slots; first += 32) {
      const bool inside = first + lane < slots;
      const i64 e = inside ? chosen[first + lane] : experts;
      if (inside && (e < 0 || e >= experts)) fail(p, e);
      before += __popc(__ballot_sync(0xffffffffu, inside && e >= 0 && e < expert));
      own += __popc(__ballot_sync(0xffffffffu, inside && e == expert));
    }
    if (lane == 0) {
      starts[expert] = static_cast<i32>(before);
      if (expert == experts - 1) starts[experts] = static_cast<i32>(before + own);
    }
    i64 at = before;
    for (i64 first = 0; first < slots && own > 0; first += 32) {
      const bool mine = first + lane < slots && chosen[first + lane] == expert;
      const u32 all = __ballot_sync(0xffffffffu, mine);
      if (mine) order[at + __popc(all & ((1u << lane) - 1u))] = static_cast<i32>(first + lane);
      at += __popc(all);
    }
  }
}
