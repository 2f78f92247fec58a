// Declares what `doctor` finds out about a model's folder.
#pragma once

#include <string>
#include <vector>

#include "cli/command.h"

namespace lazuli::cli {

/// One part of a folder that was looked at.
struct Finding {
  std::string part;     ///< "configuration", "tokenizer"
  bool ok = true;       ///< false: the model cannot be used because of it
  std::string message;  ///< what is there, or what stands in the way
};

struct ModelDiagnosis {
  std::string path;  ///< where the files are
  std::vector<Finding> findings;
  std::vector<std::string> notes;  ///< what loading told of parts that are left out
  std::string use;                 ///< the commands that can run it; empty: none can
  std::string training;            ///< those that can train it
};

/// Looks at a folder, or at a model of the hub's cache: nothing is computed, and no rounded weight is filled. Throws nothing that is about
/// the model.
ModelDiagnosis diagnose_model(const std::string& model, const Common& common);

std::string as_json(const ModelDiagnosis& d);
std::string as_text(const ModelDiagnosis& d);

}  // namespace lazuli::cli
