#include "text/tokenizer/byte_trie.h"

#include <algorithm>
#include <array>
#include <bit>

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
  using Mask = std::array<std::uint64_t, 4>;

  // Which units of a block are free, and how many.
  struct Block {
    std::size_t count;
    Mask free;
  };

  // The entries in [begin, end) share their first `depth` bytes, which lead to `unit`.
  struct Node {
    std::uint32_t unit;
    std::size_t begin;
    std::size_t end;
    std::size_t depth;
  };

  void add_block() {
    units_.resize(units_.size() + kBlock);
    blocks_.push_back({kBlock, {~std::uint64_t{0}, ~std::uint64_t{0}, ~std::uint64_t{0}, ~std::uint64_t{0}}});
  }

  void take(std::size_t unit) {
    Block& block = blocks_[unit / kBlock];
    block.free[unit / 64 % 4] &= ~(std::uint64_t{1} << unit % 64);
    --block.count;
  }

  // Bit i of the result is bit i XOR label of the mask.
  static Mask permuted(const Mask& mask, unsigned char label) {
    static constexpr std::uint64_t kLow[6] = {0x5555555555555555U, 0x3333333333333333U, 0x0F0F0F0F0F0F0F0FU,
                                              0x00FF00FF00FF00FFU, 0x0000FFFF0000FFFFU, 0x00000000FFFFFFFFU};
    Mask out;
    for (std::size_t w = 0; w < out.size(); ++w) {
      std::uint64_t word = mask[w ^ static_cast<std::size_t>(label >> 6)];
      for (int k = 0; k < 6; ++k) {
        if ((label >> k & 1) != 0) word = (word & kLow[k]) << (1 << k) | (word >> (1 << k) & kLow[k]);
      }
      out[w] = word;
    }
    return out;
  }

  // A base in the block for which every label's unit is free.
  std::size_t base_in(std::size_t block) const {
    Mask bases = permuted(blocks_[block].free, labels_.front());
    for (std::size_t i = 1; i < labels_.size(); ++i) {
      const Mask more = permuted(blocks_[block].free, labels_[i]);
      for (std::size_t w = 0; w < bases.size(); ++w) bases[w] &= more[w];
    }
    for (std::size_t w = 0; w < bases.size(); ++w) {
      if (bases[w] != 0) return block * kBlock + w * 64 + static_cast<std::size_t>(std::countr_zero(bases[w]));
    }
    return units_.size();
  }

  std::size_t find_base() {
    std::size_t& start = starts_[labels_.size() - 1];
    for (;; ++start) {
      if (start == blocks_.size()) add_block();
      if (blocks_[start].count < labels_.size()) continue;
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
  std::vector<Block> blocks_;
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
