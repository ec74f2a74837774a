// A state for each key, the least recently used forgotten when there are too many.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "network.h"

namespace lamina {
namespace streaming {

// Memory is taken in chunks as keys come and given back only with the whole table, so a step of a known key
// allocates nothing. It stays below bound_bytes().
class KeyedStates {
 public:
  static constexpr Size kLongestKey = 256;  // bytes

  KeyedStates(Size state_bytes, Size most_keys);
  KeyedStates(const KeyedStates&) = delete;
  KeyedStates& operator=(const KeyedStates&) = delete;

  // The state of a key, made of zeros where the key is new, and marked as the most recently used.
  // `number` is where it lies; a state is moved by nothing but being forgotten.
  char* touch(std::string_view key, Size* number);
  const char* find(std::string_view key) const;  // null where unknown; leaves the order of use alone
  bool forget(std::string_view key);
  void clear();
  // Every key with its state, the least recently used first.
  template <class F>
  void each(F&& visit) const {
    for (std::uint32_t at = oldest_; at != kNone; at = entries_[at].newer) visit(entries_[at].key, state(at));
  }

  Size size() const { return size_; }
  Size most_keys() const { return most_keys_; }
  Size state_bytes() const { return state_bytes_; }
  Size evicted() const { return evicted_; }  // keys that made room for others so far
  const std::string& last_evicted() const { return last_evicted_; }
  Size bytes() const;        // held now
  Size bound_bytes() const;  // never exceeded

 private:
  static constexpr std::uint32_t kNone = 0xffffffffu;
  static constexpr Size kChunk = 64;  // states that are allocated together
  struct Entry {
    std::size_t hash = 0;
    std::uint32_t newer = kNone, older = kNone;
    std::string key;
  };
  struct Free {
    void operator()(char* chunk) const;
  };

  char* state(std::uint32_t at) const { return chunks_[at / kChunk].get() + at % kChunk * state_bytes_; }
  std::size_t place(std::size_t hash, std::string_view key) const;  // of the key in index_, or where it would go
  std::uint32_t take_slot();
  void unlink(std::uint32_t at);
  void link_newest(std::uint32_t at);
  void remove_from_index(std::uint32_t at);
  void grow_index();

  Size state_bytes_, most_keys_, size_ = 0, evicted_ = 0;
  std::string last_evicted_;
  std::uint32_t oldest_ = kNone, newest_ = kNone;
  std::vector<std::unique_ptr<char, Free>> chunks_;
  std::vector<Entry> entries_;
  std::vector<std::uint32_t> free_;   // slots of forgotten keys
  std::vector<std::uint32_t> index_;  // open addressing; a power of two, at most half full
};

}  // namespace streaming
}  // namespace lamina
