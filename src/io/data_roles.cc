#include "io/data_roles.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <optional>

namespace lazuli {

namespace {

namespace fs = std::filesystem;

std::string lower(std::string text) {
  for (char& c : text) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return text;
}

/// The words of a file's name without its extension, in small letters: `my_train-00001.jsonl` gives my, train.
std::vector<std::string> words_of(const std::string& name) {
  const std::string stem = lower(fs::path(name).stem().string());
  std::vector<std::string> words(1);
  for (const char c : stem) {
    if (std::strchr("-._ 0123456789", c) == nullptr) {
      words.back() += c;
    } else if (!words.back().empty()) {
      words.emplace_back();
    }
  }
  if (words.back().empty()) words.pop_back();
  return words;
}

enum class NamedRole : uint8_t { none, train, validation, test, eval };

NamedRole role_of_word(std::string_view word) {
  if (word == "train" || word == "training") return NamedRole::train;
  if (word == "valid" || word == "validation" || word == "val" || word == "dev") return NamedRole::validation;
  if (word == "test" || word == "testing") return NamedRole::test;
  return word == "eval" || word == "evaluation" ? NamedRole::eval : NamedRole::none;
}

/// What the folder that a file lies in says, `train/` or `data/train/`: none where it is another one.
NamedRole role_of_folder(const std::string& name) {
  const std::string below = name.starts_with("data/") ? name.substr(5) : name;
  const size_t slash = below.find('/');
  return slash == std::string::npos ? NamedRole::none : role_of_word(lower(below.substr(0, slash)));
}

struct Candidate {
  std::string name;
  NamedRole role = NamedRole::none;
  bool exact = false;  ///< the name is nothing but that word, in the folder itself
};

/// Notes beside a table of rows, such as a data set's card.
bool is_note(const std::string& name) {
  const std::string last = lower(fs::path(name).filename().string());
  return last.starts_with("readme") || last.starts_with("license") || last.starts_with("citation") || last.starts_with("dataset_");
}

class Roles {
 public:
  Roles(const std::set<std::string>& names, DataUse use, const std::function<bool(const std::string&)>& fits, DataReport& report)
      : use_(use), fits_(fits), report_(report), train_text_(names.count("train.txt") > 0) {
    bool train = false, other = false;
    for (const std::string& name : names) {
      const NamedRole role = is_data(name) ? role_of_folder(name) : NamedRole::none;
      train = train || role == NamedRole::train;
      other = other || (role != NamedRole::train && role != NamedRole::none);
    }
    split_by_folder_ = train && other;
    for (const std::string& name : names) files_.push_back(candidate(name));
    // Settings in JSON make no table of a program's sources.
    rows_ = std::any_of(files_.begin(), files_.end(), [&](const Candidate& c) {
      return is_rows(kind_by_name(c.name)) && (extension_of(c.name) != ".json" || fits_(c.name));
    });
    decide_eval();
    for (const NamedRole role : {NamedRole::train, NamedRole::validation, NamedRole::test}) keep_exact(role);
  }
  std::vector<DataFile> choose() const;

 private:
  /// Rows and plain text; sources have tests and training of their own.
  static bool is_data(const std::string& name) { return is_rows(kind_by_name(name)) || extension_of(name) == ".txt"; }
  Candidate candidate(const std::string& name) const;
  bool any(NamedRole role) const;
  void decide_eval();
  void keep_exact(NamedRole role);
  std::optional<std::string_view> refused(const Candidate& c) const;

  DataUse use_;
  const std::function<bool(const std::string&)>& fits_;
  DataReport& report_;
  bool train_text_, split_by_folder_ = false, rows_ = false;
  std::vector<Candidate> files_;
};

DataRole role_in_use(NamedRole role) {
  switch (role) {
    case NamedRole::train:
      return DataRole::train;
    case NamedRole::validation:
      return DataRole::validation;
    case NamedRole::test:
      return DataRole::test;
    case NamedRole::none:
    case NamedRole::eval:
      break;
  }
  return DataRole::plain;
}

bool Roles::any(NamedRole role) const {
  return std::any_of(files_.begin(), files_.end(), [&](const Candidate& c) { return c.role == role; });
}

Candidate Roles::candidate(const std::string& name) const {
  Candidate c{name, NamedRole::none, false};
  if (const NamedRole role = role_of_folder(name); split_by_folder_ && role != NamedRole::none && is_data(name)) {
    if (extension_of(name) != ".json" || fits_(name)) c.role = role;
    return c;
  }
  const FileKind kind = kind_by_name(name);
  const std::vector<std::string> words = words_of(name);
  for (const std::string& word : words) {
    const NamedRole role = role_of_word(word);
    if (role == NamedRole::none) continue;
    // Two words say nothing clear.
    if (c.role != NamedRole::none && c.role != role) return {name, NamedRole::none, false};
    c.role = role;
  }
  c.exact = words.size() == 1 && lower(fs::path(name).stem().string()) == words[0] && name.find('/') == std::string::npos;
  // Sources have tests and training of their own; of texts only train.txt and its neighbours have a role.
  const bool text = kind == FileKind::text && c.exact && extension_of(name) == ".txt";
  const bool known = is_rows(kind) || (text && train_text_);
  if (!known) return {name, NamedRole::none, false};
  // Below other folders than data/ a file for training is one among others.
  if (c.role == NamedRole::train && name.find('/') != std::string::npos && !name.starts_with("data/")) c.role = NamedRole::none;
  if (c.role != NamedRole::none && extension_of(name) == ".json" && !fits_(name)) c.role = NamedRole::none;
  return c;
}

void Roles::decide_eval() {
  const NamedRole role = any(NamedRole::validation) ? NamedRole::test : NamedRole::validation;
  for (Candidate& c : files_) {
    if (c.role == NamedRole::eval) c.role = role;
  }
}

/// Beside train.jsonl, train_old.jsonl is no part of the data.
void Roles::keep_exact(NamedRole role) {
  const auto exact = [&](const Candidate& c) { return c.role == role && c.exact; };
  const auto found = std::find_if(files_.begin(), files_.end(), exact);
  if (found == files_.end()) return;
  const std::string what = fmt::format("files beside {}", found->name);
  const auto inexact = [&](const Candidate& c) {
    if (c.role != role || c.exact) return false;
    report_.leave_out(what, c.name);
    return true;
  };
  files_.erase(std::remove_if(files_.begin(), files_.end(), inexact), files_.end());
}

/// Why a file is not read; nothing where it is.
std::optional<std::string_view> Roles::refused(const Candidate& c) const {
  const NamedRole role = c.role;
  if (use_ == DataUse::train) {
    if (role == NamedRole::test) return "test data, which are not trained on";
    if (role == NamedRole::none && any(NamedRole::train)) return "files without a role beside those for training";
  } else {
    const NamedRole order[] = {NamedRole::test, NamedRole::validation, NamedRole::train};
    for (const NamedRole first : order) {
      if (!any(first)) continue;
      if (role != first) return "files that are not measured";
      break;
    }
  }
  if (role == NamedRole::none && rows_ && is_note(c.name)) return "notes about the data";
  return std::nullopt;
}

std::vector<DataFile> Roles::choose() const {
  std::vector<DataFile> chosen;
  for (const Candidate& c : files_) {
    if (const auto why = refused(c)) {
      report_.leave_out(*why, c.name);
    } else {
      chosen.push_back({c.name, role_in_use(c.role)});
    }
  }
  return chosen;
}

}  // namespace

std::string extension_of(std::string_view name) { return lower(fs::path(name).extension().string()); }

std::vector<DataFile> choose_data_files(const std::set<std::string>& names, DataUse use,
                                        const std::function<bool(const std::string&)>& fits, DataReport& report) {
  return Roles(names, use, fits, report).choose();
}

}  // namespace lazuli
