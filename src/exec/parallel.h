// Declares the one way to use several threads: a team that runs one function.
#pragma once

namespace lazuli {

/// Threads that a device's executor may use, itself included. Default: the processors this process may run on.
int thread_count();
/// Throws ValueError unless 1 <= n <= 1024. Takes effect at the next run.
void set_thread_count(int n);

/// Calls body(context, k) for k in [0, threads) at the same time and returns when all are done. `body` must not throw. Called only from an
/// executor's thread: libgomp keeps a team for each calling thread.
void parallel(int threads, void (*body)(void* context, int thread), void* context);
/// Tells libraries that open regions of their own on this thread how many threads to use.
void bind_team(int threads);

}  // namespace lazuli
