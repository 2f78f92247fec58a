// Checks the file that the tracer writes: valid JSON, one event for each span, and nothing when it is off.
#include "base/trace.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "base/json.h"
#include "lazuli/error.h"
#include "support/temp_folder.h"

namespace lazuli {
namespace {

std::string trace_path() {
  static const test::TempFolder folder;
  return folder.path("trace.json");
}

// Events by name, and how many there are of each.
std::map<std::string, int> count_events(const std::string& path) {
  const JsonDocument document = JsonDocument::read(path);
  std::map<std::string, int> counts;
  for (const JsonValue event : document.root().get("traceEvents").as_array()) ++counts[std::string(event.get("name").as_string())];
  return counts;
}

TEST(Trace, SpansOfAllThreadsAreWritten) {
  trace::start(trace_path());
  {
    const trace::Scope scope("test", "outer");
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([] {
        for (int k = 0; k < 10; ++k) trace::span("kernel", "in\"ner", trace::now(), R"args("shapes":"(2, 3)")args");
      });
    }
    for (auto& thread : threads) thread.join();
    trace::record_event("input");
    trace::counter("bytes", 12.5);
  }
  trace::stop();
  auto counts = count_events(trace_path());
  EXPECT_EQ(counts["outer"], 1);
  EXPECT_EQ(counts["in\"ner"], 40);
  EXPECT_EQ(counts["input"], 1);
  EXPECT_EQ(counts["bytes"], 1);
}

TEST(Trace, NothingIsCollectedWhenOff) {
  trace::span("test", "before", trace::now());
  trace::start(trace_path());
  trace::stop();
  trace::span("test", "after", trace::now());
  trace::start(trace_path());
  trace::stop();
  const auto counts = count_events(trace_path());
  EXPECT_EQ(counts.count("before") + counts.count("after"), 0u);
}

TEST(Trace, RecordsAreBounded) {
  trace::start(trace_path());
  constexpr int kMany = 200'000;
  for (int k = 0; k < kMany; ++k) trace::record_event("input");
  trace::span("test", "late", trace::now());
  trace::stop();
  const JsonDocument document = JsonDocument::read(trace_path());
  EXPECT_GT(document.root().get("otherData").get("dropped_events").as_int(), 0);
  EXPECT_EQ(count_events(trace_path())["late"], 1);
}

TEST(Trace, ErrorsNameTheFile) {
  trace::start("/nonexistent-folder/trace.json");
  EXPECT_THROW(trace::start(trace_path()), ValueError);
  try {
    trace::stop();
    FAIL() << "an error was expected";
  } catch (const IoError& e) {
    EXPECT_NE(std::string(e.what()).find("/nonexistent-folder/trace.json"), std::string::npos);
  }
  trace::stop();
}

}  // namespace
}  // namespace lazuli
