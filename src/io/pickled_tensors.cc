// Implements the reading of a pickled state dict.
#include "io/pickled_tensors.h"

#include <fmt/format.h>

#include "io/pickle_machine.h"
#include "lazuli/error.h"
#include "lazuli/shape.h"

namespace lazuli {

namespace {

class StateDict {
 public:
  StateDict(const std::string& path, std::string_view pickle) : path_(path), machine_(path, pickle) {}

  std::vector<PickledTensor> read() {
    const PickleValue& dict = machine_.at(machine_.run());
    if (dict.kind != PickleKind::dict) throw FormatError(fmt::format("{}: pickle: a dict of tensors expected", path_));
    std::vector<PickledTensor> tensors;
    for (size_t k = 0; k < dict.items.size(); k += 2) {
      const PickleValue& key = machine_.at(dict.items[k]);
      if (key.kind != PickleKind::text) throw FormatError(fmt::format("{}: pickle: texts as names of tensors expected", path_));
      name_ = key.text;
      tensors.push_back(tensor(machine_.at(dict.items[k + 1])));
    }
    return tensors;
  }

 private:
  [[noreturn]] void fail(std::string_view message) const { throw FormatError(fmt::format("{}: tensor '{}': {}", path_, name_, message)); }
  const PickleValue& part(const PickleValue& whole, size_t index, PickleKind kind, std::string_view what) const {
    const PickleValue& value = machine_.at(whole.items[index]);
    if (value.kind != kind) fail(fmt::format("{} expected", what));
    return value;
  }
  int64_t count(const PickleValue& whole, size_t index, std::string_view what) const {
    const int64_t n = part(whole, index, PickleKind::integer, what).number;
    if (n < 0) fail(fmt::format("{} of at least 0 expected, got {}", what, n));
    return n;
  }
  std::vector<int64_t> counts(const PickleValue& whole, size_t index, std::string_view what) const {
    const PickleValue& list = part(whole, index, PickleKind::tuple, what);
    if (list.items.size() > static_cast<size_t>(kMaxRank))
      fail(fmt::format("at most {} dimensions expected, got {}", kMaxRank, list.items.size()));
    std::vector<int64_t> numbers;
    for (size_t k = 0; k < list.items.size(); ++k) numbers.push_back(count(list, k, what));
    return numbers;
  }

  PickledTensor tensor(const PickleValue& value) const {
    if (value.kind == PickleKind::dict)
      fail("a tensor expected, got a dict: the weights of a model alone, without a training's state, belong here");
    if (value.kind != PickleKind::tensor) fail("a tensor expected");
    const PickleValue& storage = part(value, 0, PickleKind::storage, "a storage");
    if (part(storage, 0, PickleKind::text, "a storage").text != "storage") fail("a storage expected");
    const std::string_view kind = part(storage, 1, PickleKind::callable, "the kind of a storage").text;
    const size_t line = kind.find('\n');
    if (!kind.ends_with("Storage") || line == std::string_view::npos) fail("the kind of a storage expected");
    PickledTensor t;
    t.name = name_;
    t.kind = kind.substr(line + 1);
    t.storage = part(storage, 2, PickleKind::text, "the name of a storage").text;
    t.storage_size = count(storage, 4, "the size of a storage");
    t.offset = count(value, 1, "an offset");
    t.sizes = counts(value, 2, "sizes");
    t.strides = counts(value, 3, "strides");
    if (t.sizes.size() != t.strides.size()) fail(fmt::format("{} strides expected, got {}", t.sizes.size(), t.strides.size()));
    return t;
  }

  const std::string& path_;
  PickleMachine machine_;
  std::string_view name_;
};

}  // namespace

std::vector<PickledTensor> read_pickled_tensors(const std::string& path, std::string_view pickle) { return StateDict(path, pickle).read(); }

}  // namespace lazuli
