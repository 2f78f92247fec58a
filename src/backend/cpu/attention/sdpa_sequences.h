// Defines PackedSequences, which finds the blocks of queries of sequences that lie one after the other.
#pragma once

#include <cstdint>

namespace lazuli::cpu {

struct PackedSequences {
  int64_t count = 0;  ///< of the sequences
  int64_t rows = 0;   ///< in all, those after the last sequence included

  /// Rows of one sequence.
  struct Block {
    int64_t first = 0;   ///< row of the sequence
    int64_t tokens = 0;  ///< of the sequence; 0: there is no such block
    int64_t origin = 0;  ///< row at which the sequence starts
    bool blind = false;  ///< the rows come after all sequences, and see nothing
  };
  /// No cut of the rows into sequences has more blocks of `size` rows.
  int64_t most_blocks(int64_t size) const { return rows / size + count + 1; }
  /// Blocks are counted over the sequences and the rows after them. `starts`: count + 1 rows; throws ValueError where they decrease or
  /// leave the rows.
  Block find(const int32_t* starts, int64_t block, int64_t size) const;

 private:
  void check(const int32_t* starts) const;
};

}  // namespace lazuli::cpu
