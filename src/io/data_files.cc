#include "io/data_files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <vector>

#include "base/file.h"
#include "io/data_listing.h"
#include "io/text_encoding.h"
#include "lazuli/error.h"

namespace lazuli {

namespace {

namespace fs = std::filesystem;

constexpr size_t kDataLimit = size_t{4} << 30;
constexpr size_t kHead = size_t{64} << 10;

bool is_stdin(const std::string& path) { return path == "-" || path == "/dev/stdin" || path == "/dev/fd/0" || path == "/proc/self/fd/0"; }

/// The bytes up to the end of a pipe. Takes the descriptor over.
std::string read_stream(FileDescriptor file, const std::string& path) {
  std::string all;
  std::vector<char> part(size_t{1} << 20);
  while (true) {
    const ssize_t n = read(file.get(), part.data(), part.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw_io("read", path, errno);
    if (n == 0) return all;
    all.append(part.data(), static_cast<size_t>(n));
    if (all.size() > kDataLimit) throw FormatError(fmt::format("{}: at most {} bytes expected, got more", path, kDataLimit));
  }
}

/// The first bytes, which tell a large file that is no data before all of it is read.
std::string read_head(const std::string& path) {
  size_t size = 0;
  const FileDescriptor file = FileDescriptor::open_regular(path, size);
  std::string head(std::min(size, kHead), '\0');
  const ssize_t n = pread(file.get(), head.data(), head.size(), 0);
  if (n < 0) throw_io("read", path, errno);
  head.resize(static_cast<size_t>(n));
  return head;
}

class FolderData {
 public:
  FolderData(fs::path root, DataUse use, const DataReader& reader, DataReport& report)
      : root_(std::move(root)), use_(use), reader_(reader), report_(report) {}
  void read(const std::set<std::string>& names);

 private:
  bool fits_json(const std::string& name) const;
  void read_one(const DataFile& c);
  void read_rows(const DataFile& c, const std::string& text, FileKind kind);
  void error_of(const DataRow& row);
  void leave_broken(const std::string& name, const FormatError& error);
  std::string path_of(const std::string& name) const { return (root_ / name).string(); }

  fs::path root_;
  DataUse use_;
  const DataReader& reader_;
  DataReport& report_;
  int64_t line_ends_ = 0;
  std::string first_error_;
  int64_t used_ = 0, for_training_ = 0;
};

/// A program's settings may be called test.json.
bool FolderData::fits_json(const std::string& name) const {
  bool fits = false;
  try {
    const DecodedText decoded = decode_text(read_file(path_of(name), kDataLimit), name);
    each_row(decoded.text, name, FileKind::json, [&](const DataRow& row) {
      fits = reader_.fits(row);
      return false;
    });
  } catch (const FormatError&) {
    return false;
  }
  return fits;
}

void FolderData::read(const std::set<std::string>& names) {
  const auto fits = [this](const std::string& name) { return fits_json(name); };
  for (const DataFile& file : choose_data_files(names, use_, fits, report_)) read_one(file);
  if (line_ends_ > 0) report_.note(fmt::format("line ends other than \\n were made \\n in {} files", line_ends_));
  if (for_training_ > 0 || (use_ == DataUse::measure && used_ > 0)) return;
  if (!first_error_.empty()) throw FormatError(first_error_);
  const std::string rest = report_.left_out_text();
  throw FormatError(fmt::format("{}: a folder with {}{} expected, found none{}", root_.string(), reader_.wanted,
                                use_ == DataUse::train ? " to train on" : "", rest.empty() ? "" : "; left out: " + rest));
}

/// Text that another program may read, but not as UTF-8.
void FolderData::leave_broken(const std::string& name, const FormatError& error) {
  if (first_error_.empty()) first_error_ = error.what();
  report_.leave_out("files that are not UTF-8 (iconv -f WINDOWS-1252 -t UTF-8 converts Latin-1)", name);
}

void FolderData::read_one(const DataFile& c) {
  const std::string path = path_of(c.name);
  const FileKind named = kind_by_name(c.name);
  const std::string head = read_head(path);
  if (head.empty()) return report_.leave_out("empty files", c.name);
  if (const auto binary = binary_kind(head)) {
    const bool data = is_rows(named) || named == FileKind::text;
    if (c.role != DataRole::plain || (data && first_error_.empty())) first_error_ = fmt::format("{}: text expected, got {}", path, *binary);
    if (c.role != DataRole::plain) throw FormatError(first_error_);
    // Zeros are no kind that a name is known for.
    return report_.leave_out(binary->starts_with("binary data (") ? "binary files" : *binary, c.name);
  }
  DecodedText decoded;
  try {
    decoded = decode_text(read_file(path, kDataLimit), path);
  } catch (const FormatError& e) {
    if (is_rows(named) || c.role != DataRole::plain) throw;
    if (named == FileKind::text) return leave_broken(c.name, e);
    return report_.leave_out("binary files", c.name);
  }
  if (decoded.encoding.starts_with("UTF-16") || decoded.encoding.starts_with("UTF-32")) {
    report_.note(fmt::format("{} was read as {}", c.name, decoded.encoding));
  }
  const FileKind kind = kind_of(c.name, decoded.text, reader_.columns);
  if (is_rows(kind)) return read_rows(c, decoded.text, kind);
  if (!reader_.text) return report_.leave_out("files that are no rows", c.name);
  if (decoded.text.empty()) return report_.leave_out("empty files", c.name);
  if (extension_of(c.name) == ".svg") return report_.leave_out("images", c.name);
  if (unify_line_ends(decoded.text) > 0) ++line_ends_;
  ++used_;
  for_training_ += c.role == DataRole::plain || c.role == DataRole::train ? 1 : 0;
  report_.files.push_back(c.name);
  reader_.text(c.name, std::move(decoded.text), c.role);
}

/// Keeps what is wrong with a row that is not wanted, for the case that nothing else is there.
void FolderData::error_of(const DataRow& row) {
  if (!first_error_.empty()) return;
  try {
    reader_.row(row, row.place(), DataRole::plain);
  } catch (const FormatError& e) {
    first_error_ = e.what();
  }
}

void FolderData::read_rows(const DataFile& c, const std::string& text, FileKind kind) {
  const std::string path = path_of(c.name);
  const bool json = extension_of(c.name) == ".json";
  bool first = true, vectors = false, fits = true;
  int64_t given = 0;
  const auto take = [&](const DataRow& row) {
    if (first) {
      first = false;
      vectors = row.has("embedding");
      fits = reader_.fits(row);
      if (c.role == DataRole::plain && (vectors || !fits)) {
        if (!vectors && !json) error_of(row);
        return false;
      }
    }
    reader_.row(row, c.name + row.place().substr(path.size()), c.role);
    ++given;
    return true;
  };
  try {
    each_row(text, path, kind, take);
  } catch (const FormatError&) {
    // Any text of braces may be called .json.
    if (!json || c.role != DataRole::plain || given > 0) throw;
    return report_.leave_out("JSON files without rows", c.name);
  }
  if (first) return report_.leave_out("empty files", c.name);
  if (given == 0) {
    return report_.leave_out(vectors ? "vectors that embed wrote"
                             : json  ? "JSON files without rows"
                                     : "files of rows without the wanted columns",
                             c.name);
  }
  ++used_;
  for_training_ += c.role == DataRole::plain || c.role == DataRole::train ? 1 : 0;
  report_.files.push_back(c.name);
}

void read_single(const std::string& path, const DataReader& reader, DataReport& report) {
  const std::string shown = path == "-" ? "standard input" : path;
  const std::string name = is_stdin(path) ? "standard input" : fs::path(path).filename().string();
  std::string bytes = read_data_bytes(path);
  if (bytes.empty()) throw FormatError(fmt::format("{}: {} expected, got an empty file", shown, reader.wanted));
  DecodedText decoded = decode_text(std::move(bytes), shown);
  if (!decoded.encoding.empty() && decoded.encoding != "UTF-8") report.note(fmt::format("{} was read as {}", name, decoded.encoding));
  report.files.push_back(name);
  const FileKind kind = kind_of(is_stdin(path) ? "-" : name, decoded.text, reader.columns);
  if (is_rows(kind)) {
    int64_t given = 0;
    each_row(decoded.text, shown, kind, [&](const DataRow& row) {
      ++given;
      reader.row(row, name + row.place().substr(shown.size()), DataRole::plain);
      return true;
    });
    if (given == 0) throw FormatError(fmt::format("{}: {} expected, got none", shown, reader.wanted));
    return;
  }
  if (!reader.text) throw FormatError(fmt::format("{}: {} expected (.jsonl, .json, .csv), got text", shown, reader.wanted));
  if (decoded.text.empty()) throw FormatError(fmt::format("{}: {} expected, got an empty file", shown, reader.wanted));
  if (kind_of("-", decoded.text, reader.columns) == FileKind::json) {
    report.note(fmt::format("{} was read as text though it begins like rows of JSON, which are read from .jsonl", name));
  } else if (begins_like_table(decoded.text, reader.columns)) {
    report.note(fmt::format("{} was read as text though it begins like a table, which is read from .csv", name));
  }
  if (unify_line_ends(decoded.text) > 0) report.note("line ends other than \\n were made \\n");
  reader.text(name, std::move(decoded.text), DataRole::plain);
}

}  // namespace

std::string read_data_bytes(const std::string& path) {
  if (is_stdin(path)) return read_stream(FileDescriptor(fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0)), "standard input");
  struct stat info {};
  if (stat(path.c_str(), &info) == 0 && S_ISFIFO(info.st_mode)) {
    FileDescriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (file.get() < 0) throw_io("open", path, errno);
    return read_stream(std::move(file), path);
  }
  return read_file(path, kDataLimit);
}

void read_data(const std::string& path, DataUse use, std::span<const std::string> excluded, const DataReader& reader, DataReport& report) {
  std::error_code ignored;
  if (!is_stdin(path) && fs::is_directory(path, ignored)) {
    FolderData(path, use, reader, report).read(list_data_files(path, excluded, report));
  } else {
    read_single(path, reader, report);
  }
}

}  // namespace lazuli
