#include "plan/draft.h"

#include <algorithm>

namespace lazuli {

int32_t DraftMemory::add(const Storage& storage) {
  const int32_t number = count();
  storages_.push_back(storage);
  parent_.push_back(number);
  return number;
}

int32_t DraftMemory::add(int64_t bytes) {
  Storage s;
  s.bytes = bytes;
  return add(s);
}

void DraftMemory::merge(int32_t from, int32_t into) {
  from = root(from);
  into = root(into);
  if (from == into) return;
  Storage& a = storages_[static_cast<size_t>(into)];
  const Storage& b = storages_[static_cast<size_t>(from)];
  a.last_use = std::max(a.last_use, b.last_use);
  a.donor = a.donor >= 0 ? a.donor : b.donor;
  parent_[static_cast<size_t>(from)] = into;
}

bool DraftMemory::takes_workspace(int32_t s) const {
  const Storage& storage = storages_[static_cast<size_t>(s)];
  return root(s) == s && storage.kind == Storage::Kind::workspace && storage.last_wave >= 0;
}

}  // namespace lazuli
