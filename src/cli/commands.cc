#include "cli/command.h"

namespace lazuli::cli {

std::vector<Command> all_commands() { return {finetune_command()}; }

}  // namespace lazuli::cli
