#include "keys.h"

#include <algorithm>
#include <cstring>
#include <functional>
#include <new>

namespace lamina {
namespace streaming {

namespace {

constexpr std::size_t kFirstIndex = 64;

Size index_size(Size keys) {
  Size size = static_cast<Size>(kFirstIndex);
  while (size < 2 * keys) size *= 2;
  return size;
}

}  // namespace

void KeyedStates::Free::operator()(char* chunk) const { ::operator delete(chunk, std::align_val_t(kStateAlign)); }

KeyedStates::KeyedStates(Size state_bytes, Size most_keys)
    : state_bytes_(state_bytes), most_keys_(most_keys), index_(kFirstIndex, kNone) {}

std::size_t KeyedStates::place(std::size_t hash, std::string_view key) const {
  const std::size_t mask = index_.size() - 1;
  std::size_t at = hash & mask;
  while (index_[at] != kNone && !(entries_[index_[at]].hash == hash && entries_[index_[at]].key == key)) at = (at + 1) & mask;
  return at;
}

char* KeyedStates::touch(std::string_view key, Size* number) {
  const std::size_t hash = std::hash<std::string_view>{}(key);
  std::size_t at = place(hash, key);
  std::uint32_t slot = index_[at];
  if (slot != kNone) {
    if (slot != newest_) {
      unlink(slot);
      link_newest(slot);
    }
  } else {
    slot = take_slot();
    Entry& entry = entries_[slot];
    entry.hash = hash;
    entry.key.assign(key);
    at = place(hash, key);  // the index may have grown, or lost the key that made room
    index_[at] = slot;
    link_newest(slot);
    ++size_;
    std::memset(state(slot), 0, static_cast<std::size_t>(state_bytes_));
  }
  *number = slot;
  return state(slot);
}

const char* KeyedStates::find(std::string_view key) const {
  const std::uint32_t slot = index_[place(std::hash<std::string_view>{}(key), key)];
  return slot == kNone ? nullptr : state(slot);
}

// A slot for one more key; the least recently used key gives its own where the table is full.
std::uint32_t KeyedStates::take_slot() {
  if (size_ == most_keys_) {
    const std::uint32_t slot = oldest_;
    remove_from_index(slot);
    unlink(slot);
    --size_;
    ++evicted_;
    last_evicted_.swap(entries_[slot].key);
    return slot;
  }
  if (static_cast<std::size_t>(2 * (size_ + 1)) > index_.size()) grow_index();
  if (!free_.empty()) {
    const std::uint32_t slot = free_.back();
    free_.pop_back();
    return slot;
  }
  const std::size_t slot = entries_.size();
  if (slot % kChunk == 0) {
    const std::size_t bytes = static_cast<std::size_t>(kChunk * state_bytes_);
    chunks_.emplace_back(static_cast<char*>(::operator new(bytes, std::align_val_t(kStateAlign))));
    // doubling past the bound would take memory for keys that can never come
    if (slot == entries_.capacity())
      entries_.reserve(std::min(std::max<std::size_t>(2 * slot, kChunk), static_cast<std::size_t>(most_keys_ + kChunk)));
  }
  entries_.emplace_back();
  return static_cast<std::uint32_t>(slot);
}

bool KeyedStates::forget(std::string_view key) {
  const std::uint32_t slot = index_[place(std::hash<std::string_view>{}(key), key)];
  if (slot == kNone) return false;
  remove_from_index(slot);
  unlink(slot);
  --size_;
  free_.push_back(slot);
  return true;
}

void KeyedStates::clear() {
  // new vectors, since clear() would keep the memory
  chunks_ = decltype(chunks_)();
  entries_ = decltype(entries_)();
  free_ = decltype(free_)();
  index_ = std::vector<std::uint32_t>(kFirstIndex, kNone);
  oldest_ = newest_ = kNone;
  size_ = 0;
}

void KeyedStates::unlink(std::uint32_t at) {
  const Entry& entry = entries_[at];
  (entry.newer == kNone ? newest_ : entries_[entry.newer].older) = entry.older;
  (entry.older == kNone ? oldest_ : entries_[entry.older].newer) = entry.newer;
}

void KeyedStates::link_newest(std::uint32_t at) {
  entries_[at].newer = kNone;
  entries_[at].older = newest_;
  (newest_ == kNone ? oldest_ : entries_[newest_].newer) = at;
  newest_ = at;
}

// Closes the hole, so that no key behind it is lost to its search.
void KeyedStates::remove_from_index(std::uint32_t slot) {
  const std::size_t mask = index_.size() - 1;
  std::size_t hole = place(entries_[slot].hash, entries_[slot].key);
  for (std::size_t at = (hole + 1) & mask; index_[at] != kNone; at = (at + 1) & mask) {
    const std::size_t home = entries_[index_[at]].hash & mask;
    if (((at - home) & mask) >= ((at - hole) & mask)) {
      index_[hole] = index_[at];
      hole = at;
    }
  }
  index_[hole] = kNone;
}

void KeyedStates::grow_index() {
  std::vector<std::uint32_t> old(2 * index_.size(), kNone);
  old.swap(index_);
  const std::size_t mask = index_.size() - 1;
  for (const std::uint32_t slot : old) {
    if (slot == kNone) continue;
    std::size_t at = entries_[slot].hash & mask;
    while (index_[at] != kNone) at = (at + 1) & mask;
    index_[at] = slot;
  }
}

Size KeyedStates::bytes() const {
  Size keys = 0;
  for (const Entry& entry : entries_)
    if (entry.key.capacity() > 15) keys += static_cast<Size>(entry.key.capacity()) + 1;
  return static_cast<Size>(chunks_.size()) * kChunk * state_bytes_ + static_cast<Size>(entries_.capacity() * sizeof(Entry)) +
         static_cast<Size>(free_.capacity() * sizeof(std::uint32_t)) +
         static_cast<Size>(index_.capacity() * sizeof(std::uint32_t)) + keys;
}

Size KeyedStates::bound_bytes() const {
  const Size slots = (most_keys_ + kChunk - 1) / kChunk * kChunk;
  const Size entry = static_cast<Size>(sizeof(Entry)) + 2 * kLongestKey + 1 + 2 * static_cast<Size>(sizeof(std::uint32_t));
  return slots * state_bytes_ + (most_keys_ + kChunk) * entry +
         index_size(most_keys_ + 1) * static_cast<Size>(sizeof(std::uint32_t));
}

}  // namespace streaming
}  // namespace lamina
