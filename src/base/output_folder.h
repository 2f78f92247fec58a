// Defines OutputFolder, a folder that one process at a time writes into, and whose files it can replace as a set.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/file.h"

namespace lazuli {

/// Makes a folder and locks it against other processes that write there through such an object. Its files are either written one by one
/// (`file`), or first collected beside what is there (`stage`) until `publish` puts them in its place.
class OutputFolder {
 public:
  /// `own`: the names of all files that are written here; without the last one of them the others mean nothing. Throws IoError where the
  /// folder cannot be made or written to, or another process has it.
  OutputFolder(std::string path, std::vector<std::string> own);
  OutputFolder(const OutputFolder&) = delete;
  OutputFolder& operator=(const OutputFolder&) = delete;
  /// A folder that was made by this object, and in which nothing was put, goes away again.
  ~OutputFolder();

  /// As it was given.
  const std::string& path() const { return path_; }
  bool has(const std::string& name) const;
  /// What is in the folder beside `own`, in ascending order; hidden files and `lost+found` do not count.
  std::vector<std::string> others() const;

  /// From now on `file` and `folder` lie in a temporary folder, until `publish`. Throws IoError.
  void stage();
  bool staged() const { return !stage_.empty(); }
  /// Where files are written now, by an absolute path.
  const std::string& folder() const { return staged() ? stage_ : target_; }
  std::string file(const std::string& name) const { return folder() + "/" + name; }

  /// Puts the staged files in the place of all of `own`. Where the folder has no other files and the file system can exchange folders that
  /// is one step, so that readers and a crash find the old files or the new ones; else the last one of `own` is taken away first and put
  /// last. Throws IoError.
  void publish();

 private:
  void lock();
  bool exchange(std::string& source) const;
  void replace_files(const std::string& source) const;

  std::string path_;
  std::string target_;  ///< the same without links and relative parts
  std::vector<std::string> own_;
  bool made_ = false;
  std::string stage_;
  FileDescriptor lock_, stage_lock_;
};

}  // namespace lazuli
