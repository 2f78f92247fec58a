#include "io/tokenizer/byte_trie.h"

#include <algorithm>
#include <array>

namespace lazuli::tokenizer {

// Places nodes in blocks of 256 units, so that a node's children lie in one block. Where nodes of as many children last found room, the
// next such node looks first and never before, which bounds the search.
class ByteTrieBuilder {
 public:
  using Entries = std::vector<std::pair<std::string_view, std::int32_t>>;

  ByteTrieBuilder(ByteTrie& trie, const Entries& entries) : units_(trie.units_), entries_(entries) {}

  void build() {
    add_block();
    take(0);  // the root, which is no child
    open_.push_back({ByteTrie::kRoot, 0, entries_.size(), 0});
    while (!open_.empty()) {
      const Node node = open_.back();
      open_.pop_back();
      place_children(node);
    }
  }

 private:
  static constexpr std::size_t kBlock = 256;

  // The entries in [begin, end) share their first `depth` bytes, which lead to `unit`.
  struct Node {
    std::uint32_t unit;
    std::size_t begin;
    std::size_t end;
    std::size_t depth;
  };

  void add_block() {
    units_.resize(units_.size() + kBlock);
    free_.push_back(kBlock);
  }

  void take(std::size_t unit) {
    taken_.resize(units_.size());
    taken_[unit] = true;
    --free_[unit / kBlock];
  }

  bool is_free(std::size_t unit) const { return unit >= taken_.size() || !taken_[unit]; }

  std::size_t base_in(std::size_t block) const {
    for (std::size_t offset = 0; offset < kBlock; ++offset) {
      const std::size_t base = block * kBlock + offset;
      const auto fits = [&](unsigned char label) { return is_free(base ^ label); };
      if (std::all_of(labels_.begin(), labels_.end(), fits)) return base;
    }
    return units_.size();
  }

  std::size_t find_base() {
    std::size_t& start = starts_[labels_.size() - 1];
    for (;; ++start) {
      if (start == free_.size()) add_block();
      if (free_[start] < labels_.size()) continue;
      if (const std::size_t base = base_in(start); base != units_.size()) return base;
    }
  }

  void place_children(Node node) {
    // A string that ends here comes before those that go on.
    for (; node.begin < node.end && entries_[node.begin].first.size() == node.depth; ++node.begin) {
      if (units_[node.unit].value < 0) units_[node.unit].value = entries_[node.begin].second;
    }
    if (node.begin == node.end) return;
    const auto label_at = [&](std::size_t i) { return static_cast<unsigned char>(entries_[i].first[node.depth]); };
    labels_.clear();
    for (std::size_t i = node.begin; i < node.end; ++i) {
      if (labels_.empty() || labels_.back() != label_at(i)) labels_.push_back(label_at(i));
    }
    const std::size_t base = find_base();
    units_[node.unit].base = static_cast<std::uint32_t>(base);
    for (const unsigned char label : labels_) {
      take(base ^ label);
      units_[base ^ label].parent = node.unit;
    }
    for (std::size_t i = node.begin; i < node.end;) {
      std::size_t end = i;
      while (end < node.end && label_at(end) == label_at(i)) ++end;
      open_.push_back({static_cast<std::uint32_t>(base ^ label_at(i)), i, end, node.depth + 1});
      i = end;
    }
  }

  std::vector<ByteTrie::Unit>& units_;
  const Entries& entries_;
  std::vector<Node> open_;
  std::vector<unsigned char> labels_;
  std::vector<bool> taken_;
  std::vector<std::size_t> free_;  // of each block
  std::array<std::size_t, kBlock> starts_{};
};

ByteTrie::ByteTrie(std::vector<std::pair<std::string_view, std::int32_t>> entries) {
  entries.erase(std::remove_if(entries.begin(), entries.end(), [](const auto& entry) { return entry.first.empty(); }), entries.end());
  std::stable_sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  ByteTrieBuilder(*this, entries).build();
}

ByteTrie::Match ByteTrie::longest(std::string_view text) const {
  Match match;
  std::uint32_t node = kRoot;
  for (std::size_t pos = 0; pos < text.size();) {
    node = child(node, text[pos++]);
    if (node == kNone) break;
    if (value(node) >= 0) match = {pos, value(node)};
  }
  return match;
}

}  // namespace lazuli::tokenizer
