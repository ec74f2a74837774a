// Runs work on torch's own threads.
#pragma once
#include <string>

namespace lamina {

// Look for the OpenMP runtime that the library at `path` (torch's, already loaded) was linked with.
// Returns whether there is one; until then, and without one, every team has one member.
//
// A runtime of our own would fight torch's, whose threads keep spinning after each of their regions.
bool join_team(const std::string& path);

using Work = void (*)(void* data, int member, int members);

// Call work(data, member, members) on each of at most `threads` threads and wait for all of them. After a
// fork the child has none of the parent's threads, so there the team has one member.
void run_team(int threads, Work work, void* data);

template <class F>
void run_team(int threads, F work) {
  run_team(
      threads, [](void* data, int member, int members) { (*static_cast<F*>(data))(member, members); }, &work);
}

}  // namespace lamina
