// Times how 1 GB of weights gets from a mapped file (already in the page cache) to a CUDA device and back, beside the driver's own copies;
// prints one JSON object of GB/s. Usage: lazuli_cuda_load [FOLDER for the file, default /tmp]
#include <dlfcn.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include "backend/cuda/runtime.h"
#include "io/mapped_file.h"
#include "lazuli/error.h"
#include "tensor/load.h"

namespace {

using lazuli::BufferRef;
using lazuli::Device;
using lazuli::DType;
using lazuli::Tensor;
using lazuli::cuda::Runtime;

constexpr Device kCuda{lazuli::DeviceKind::cuda, 0};
constexpr size_t kBytes = size_t{1} << 30, kWeight = size_t{8} << 20;

/// A file of kBytes that is gone when the program ends.
class File {
 public:
  explicit File(const std::string& folder) : path_(folder + "/lazuli_cuda_load." + std::to_string(getpid())) {
    const int file = open(path_.c_str(), O_CREAT | O_EXCL | O_WRONLY, 0600);
    if (file < 0) throw lazuli::IoError(path_ + ": cannot be written");
    const std::vector<char> part(size_t{1} << 20, 0x3c);
    size_t written = 0;
    while (written < kBytes && write(file, part.data(), part.size()) == static_cast<ssize_t>(part.size())) written += part.size();
    close(file);
    if (written == kBytes) return;
    unlink(path_.c_str());
    throw lazuli::IoError(path_ + ": no room for 1 GB");
  }
  ~File() { unlink(path_.c_str()); }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  BufferRef map() const { return lazuli::map_file(path_); }

 private:
  std::string path_;
};

/// The driver's synchronous copies.
struct Driver {
  int (*to_device)(unsigned long long to, const void* from, size_t bytes);
  int (*to_host)(void* to, unsigned long long from, size_t bytes);

  static Driver load() {
    void* library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
    Driver d{};
    if (library == nullptr) throw lazuli::DeviceError("libcuda.so.1 cannot be opened");
    d.to_device = reinterpret_cast<decltype(d.to_device)>(dlsym(library, "cuMemcpyHtoD_v2"));
    d.to_host = reinterpret_cast<decltype(d.to_host)>(dlsym(library, "cuMemcpyDtoH_v2"));
    if (d.to_device == nullptr || d.to_host == nullptr) throw lazuli::DeviceError("libcuda.so.1 has no copies");
    return d;
  }
};

void require(bool ok, const char* what) {
  if (!ok) throw lazuli::DeviceError(std::string(what) + " failed");
}

/// Times `once`, called again and again with a file mapped anew, so that none of its pages is in the page table.
class Report {
 public:
  explicit Report(const File& file) : file_(file) {}
  void line(const char* name, const std::function<void(const BufferRef&)>& once, bool touched = false) {
    std::vector<double> rates;
    for (int turn = 0; turn < 5; ++turn) {
      const BufferRef map = file_.map();
      if (touched) touch(map);
      const auto begin = std::chrono::steady_clock::now();
      once(map);
      Runtime::of(0).synchronize();
      rates.push_back(static_cast<double>(kBytes) * 1e-9 / std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
    }
    // The first turn makes pinned memory and pools.
    std::sort(rates.begin() + 1, rates.end());
    std::printf("%s  \"%s\": {\"first\": %.2f, \"median\": %.2f, \"most\": %.2f}", first_ ? "{\n" : ",\n", name, rates.front(), rates[3],
                rates.back());
    first_ = false;
  }

 private:
  static void touch(const BufferRef& map) {
    const volatile char* bytes = static_cast<const char*>(map->data());
    for (size_t k = 0; k < kBytes; k += 4096) static_cast<void>(bytes[k]);
  }

  const File& file_;
  bool first_ = true;
};

/// The file as tensors of one size, loaded one after the other.
void load_all(const BufferRef& map, DType stored, DType wanted, size_t bytes_each) {
  const auto count = static_cast<int64_t>(bytes_each / lazuli::size_of(stored));
  for (size_t at = 0; at < kBytes; at += bytes_each) {
    static_cast<void>(lazuli::load_tensor(Tensor(stored, {count}, map, at), wanted, kCuda));
  }
}

void run(const std::string& folder) {
  const File file(folder);
  Runtime& runtime = Runtime::of(0);
  const Tensor there = Tensor::empty(DType::u8, {static_cast<int64_t>(kBytes)}, kCuda);
  const auto address = reinterpret_cast<unsigned long long>(there.raw());
  const Driver driver = Driver::load();
  Report report(file);
  // The bytes 0x3c 0x3c are an ordinary number in every float dtype.
  report.line("driver, pageable, 1 GB at once",
              [&](const BufferRef& m) { require(driver.to_device(address, m->data(), kBytes) == 0, "copy"); });
  report.line(
      "driver, pageable, pages touched before",
      [&](const BufferRef& m) { require(driver.to_device(address, m->data(), kBytes) == 0, "copy"); }, true);
  report.line("upload, 1 GB at once", [&](const BufferRef& m) { runtime.upload(there.raw(), m->data(), kBytes); });
  report.line(
      "upload, pages touched before", [&](const BufferRef& m) { runtime.upload(there.raw(), m->data(), kBytes); }, true);
  report.line("weights of 8 MB, bf16 as stored", [](const BufferRef& m) { load_all(m, DType::bf16, DType::bf16, kWeight); });
  report.line("weights of 1 MB, bf16 as stored", [](const BufferRef& m) { load_all(m, DType::bf16, DType::bf16, kWeight / 8); });
  report.line("weights of 8 MB, f32 to bf16", [](const BufferRef& m) { load_all(m, DType::f32, DType::bf16, kWeight); });
  report.line("weights of 8 MB, f16 to bf16", [](const BufferRef& m) { load_all(m, DType::f16, DType::bf16, kWeight); });
  report.line("weights of 8 MB, bf16 to f32", [](const BufferRef& m) { load_all(m, DType::bf16, DType::f32, kWeight); });
  std::vector<char> host(kBytes, 1);
  report.line("driver, download", [&](const BufferRef&) { require(driver.to_host(host.data(), address, kBytes) == 0, "copy"); });
  report.line("download", [&](const BufferRef&) { runtime.download(host.data(), there.raw(), kBytes); });
  std::printf("\n}\n");
}

}  // namespace

int main(int argc, char** argv) {
  try {
    run(argc > 1 ? argv[1] : "/tmp");
  } catch (const lazuli::Error& error) {
    std::fprintf(stderr, "lazuli_cuda_load: %s\n", error.what());
    return 1;
  }
  return 0;
}
