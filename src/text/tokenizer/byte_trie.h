// Defines ByteTrie, a double-array trie that finds the tokens a text starts with.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

namespace lazuli::tokenizer {

/// A step from a node by a byte reads one unit (Aoe 1989): the child lies at the node's base XOR the byte and names its parent.
class ByteTrie {
 public:
  static constexpr std::uint32_t kRoot = 0;
  static constexpr std::uint32_t kNone = ~std::uint32_t{0};

  /// Strings and their values, which are not negative; empty strings are left out, and the first of equal ones counts.
  explicit ByteTrie(std::vector<std::pair<std::string_view, std::int32_t>> entries = {});

  std::uint32_t child(std::uint32_t node, char byte) const {
    const std::uint32_t at = units_[node].base ^ static_cast<unsigned char>(byte);
    return units_[at].parent == node ? at : kNone;
  }
  /// The value of the string that ends at `node`, or -1.
  std::int32_t value(std::uint32_t node) const { return units_[node].value; }

  struct Match {
    std::size_t length = 0;
    std::int32_t value = -1;
  };
  /// The longest string that `text` starts with.
  Match longest(std::string_view text) const;

 private:
  struct Unit {
    std::uint32_t base = 0;
    std::uint32_t parent = kNone;
    std::int32_t value = -1;
  };

  friend class ByteTrieBuilder;
  std::vector<Unit> units_;
};

}  // namespace lazuli::tokenizer
