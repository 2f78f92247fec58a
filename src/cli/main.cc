// The program `lazuli`.
#include "cli/command.h"

int main(int argc, char** argv) { return lazuli::cli::run_program(lazuli::cli::all_commands(), argc, argv); }
