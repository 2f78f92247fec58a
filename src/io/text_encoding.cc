#include "io/text_encoding.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>

#include "base/utf8.h"
#include "lazuli/error.h"

namespace lazuli {

namespace {

struct Magic {
  std::string_view bytes, what;
  size_t at = 0;
  bool has_zero = false;  ///< letters with which a text may begin too, so that a zero byte must follow
};

using namespace std::string_view_literals;

constexpr Magic kMagics[] = {
    {"\x1f\x8b"sv, "gzip data (unpack it with gunzip first)"},
    {"PK\x03\x04"sv, "a zip archive, as .docx, .xlsx, .odt and .epub are (unpack it, or save its text as .txt)"},
    {"PK\x05\x06"sv, "an empty zip archive"},
    {"\x28\xb5\x2f\xfd"sv, "zstd data (unpack it with unzstd first)"},
    {"\xfd"
     "7zXZ\0"sv,
     "xz data (unpack it with unxz first)"},
    {"1AY&SY"sv, "bzip2 data (unpack it with bunzip2 first)", 4},
    {"\x04\x22\x4d\x18"sv, "lz4 data (unpack it with unlz4 first)"},
    {"7z\xbc\xaf\x27\x1c"sv, "a 7z archive (unpack it first)"},
    {"Rar!\x1a\x07"sv, "a rar archive (unpack it first)"},
    {"ustar"sv, "a tar archive (unpack it first)", 257, true},
    {"PAR1"sv, "a Parquet file (write it as JSON lines first, as to_json(orient='records', lines=True) of pandas does)", 0, true},
    {"ARROW1"sv, "an Arrow file (write it as JSON lines first, as to_json(orient='records', lines=True) of pandas does)", 0, true},
    {"FEA1"sv, "a Feather file (write it as JSON lines first, as to_json(orient='records', lines=True) of pandas does)", 0, true},
    {"\xff\xff\xff\xff"sv, "an Arrow stream (write it as JSON lines first, as to_json of datasets does)"},
    {"Obj\x01"sv, "an Avro file (write it as JSON lines first)"},
    {"SQLite format 3\0"sv, "an SQLite database (write its rows as JSON lines first)"},
    {"%PDF-"sv, "a PDF (take its text out with pdftotext first)"},
    {"%!PS"sv, "PostScript (take its text out first)"},
    {"{\\rtf"sv, "an RTF document (save it as plain text first)"},
    {"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"sv, "an old Office document (save its text as .txt first)"},
    {"version https://git-lfs.github.com/spec/"sv, "a Git LFS pointer in place of the file (fetch it with git lfs pull)"},
    {"\x89PNG"sv, "a PNG image"},
    {"\xff\xd8\xff"sv, "a JPEG image"},
    {"GIF8"sv, "a GIF image", 0, true},
    {"\x93NUMPY"sv, "a NumPy array"},
    {"\x89HDF"sv, "an HDF5 file"},
    {"GGUF"sv, "a GGUF model", 0, true},
    {"\x7f"
     "ELF"sv,
     "a program"},
};

bool is_utf16(std::string_view bytes) { return bytes.starts_with("\xff\xfe"sv) || bytes.starts_with("\xfe\xff"sv); }
bool is_utf32(std::string_view bytes) { return bytes.starts_with("\xff\xfe\0\0"sv) || bytes.starts_with("\0\0\xfe\xff"sv); }

/// Reads numbers of `Width` bytes in the order that the mark at the start shows.
template <size_t Width>
class Units {
 public:
  Units(std::string_view bytes, std::string_view encoding, const std::string& name)
      : bytes_(bytes), encoding_(encoding), name_(name), little_(bytes.starts_with("\xff\xfe"sv)), at_(Width) {
    if (bytes.size() % Width != 0) fail(bytes.size() - bytes.size() % Width, "ends in the middle of a character");
  }
  bool ended() const { return at_ >= bytes_.size(); }
  uint32_t next() {
    uint32_t value = 0;
    for (size_t k = 0; k < Width; ++k) {
      value = value << 8 | static_cast<unsigned char>(bytes_[at_ + (little_ ? Width - 1 - k : k)]);
    }
    at_ += Width;
    return value;
  }
  [[noreturn]] void fail_before(std::string_view what) const { fail(at_ - Width, what); }

 private:
  [[noreturn]] void fail(size_t at, std::string_view what) const {
    throw FormatError(
        fmt::format("{}: text in {} expected, as its byte order mark says, but at byte {} it {}", name_, encoding_, at, what));
  }
  std::string_view bytes_, encoding_;
  const std::string& name_;
  bool little_;
  size_t at_;
};

std::string from_utf32(std::string_view bytes, const std::string& name) {
  std::string out;
  Units<4> units(bytes, "UTF-32", name);
  while (!units.ended()) {
    const uint32_t c = units.next();
    if (c > 0x10ffff || (c >= 0xd800 && c < 0xe000)) units.fail_before("has no character");
    append_utf8(out, c);
  }
  return out;
}

std::string from_utf16(std::string_view bytes, const std::string& name) {
  std::string out;
  Units<2> units(bytes, "UTF-16", name);
  while (!units.ended()) {
    uint32_t c = units.next();
    if (c >= 0xdc00 && c < 0xe000) units.fail_before("has the second half of a character without the first");
    if (c >= 0xd800 && c < 0xdc00) {
      if (units.ended()) units.fail_before("has half a character");
      const uint32_t low = units.next();
      if (low < 0xdc00 || low >= 0xe000) units.fail_before("lacks the second half of a character");
      c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
    }
    append_utf8(out, c);
  }
  return out;
}

/// `at`: where the text is no UTF-8.
[[noreturn]] void fail_utf8(std::string_view text, size_t at, const std::string& name) {
  const auto line = 1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(at), '\n');
  throw FormatError(
      fmt::format("{}: text in UTF-8 expected, but byte {} (line {}) is 0x{:02x}, invalid there; if it is Latin-1 or Windows-1252, "
                  "iconv -f WINDOWS-1252 -t UTF-8 converts it",
                  name, at, line, static_cast<unsigned>(static_cast<unsigned char>(text[std::min(at, text.size() - 1)]))));
}

}  // namespace

std::optional<std::string> binary_kind(std::string_view bytes) {
  const size_t zero = bytes.find('\0');
  for (const Magic& magic : kMagics) {
    if (magic.has_zero && zero == std::string_view::npos) continue;
    if (bytes.size() >= magic.at && bytes.substr(magic.at).starts_with(magic.bytes)) return std::string(magic.what);
  }
  if (is_utf16(bytes) || is_utf32(bytes)) return std::nullopt;
  if (zero == std::string_view::npos) return std::nullopt;
  // Text in UTF-16 has a zero beside each character of ASCII.
  const std::string_view head = bytes.substr(0, 4096);
  const auto zeros = static_cast<size_t>(std::count(head.begin(), head.end(), '\0'));
  if (zeros * 5 > head.size() * 2 && zeros * 5 < head.size() * 3) {
    return fmt::format("binary data, or UTF-16 without a byte order mark (byte {} is 0); convert it to UTF-8", zero);
  }
  return fmt::format("binary data (byte {} is 0)", zero);
}

size_t utf8_mark(std::string_view text) { return text.starts_with("\xef\xbb\xbf"sv) ? 3 : 0; }

DecodedText decode_text(std::string bytes, const std::string& name) {
  if (const auto kind = binary_kind(bytes)) throw FormatError(fmt::format("{}: text expected, got {}", name, *kind));
  if (is_utf32(bytes)) return {from_utf32(bytes, name), "UTF-32"};
  if (is_utf16(bytes)) return {from_utf16(bytes, name), "UTF-16"};
  if (const size_t at = utf8_end(bytes); at < bytes.size()) fail_utf8(bytes, at, name);
  const size_t mark = utf8_mark(bytes);
  if (mark == 0) return {std::move(bytes), ""};
  bytes.erase(0, mark);
  return {std::move(bytes), "UTF-8"};
}

size_t unify_line_ends(std::string& text) {
  size_t made = 0;
  auto to = text.begin();
  for (auto from = text.begin(); from != text.end(); ++from) {
    if (*from != '\r') {
      *to++ = *from;
      continue;
    }
    ++made;
    *to++ = '\n';
    if (from + 1 != text.end() && from[1] == '\n') ++from;
  }
  text.erase(to, text.end());
  return made;
}

}  // namespace lazuli
