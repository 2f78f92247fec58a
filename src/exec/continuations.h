// Declares the coroutines that wait for nodes.
#pragma once

#include <coroutine>

#include "graph/node.h"

namespace lazuli {

/// Has `handle` resumed when `node` is ready or failed; false, and nothing kept, when it is already.
bool await_node(const Node* node, std::coroutine_handle<> handle);
/// Resumes, on this thread, the coroutines that wait for `node`, which was just published.
void resume_waiters(const Node* node);

}  // namespace lazuli
