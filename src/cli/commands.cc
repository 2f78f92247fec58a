#include "cli/command.h"

namespace lazuli::cli {

std::vector<Command> all_commands() { return {finetune_command(), generate_command(), eval_command()}; }

}  // namespace lazuli::cli
