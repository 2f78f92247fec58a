// Declares the locks on what is being written under a temporary name, which tell whether its writer still lives.
#pragma once

#include <string>

namespace lazuli {

/// Locks a temporary file or folder for as long as the descriptor is open; the system unlocks it when its process ends, however that comes.
/// False when it was taken for abandoned and removed before it was locked. File systems without locks give true.
bool lock_temporary(int fd);

/// Removes what writers of `path` that were killed have left beside it: names of `path`, a process, and `.tmp`, that nobody has locked.
/// What cannot be removed stays.
void remove_abandoned(const std::string& path);

}  // namespace lazuli
