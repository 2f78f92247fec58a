#!/usr/bin/env bash
# Fine-tunes models/pycoder-16m, which was trained on Python only, on this project's own C++ sources, and shows the perplexity of
# C++ files kept out of the training, and a completion, before and after. Builds the program alone (preset `program`) and ends with the time
# that each part took.
# Usage: scripts/demo.sh [ITERATIONS]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

iterations=${1:-100}
model=models/pycoder-16m
work=build/demo
program=build/program/bin/lazuli
times=()
# Ends a part of the demo: since the one before, so many seconds.
part() { times+=("$1 $((SECONDS - since)) s"); since=$SECONDS; }
since=$SECONDS
prompt='// Returns the sum of all elements of the tensor.
Tensor sum(const Tensor& x) {
'

./scripts/setup.sh
part packages
echo "building the program in build/program"
# Done and all steps, and the seconds so far; a terminal shows them in one line. The compiler cache takes the compiler's word for the headers
# of a unit, which are too many to be read twice.
NINJA_STATUS='[%f/%t, %e s] ' CCACHE_DEPEND=1 ./scripts/build.sh program
part build

# Every sixteenth file is held out: finetune sees neither its text nor its loss.
rm -rf "$work"
mkdir -p "$work/train" "$work/heldout"
index=0
while IFS= read -r file; do
  part=train
  if ((index++ % 16 == 3)); then part=heldout; fi
  cp "$file" "$work/$part/${file//\//-}"
done < <(find src include -name '*.cc' -o -name '*.h' | LC_ALL=C sort)
echo "training on $(find "$work/train" -type f | wc -l) files of src/ and include/, measuring on $(find "$work/heldout" -type f | wc -l) others"

evaluate() { "$program" eval --model "$model" --data "$work/heldout" --max-seq-length 256 --json --quiet "$@"; }
complete() { "$program" generate --model "$model" --prompt "$prompt" --max-tokens 60 --quiet "$@"; }
perplexity() { sed -nE 's/.*"perplexity": *([0-9.eE+-]+).*/\1/p'; }

before=$(evaluate | perplexity)
part "perplexity before"
"$program" finetune --model "$model" --data "$work/train" --adapter-path "$work/adapter" --iters "$iterations" --batch-size 4 \
  --max-seq-length 256 --learning-rate 2e-3 --lr-schedule cosine --warmup-steps 10 --lora-rank 16 --lora-alpha 32 \
  --target-modules all-linear --steps-per-report 25 --steps-per-eval "$iterations" --val-batches 10 --save-every "$iterations"
part "$iterations steps"
after=$(evaluate --adapter-path "$work/adapter" | perplexity)
part "perplexity after"
[[ -n $before && -n $after ]] || { echo "demo: eval printed no perplexity" >&2; exit 1; }

printf '\n--- completion before\n%s%s\n' "$prompt" "$(complete)"
printf '\n--- completion after\n%s%s\n' "$prompt" "$(complete --adapter-path "$work/adapter")"
part completions
printf '\n%s' "${times[0]}"
printf ', %s' "${times[@]:1}"
printf '; %s s in all\n' "$SECONDS"
printf 'perplexity on held-out C++: %.2f before, %.2f after %s steps\n' "$before" "$after" "$iterations"
awk -v before="$before" -v after="$after" 'BEGIN { exit !(after < before) }' || { echo "demo: fine-tuning did not help" >&2; exit 1; }
