#include "backend/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <exception>

#include "lazuli/error.h"

namespace lazuli {

size_t Plan::footprint() const {
  size_t bytes = sizeof(Plan) + steps.size() * (sizeof(Step) + 160) + pointers.size() * sizeof(Location) + waits.size() * sizeof(int32_t) +
                 results.size() * sizeof(ResultView) + optimised_nodes * sizeof(Where);
  for (const Tensor& t : constants) bytes += t.nbytes();
  for (const Step& s : steps) bytes += s.prepared.phases.size() * 256;
  return bytes;
}

namespace {

// The plan's places are those of the graph it was first made for; the node of that place is the same in this run's graph.
Where recorded_at(const Step& step, const Plan& plan, std::span<const Where> nodes_at) {
  const auto node = static_cast<size_t>(std::find(plan.recorded_at.begin(), plan.recorded_at.end(), step.where) - plan.recorded_at.begin());
  return step.where.file != nullptr && node < nodes_at.size() ? nodes_at[node] : step.where;
}

}  // namespace

void run_in_turn(const Plan& plan, const RunMemory& memory, void** pointers, std::byte* workspace, std::byte* thread_scratch) {
  for (const Step& step : plan.steps) {
    if (!skipped(step, memory.donated)) run_step(step, arguments(step, pointers, workspace, thread_scratch), plan, memory);
  }
}

void rethrow_in(const Step& step, const Plan& plan, std::span<const Where> nodes_at) {
  const Where where = recorded_at(step, plan, nodes_at);
  auto add_name = [&](const auto& e) {
    std::string text = fmt::format("{} in {}", e.what(), step.description);
    if (where.file != nullptr) text += fmt::format(", recorded at {}:{}", where.file, where.line);
    return text;
  };
  try {
    throw;
  } catch (const ValueError& e) {
    throw ValueError(add_name(e));
  } catch (const ShapeError& e) {
    throw ShapeError(add_name(e));
  } catch (const DTypeError& e) {
    throw DTypeError(add_name(e));
  } catch (const OutOfMemory& e) {
    throw OutOfMemory(add_name(e));
  } catch (const DeviceError& e) {
    throw DeviceError(add_name(e));
  } catch (const std::exception& e) {
    throw Error(add_name(e));
  }
}

}  // namespace lazuli
