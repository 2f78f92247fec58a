// The program `lazuli`.
#include <sys/auxv.h>
#include <unistd.h>

#include <cstdlib>

#include "cli/command.h"

namespace {

/// A thread of the team that waits for work spins for a while before it sleeps. libgomp's default, some ten milliseconds, takes the
/// processor from whatever else wants it, and it reads the variable only while it is loaded: so the program sets it and starts once more.
void bound_spinning(char** argv) {
  if (std::getenv("GOMP_SPINCOUNT") != nullptr || std::getenv("OMP_WAIT_POLICY") != nullptr) return;
  setenv("GOMP_SPINCOUNT", "4000", 1);
  execv("/proc/self/exe", argv);
  // Without /proc: the path that the system started. Where this fails too, the default stays.
  execv(reinterpret_cast<const char*>(getauxval(AT_EXECFN)), argv);
}

}  // namespace

int main(int argc, char** argv) {
  bound_spinning(argv);
  return lazuli::cli::run_program(lazuli::cli::all_commands(), argc, argv);
}
