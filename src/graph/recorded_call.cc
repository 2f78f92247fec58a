// Implements record_call.
#include "graph/recorded_call.h"

namespace lazuli {

RecordedCall record_call(const Function& f, std::span<const CallArgument> arguments) {
  RecordedCall call;
  call.arguments.reserve(arguments.size());
  for (const CallArgument& argument : arguments) {
    const auto index = static_cast<int32_t>(call.arguments.size());
    call.arguments.push_back(make_placeholder(index, argument.spec.dtype, argument.spec.shape));
    call.arguments.back().node()->donate = argument.donated ? 1 : 0;
  }
  call.results = f(call.arguments);
  call.edges.reserve(call.results.size());
  for (const LazyTensor& result : call.results) call.edges.push_back({result.checked(), result.out()});
  return call;
}

}  // namespace lazuli
