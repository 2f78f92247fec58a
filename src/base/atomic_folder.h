// Defines AtomicFolder, a folder that appears under its name complete or not at all.
#pragma once

#include <string>

#include "base/file.h"

namespace lazuli {

/// Files go into a temporary folder beside the target, which `commit` makes durable and renames. Without `commit` it is removed; that of
/// a process that was killed is removed when the same folder is written again.
class AtomicFolder {
 public:
  /// Throws IoError, also when `path` exists and is anything but an empty folder. Folders above it are made where they are missing.
  explicit AtomicFolder(std::string path);
  AtomicFolder(const AtomicFolder&) = delete;
  AtomicFolder& operator=(const AtomicFolder&) = delete;
  ~AtomicFolder();
  /// Where a file of this name is to be written, durably, before `commit`.
  std::string file(const std::string& name) const { return temporary_ + "/" + name; }
  void commit();

 private:
  std::string path_;
  std::string temporary_;
  FileDescriptor lock_;
};

}  // namespace lazuli
