#include "support/source_folder.h"

namespace lazuli {

std::string source_folder() { return LAZULI_SOURCE_DIR; }

}  // namespace lazuli
