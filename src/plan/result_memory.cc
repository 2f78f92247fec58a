#include "plan/result_memory.h"

#include "tensor/device_memory.h"

namespace lazuli {

void ResultMemory::start(size_t count) {
  buffers_.clear();
  pointers_.clear();
  if (capacity_ < count) {
    donated_ = std::make_unique<bool[]>(count);
    capacity_ = count;
  }
}

void ResultMemory::add(size_t bytes, Device device, const Tensor* donor) {
  const bool fits = donor != nullptr && same_memory(donor->device(), device) && donor->buffer()->unique() && !donor->buffer()->constant() &&
                    donor->offset_bytes() == 0 && donor->buffer()->bytes() >= bytes;
  donated_[buffers_.size()] = fits;
  buffers_.push_back(fits ? donor->buffer() : allocate_buffer(bytes, on_host(device) ? Device{} : device));
  pointers_.push_back(buffers_.back()->data());
}

}  // namespace lazuli
