// Declares how the layers of a model are found in an adapter that names them by another class of the same model.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lazuli/adapter.h"

namespace lazuli {

/// The layers of a model by the names of an adapter's file.
struct NamesInFile {
  std::vector<LinearInfo> layers;
  ///@{
  /// What the names in the file and those of the model begin with; the same unless layers were renamed.
  std::string head, own_head;
  ///@}
};

/// A language model alone names its layers `model.layers`, one inside a model of images and text `model.language_model.layers`, and one
/// without the part that makes text `layers`. The ends of such names agree, and `paths`, those of the file, say which beginning it has.
/// Throws FormatError about `file` where two sets of layers could be meant.
NamesInFile names_in_file(std::span<const LinearInfo> layers, const std::vector<std::string>& paths, const std::string& file);

/// Whether a path leads to a part that reads images or sound.
bool is_outside_text(std::string_view path);
/// Whether a path leads into a language model inside a larger model, other parts of which have layers of the same names.
bool is_inside_wrapper(std::string_view path);

}  // namespace lazuli
