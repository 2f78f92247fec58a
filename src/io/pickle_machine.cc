// Implements the instructions of pickles that a state dict needs.
#include "io/pickle_machine.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/utf8.h"
#include "lazuli/error.h"

namespace lazuli {

namespace {

constexpr uint32_t kUnset = 0xffffffff;
// A tensor takes about twelve values, and each may take one byte of the pickle.
constexpr size_t kMostValues = size_t{1} << 20;
constexpr size_t kMostMarks = 1000;
constexpr size_t kLongestLine = 256;

constexpr std::string_view kOrderedDict = "collections OrderedDict";
constexpr std::string_view kRebuildTensor = "torch._utils _rebuild_tensor_v2";
constexpr std::string_view kRebuildParameter = "torch._utils _rebuild_parameter";

bool is_known(std::string_view name) {
  static constexpr std::array<std::string_view, 13> known = {
      kOrderedDict,          kRebuildTensor,      kRebuildParameter,  "torch FloatStorage", "torch HalfStorage", "torch BFloat16Storage",
      "torch DoubleStorage", "torch LongStorage", "torch IntStorage", "torch ShortStorage", "torch CharStorage", "torch ByteStorage",
      "torch BoolStorage"};
  return std::find(known.begin(), known.end(), name) != known.end();
}

}  // namespace

void PickleMachine::fail(std::string_view message) const {
  throw FormatError(fmt::format("{}: pickle: byte {}: {}", path_, start_, message));
}

std::string_view PickleMachine::take(uint64_t bytes) {
  if (bytes > pickle_.size() - place_) fail(fmt::format("{} more bytes expected, the pickle ends at {}", bytes, pickle_.size()));
  const std::string_view taken = pickle_.substr(place_, bytes);
  place_ += bytes;
  return taken;
}

uint64_t PickleMachine::little_endian(size_t bytes) {
  uint64_t number = 0;
  unsigned shift = 0;
  for (const char c : take(bytes)) {
    number |= uint64_t{static_cast<uint8_t>(c)} << shift;
    shift += 8;
  }
  return number;
}

std::string_view PickleMachine::line() {
  const size_t end = pickle_.substr(place_, kLongestLine).find('\n');
  if (end == std::string_view::npos) fail(fmt::format("a name of at most {} bytes expected", kLongestLine));
  const std::string_view text = take(end);
  ++place_;
  return text;
}

uint32_t PickleMachine::add(PickleValue value) {
  if (values_.size() == kMostValues) fail(fmt::format("at most {} values expected", kMostValues));
  values_.push_back(std::move(value));
  return static_cast<uint32_t>(values_.size() - 1);
}

/// No instruction reaches below the last mark, so marks always lie on the stack.
void PickleMachine::require(size_t values, std::string_view message) const {
  if (stack_.size() - (marks_.empty() ? 0 : marks_.back()) < values) fail(fmt::format("{} on the stack", message));
}

uint32_t PickleMachine::pop() {
  require(1, "a value expected");
  const uint32_t value = stack_.back();
  stack_.pop_back();
  return value;
}

size_t PickleMachine::pop_mark() {
  if (marks_.empty()) fail("a mark on the stack expected");
  const size_t mark = marks_.back();
  marks_.pop_back();
  return mark;
}

void PickleMachine::remember(uint32_t index) {
  if (index >= kMostValues) fail(fmt::format("a memo of at most {} values expected, got number {}", kMostValues, index));
  const uint32_t value = pop();
  stack_.push_back(value);
  // torch numbers the memo's values in their order.
  if (index > memo_.size()) fail(fmt::format("number {} of the memo expected next, got {}", memo_.size(), index));
  if (index == memo_.size()) memo_.push_back(kUnset);
  memo_[index] = value;
}

void PickleMachine::recall(uint32_t index) {
  if (index >= memo_.size()) fail(fmt::format("number {} of the memo was never set", index));
  stack_.push_back(memo_[index]);
}

void PickleMachine::push_text(uint64_t length) {
  const std::string_view text = take(length);
  if (!is_utf8(text)) fail("UTF-8 expected in a text");
  push({PickleKind::text, 0, text});
}

/// Two lines that follow each other in the pickle, so that they are one text there; the line feed between them is known by its place.
void PickleMachine::push_callable() {
  const std::string_view module = line(), name = line();
  const std::string whole = fmt::format("{} {}", module, name);
  if (!is_known(whole)) {
    std::string one, other;
    fail(fmt::format("'{}.{}' is refused: a pickle of tensors alone expected, and nothing that runs code", repaired(module, one),
                     repaired(name, other)));
  }
  push({PickleKind::callable, 0, pickle_.substr(static_cast<size_t>(module.data() - pickle_.data()), whole.size())});
}

void PickleMachine::make_tuple(size_t from) {
  PickleValue tuple{PickleKind::tuple};
  tuple.items.assign(stack_.begin() + static_cast<std::ptrdiff_t>(from), stack_.end());
  stack_.resize(from);
  push(std::move(tuple));
}

void PickleMachine::append(size_t from) {
  if (from == 0 || at(stack_[from - 1]).kind != PickleKind::list) fail("a list to append to expected");
  std::vector<uint32_t>& items = values_[stack_[from - 1]].items;
  items.insert(items.end(), stack_.begin() + static_cast<std::ptrdiff_t>(from), stack_.end());
  stack_.resize(from);
}

void PickleMachine::set_items(size_t from) {
  if (from == 0 || at(stack_[from - 1]).kind != PickleKind::dict) fail("a dict to set items of expected");
  if ((stack_.size() - from) % 2 != 0) fail("as many keys as values expected");
  std::vector<uint32_t>& items = values_[stack_[from - 1]].items;
  items.insert(items.end(), stack_.begin() + static_cast<std::ptrdiff_t>(from), stack_.end());
  stack_.resize(from);
}

void PickleMachine::call() {
  const uint32_t arguments = pop(), callee = pop();
  if (at(callee).kind != PickleKind::callable || at(arguments).kind != PickleKind::tuple)
    fail("a call of one of torch's functions expected");
  const std::string_view name = at(callee).text;
  const std::vector<uint32_t>& given = at(arguments).items;
  if (name.starts_with("collections")) {
    if (!given.empty()) fail("an empty OrderedDict expected, whose items follow");
    push({PickleKind::dict});
  } else if (name.ends_with("_rebuild_tensor_v2")) {
    if (given.size() != 6 && given.size() != 7) fail(fmt::format("6 arguments of _rebuild_tensor_v2 expected, got {}", given.size()));
    push({PickleKind::tensor, 0, {}, given});
  } else if (name.ends_with("_rebuild_parameter")) {
    if (given.size() != 3 || at(given[0]).kind != PickleKind::tensor) fail("a tensor and 2 more arguments of _rebuild_parameter expected");
    stack_.push_back(given[0]);
  } else {
    fail(fmt::format("a call of '{}' is refused", name.substr(name.find('\n') + 1)));
  }
}

/// The attributes of a dict, which say from which versions of layers it came.
void PickleMachine::build() {
  const uint32_t state = pop(), object = pop();
  if (at(object).kind != PickleKind::dict || at(state).kind != PickleKind::dict) fail("attributes of a dict expected");
  stack_.push_back(object);
}

void PickleMachine::push_number(uint8_t code) {
  if (code == 'G') {
    take(8);
    return push({PickleKind::real});
  }
  const uint64_t bytes = code == 'J' ? 4 : code == 'K' ? 1 : code == 'M' ? 2 : little_endian(1);
  if (bytes > 8) fail(fmt::format("an integer of at most 64 bits expected, got one of {} bytes", bytes));
  const uint64_t bits = little_endian(bytes);
  const bool is_signed = code != 'K' && code != 'M';
  const unsigned unused = 64 - 8 * static_cast<unsigned>(bytes);
  const auto wide = static_cast<int64_t>(bits);
  push({PickleKind::integer, bytes == 0 || !is_signed ? wide : static_cast<int64_t>(bits << unused) >> unused});
}

void PickleMachine::step(uint8_t code) {
  switch (code) {
    case 0x80:
      if (const uint64_t protocol = little_endian(1); protocol != 2)
        fail(fmt::format("protocol 2 expected, which torch writes, got {}", protocol));
      return;
    case 'c':
      return push_callable();
    case 'q':
      return remember(static_cast<uint32_t>(little_endian(1)));
    case 'r':
      return remember(static_cast<uint32_t>(little_endian(4)));
    case 'h':
      return recall(static_cast<uint32_t>(little_endian(1)));
    case 'j':
      return recall(static_cast<uint32_t>(little_endian(4)));
    case '(':
      if (marks_.size() == kMostMarks) fail(fmt::format("values nested at most {} deep expected", kMostMarks));
      return marks_.push_back(stack_.size());
    case ')':
      return push({PickleKind::tuple});
    case 't':
      return make_tuple(pop_mark());
    case 0x85:
    case 0x86:
    case 0x87: {
      const size_t count = code - 0x84U;
      require(count, "values of a tuple expected");
      return make_tuple(stack_.size() - count);
    }
    case ']':
      return push({PickleKind::list});
    case '}':
      return push({PickleKind::dict});
    case 'a':
      require(2, "a list and a value expected");
      return append(stack_.size() - 1);
    case 'e':
      return append(pop_mark());
    case 's':
      require(3, "a dict, a key and a value expected");
      return set_items(stack_.size() - 2);
    case 'u':
      return set_items(pop_mark());
    case 'X':
      return push_text(little_endian(4));
    case 'J':
    case 'K':
    case 'M':
    case 0x8a:
    case 'G':
      return push_number(code);
    case 0x88:
      return push({PickleKind::boolean, 1});
    case 0x89:
      return push({PickleKind::boolean, 0});
    case 'N':
      return push({PickleKind::none});
    case 'Q': {
      const uint32_t id = pop();
      if (at(id).kind != PickleKind::tuple || at(id).items.size() != 5) fail("the 5 parts of a storage's description expected");
      return push({PickleKind::storage, 0, {}, at(id).items});
    }
    case 'R':
      return call();
    case 'b':
      return build();
    case '.':
      done_ = true;
      return;
    default:
      fail(fmt::format("instruction 0x{:02x} is refused: a state dict does not need it", code));
  }
}

uint32_t PickleMachine::run() {
  while (!done_) {
    start_ = place_;
    step(static_cast<uint8_t>(little_endian(1)));
  }
  if (stack_.size() != 1 || !marks_.empty()) fail(fmt::format("one value at the end expected, got {}", stack_.size()));
  return stack_[0];
}

}  // namespace lazuli
