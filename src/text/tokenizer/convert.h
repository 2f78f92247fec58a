// Declares convert_vocabulary, which makes of other vocabulary files what a tokenizer.json would say.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "io/model_folder.h"
#include "text/tokenizer/id_merges.h"
#include "text/tokenizer/settings.h"

namespace lazuli::tokenizer {

/// What stands in the place of tokenizer.json.
struct Conversion {
  Settings settings;
  /// Sections as those of tokenizer.json; its name is that of the file that they were made of.
  JsonDocument document;
  /// The merges of a BPE model, where `document` has none: as text they could take far more memory than the file.
  std::optional<std::vector<IdMerge>> merges;
};

/// Whether a folder without tokenizer.json has another vocabulary that some class reads.
bool has_vocabulary_file(const ModelFolder& folder);

/// Reads the vocabulary that the folder's class reads in transformers 5 where there is no tokenizer.json. Throws IoError when it is not
/// there, and FormatError naming the file and what was expected there.
Conversion convert_vocabulary(ModelFolder& folder);

///@{
/// The conversions of one kind of file each: `bytes` of the file `path`. `chosen` has the class.
Conversion convert_sentence_piece(ModelFolder& folder, const Settings& chosen, const std::string& path, const std::string& bytes);
Conversion convert_tiktoken(ModelFolder& folder, const Settings& chosen, const std::string& path, const std::string& bytes);
Conversion convert_word_list(ModelFolder& folder);
Conversion convert_vocabulary_and_merges(ModelFolder& folder);
///@}

/// Settings of a folder without tokenizer.json.
Settings settings_without_file(ModelFolder& folder, const VocabularyTokens& tokens = {});

}  // namespace lazuli::tokenizer
