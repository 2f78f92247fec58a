// Checks that no kernel has a threshold of its own beside the lists in thresholds.def.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <string>

#include "support/source_folder.h"

namespace {

namespace fs = std::filesystem;

// Constants that choose nothing: sizes of what hardware and formats have, how far ahead memory is asked for, names, limits of text and
// time.
const std::set<std::string> kNoThresholds = {
    // cpu: panels and tiles as they lie in memory, and what the matrix unit has
    "kChunk", "kPanel", "kMaxTileRows", "kUnitRows", "kUnitSteps", "kUnitBytes", "kUnitBlock", "kLanes", "kWide", "kChunkVectors",
    "kAccumulators", "kTallest", "kTileValues", "kLine", "kLineBytes", "kAlign", "kRawBytes", "kPage", "kHugePage", "kSlots", "kOrder",
    "kLarge", "kLimbs", "kQuantizedGroup", "kQuantizedBlock", "kQuantizedSpan", "kNumbers", "kUnit", "kGroup", "kGroups", "kMinima",
    "kMask", "kPerByte", "kBlocks", "kFormat",
    // how far ahead memory is asked for, and sums that hide latency
    "kAheadBytes", "kRowsAhead", "kSums", "kAtOnce", "kColumns", "kRows", "kTallest8", "kTallest4", "kM", "kRows8", "kRows4", "kPart",
    "kRowsBefore", "kTogether",
    // measuring the machine, profiles
    "kFloats", "kSteps", "kRounds", "kMostBytes", "kPieces", "kFew", "kDots", "kFlops", "kThreads", "kInline", "kBf16", "kTiles",
    "kRequest", "kTileData", "kBy", "kKernels", "kLimbKernels", "kAll", "kNames", "kPrepare", "kHidden",
    // cuda: blocks and stages that a text is written for
    "kBlock", "kVectorBlock", "kSampleStages", "kFixedBlock", "kFixedThreads", "kMmaThreads", "kStages", "kFewRows", "kSmall", "kBuckets",
    "kStateBytes", "kFirstDim", "kTwoOnes", "kMostInt", "kMost32", "kMostParameters", "kMostRows",
    // rounding of weights: groups, and where the largest may come to lie
    "kGroupOf4", "kLargest",
    // caches of code and of recorded graphs (of plans with several steps), names, time that measuring may take
    "kWorthRecording", "kAlignment", "kMagic", "kSeed", "kName", "kMostCompilers", "kMost", "kMostMilliseconds",
    "kMostMicrosecondsTogether"};

TEST(ThresholdLists, NoKernelHasOneOfItsOwn) {
  const std::regex constant(R"(\bconstexpr\s+(?:[a-z_:0-9]+|MmaTile)\s+(k[A-Z]\w*)\s*(?:=|\[|\{|\())"), more(R"(,\s*(k[A-Z]\w*)\s*=)");
  int64_t found = 0;
  for (const char* folder : {"cpu", "cuda"}) {
    const fs::path backend = fs::path(lazuli::source_folder()) / "src" / "backend" / folder;
    for (const auto& entry : fs::recursive_directory_iterator(backend)) {
      const fs::path& file = entry.path();
      if (file.extension() != ".cc" && file.extension() != ".h") continue;
      if (file.parent_path().filename() == "library") continue;  // has no kernels
      std::ifstream in(file);
      for (std::string line; std::getline(in, line);) {
        std::smatch match;
        if (!std::regex_search(line, match, constant)) continue;
        std::set<std::string> names = {match[1]};
        for (std::sregex_iterator it(line.begin(), line.end(), more), end; it != end; ++it) names.insert((*it)[1]);
        for (const std::string& name : names) {
          ++found;
          EXPECT_TRUE(kNoThresholds.count(name) == 1)
              << file << " defines " << name << ": enter it in thresholds.def, or here if it chooses nothing (docs/adding.md)";
        }
      }
    }
  }
  EXPECT_GT(found, 20);
}

}  // namespace
