#include "team.h"

#include <thread>

#include "problem.h"

#if defined(__linux__)
#include <dlfcn.h>
#include <unistd.h>
#endif

namespace lamina {
namespace {

// The interface that compilers call libgomp by; LLVM's libomp offers it too.
struct Runtime {
  void (*parallel)(void (*)(void*), void*, unsigned threads, unsigned flags) = nullptr;
  int (*member)() = nullptr;
  int (*members)() = nullptr;
  long process = 0;
};
Runtime runtime;

struct Region {
  Work work;
  void* data;
};

void enter(void* region) {
  const auto* r = static_cast<Region*>(region);
  r->work(r->data, runtime.member(), runtime.members());
}

long this_process() {
#if defined(__linux__)
  return getpid();
#else
  return 0;
#endif
}

}  // namespace

bool join_team(const std::string& path) {
#if defined(__linux__)
  // A symbol looked up in a library that is loaded is searched in what that library depends on.
  void* library = dlopen(path.c_str(), RTLD_LAZY | RTLD_NOLOAD);
  if (library == nullptr) return false;
  Runtime found;
  found.parallel = reinterpret_cast<decltype(found.parallel)>(dlsym(library, "GOMP_parallel"));
  found.member = reinterpret_cast<decltype(found.member)>(dlsym(library, "omp_get_thread_num"));
  found.members = reinterpret_cast<decltype(found.members)>(dlsym(library, "omp_get_num_threads"));
  found.process = this_process();
  if (found.parallel == nullptr || found.member == nullptr || found.members == nullptr) return false;
  runtime = found;
  return true;
#else
  (void)path;
  return false;
#endif
}

void run_team(int threads, Work work, void* data) {
  if (threads <= 1 || runtime.parallel == nullptr || runtime.process != this_process()) return work(data, 0, 1);
  Region region{work, data};
  runtime.parallel(enter, &region, static_cast<unsigned>(threads), 0);
}

void Barrier::wait(int members) {
  constexpr int kSpins = 1000;  // about 15 us; then another process probably holds the core we wait for
  const int round = round_.load(std::memory_order_relaxed);
  if (waiting_.fetch_add(1, std::memory_order_acq_rel) == members - 1) {
    waiting_.store(0, std::memory_order_relaxed);
    round_.store(round + 1, std::memory_order_release);
    return;
  }
  for (int spin = 0; round_.load(std::memory_order_acquire) == round; ++spin) {
    if (spin > kSpins) std::this_thread::yield();
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
  }
}

}  // namespace lamina
