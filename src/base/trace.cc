#include "base/trace.h"

#include <fmt/format.h>

#include <chrono>
#include <iterator>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "base/file.h"
#include "base/json_writer.h"
#include "lazuli/error.h"

namespace lazuli::trace {

std::atomic<bool> enabled{false};

namespace {

enum class Kind : uint8_t { span, instant, counter };

struct Event {
  uint64_t begin;
  uint64_t duration;
  double value;
  std::string category, name, args;
  std::string_view op;  ///< of an instant
  Kind kind;
};

// A trace of a long run must not fill the memory: beyond these counts, events of a thread are only counted.
constexpr size_t kMaxEvents = size_t{1} << 20;
constexpr size_t kMaxRecords = size_t{1} << 17;

struct ThreadBuffer {
  std::mutex mutex;  // contended only by `start` and `stop`
  std::vector<Event> events;
  size_t records = 0;
  size_t dropped = 0;
  int id = 0;
};

struct Registry {
  std::mutex mutex;
  std::vector<std::shared_ptr<ThreadBuffer>> threads;
  std::string path;
  uint64_t start = 0;
};

// Never destroyed: threads may outlive static objects.
Registry& registry() {
  static auto* const r = new Registry;
  return *r;
}

ThreadBuffer& buffer() {
  thread_local std::shared_ptr<ThreadBuffer> mine;
  if (!mine) {
    mine = std::make_shared<ThreadBuffer>();
    Registry& r = registry();
    const std::lock_guard lock(r.mutex);
    mine->id = static_cast<int>(r.threads.size()) + 1;
    r.threads.push_back(mine);
  }
  return *mine;
}

void add(Event event) {
  ThreadBuffer& b = buffer();
  const std::lock_guard lock(b.mutex);
  // Tested under the lock: `stop` clears it before it takes the events.
  if (!enabled.load(std::memory_order_relaxed)) return;
  const bool record = event.kind == Kind::instant;
  if (b.events.size() >= kMaxEvents || (record && b.records >= kMaxRecords)) {
    ++b.dropped;
    return;
  }
  if (record) ++b.records;
  b.events.push_back(std::move(event));
}

std::string quoted(std::string_view text) {
  JsonWriter w;
  w.value(text);
  return w.text();
}

double microseconds(uint64_t at, uint64_t start) { return at < start ? 0.0 : static_cast<double>(at - start) / 1000.0; }

void write_event(std::string& out, const Event& e, int thread, uint64_t start) {
  const auto to = std::back_inserter(out);
  const double at = microseconds(e.begin, start);
  switch (e.kind) {
    case Kind::span:
      fmt::format_to(to, R"({{"ph":"X","pid":1,"tid":{},"ts":{:.3f},"dur":{:.3f},"cat":{},"name":{},"args":{{{}}}}})", thread, at,
                     static_cast<double>(e.duration) / 1000.0, quoted(e.category), quoted(e.name), e.args);
      break;
    case Kind::instant:
      fmt::format_to(to, R"({{"ph":"i","s":"t","pid":1,"tid":{},"ts":{:.3f},"cat":"record","name":{}}})", thread, at, quoted(e.op));
      break;
    case Kind::counter:
      fmt::format_to(to, R"({{"ph":"C","pid":1,"tid":{},"ts":{:.3f},"name":{},"args":{{"value":{}}}}})", thread, at, quoted(e.name),
                     e.value);
      break;
  }
}

void write_trace(const std::string& path, uint64_t start, const std::vector<std::shared_ptr<ThreadBuffer>>& threads) {
  AtomicFile file(path);
  std::string out = R"({"displayTimeUnit":"ns","traceEvents":[{"ph":"M","pid":1,"name":"process_name","args":{"name":"lazuli"}})";
  size_t dropped = 0;
  for (const auto& thread : threads) {
    std::vector<Event> events;
    {
      const std::lock_guard lock(thread->mutex);
      events.swap(thread->events);
      dropped += std::exchange(thread->dropped, 0);
      thread->records = 0;
    }
    for (const Event& e : events) {
      out += ",\n";
      write_event(out, e, thread->id, start);
      if (out.size() > (size_t{1} << 16)) {
        file.write(out);
        out.clear();
      }
    }
  }
  out += fmt::format("],\n\"otherData\":{{\"dropped_events\":{}}}}}\n", dropped);
  file.write(out);
  file.commit();
}

}  // namespace

void start(std::string path) {
  Registry& r = registry();
  const std::lock_guard lock(r.mutex);
  if (!r.path.empty()) throw ValueError(fmt::format("trace: already collecting for {}", r.path));
  if (path.empty()) throw ValueError("trace: the name of a file expected");
  r.path = std::move(path);
  r.start = now();
  for (const auto& thread : r.threads) {
    const std::lock_guard thread_lock(thread->mutex);
    thread->events.clear();
    thread->records = thread->dropped = 0;
  }
  enabled.store(true, std::memory_order_relaxed);
}

void stop() {
  Registry& r = registry();
  const std::lock_guard lock(r.mutex);
  if (r.path.empty()) return;
  enabled.store(false, std::memory_order_relaxed);
  const std::string path = std::exchange(r.path, {});
  write_trace(path, r.start, r.threads);
}

uint64_t now() {
  return static_cast<uint64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch()).count());
}

void span(std::string_view category, std::string_view name, uint64_t begin, std::string args) {
  if (!enabled.load(std::memory_order_relaxed)) return;
  const uint64_t end = now();
  add({begin, end - begin, 0, std::string(category), std::string(name), std::move(args), {}, Kind::span});
}

void counter(std::string_view name, double value) {
  if (!enabled.load(std::memory_order_relaxed)) return;
  add({now(), 0, value, {}, std::string(name), {}, {}, Kind::counter});
}

void record_event(std::string_view op) { add({now(), 0, 0, {}, {}, {}, op, Kind::instant}); }

}  // namespace lazuli::trace
