// Enough of CUDA C++ for a C++17 compiler to build this crate's kernels and run them on the CPU, so that their arithmetic, indices, barriers and bounds are
// tested on machines without a GPU. The threads of a block are fibers, which run in an order of their own until they meet a barrier; blocks run one after
// another. Speed, memory spaces and the instructions themselves are not emulated.
#pragma once
#define CUDA_ON_CPU 1

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <numeric>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include <ucontext.h>
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif

#define __global__
#define __device__
#define __host__
#define __constant__ static
// Blocks run one after another, all their threads on one thread of the system.
#define __shared__ static
#define __forceinline__ inline
#define __noinline__ __attribute__((noinline))
#define __restrict__ __restrict
#define __launch_bounds__(...)
#define __align__(n) alignas(n)

struct uint3 { unsigned x, y, z; };
struct dim3 { unsigned x = 1, y = 1, z = 1; };
#define VECTOR_TYPES(T, name) \
    struct alignas(2 * sizeof(T)) name##2 { T x, y; }; \
    struct name##3 { T x, y, z; }; \
    struct alignas(16) name##4 { T x, y, z, w; }; \
    inline name##2 make_##name##2(T x, T y) { return {x, y}; } \
    inline name##4 make_##name##4(T x, T y, T z, T w) { return {x, y, z, w}; }
VECTOR_TYPES(float, float)
VECTOR_TYPES(int, int)
#undef VECTOR_TYPES
struct alignas(8) uint2 { unsigned x, y; };
struct alignas(16) uint4 { unsigned x, y, z, w; };
inline uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }
inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }

namespace emulation {

[[noreturn]] inline void fail(const std::string& what) {
    std::fprintf(stderr, "%s\n", what.c_str());
    std::fflush(stderr);
    std::_Exit(3);
}

enum class State { Ready, AtWarp, AtBlock, Done };

// A copy that cp.async began and that nobody may rely on before it was waited for. It is done then, or at once if the seed has it so.
struct Copy { void* to; const void* from; size_t bytes, zeros; };

constexpr size_t STACK = 256 * 1024;
constexpr unsigned WARP = 32;

struct Thread {
    uint3 index;
    unsigned lane, number;
    State state;
    unsigned exchanges;
    std::vector<std::vector<Copy>> groups;
    std::vector<Copy> open;
    ucontext_t context;
    void* stack = nullptr;
    void* fake_stack = nullptr;
};

// Two sets of slots by turns, so that one barrier an exchange is enough.
struct Slots { unsigned char bytes[2][WARP][64]; };

struct Block {
    dim3 grid, block;
    uint3 index;
    std::vector<Thread> threads;
    std::vector<Slots> slots;
    unsigned char* shared = nullptr;
    size_t shared_bytes = 0;
    std::function<void()> kernel;
    ucontext_t scheduler;
    void* scheduler_stack = nullptr;
    size_t scheduler_size = 0;
    void* scheduler_fake = nullptr;
};

inline Block block;
inline Thread* current;
inline uint64_t random_state = 1;

inline uint64_t random_number() {
    random_state = random_state * 6364136223846793005ull + 1442695040888963407ull;
    return random_state >> 33;
}

// Seed 0 keeps every order as it is.
inline void shuffle(std::vector<unsigned>& order) {
    if (random_state == 0) return;
    for (size_t i = order.size(); i > 1; i--) std::swap(order[i - 1], order[random_number() % i]);
}

inline void to_scheduler(bool last) {
    Thread* self = current;
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_start_switch_fiber(last ? nullptr : &self->fake_stack, block.scheduler_stack, block.scheduler_size);
#endif
    swapcontext(&self->context, &block.scheduler);
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(self->fake_stack, nullptr, nullptr);
#endif
}

inline void thread_main() {
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(nullptr, const_cast<const void**>(&block.scheduler_stack), &block.scheduler_size);
#endif
    block.kernel();
    bool waited = current->open.empty();
    for (auto& group : current->groups) waited &= group.empty();
    if (!waited) fail("a thread ended before its asynchronous copies were waited for");
    current->state = State::Done;
    to_scheduler(true);
}

inline void resume(Thread& thread) {
    current = &thread;
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_start_switch_fiber(&block.scheduler_fake, thread.stack, STACK);
#endif
    swapcontext(&block.scheduler, &thread.context);
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(block.scheduler_fake, nullptr, nullptr);
#endif
}

inline void wait(State at) {
    current->state = at;
    to_scheduler(false);
}

// Runs a warp until all its threads wait for the block or are done.
inline void run_warp(unsigned first, unsigned end) {
    for (;;) {
        std::vector<unsigned> order(end - first);
        std::iota(order.begin(), order.end(), first);
        shuffle(order);
        for (unsigned i : order)
            if (block.threads[i].state == State::Ready) resume(block.threads[i]);
        size_t at_warp = 0, count = end - first;
        for (unsigned i = first; i < end; i++) at_warp += block.threads[i].state == State::AtWarp;
        if (at_warp == 0) return;
        if (at_warp != count) fail("some threads of a warp wait for each other, the rest do not come");
        for (unsigned i = first; i < end; i++) block.threads[i].state = State::Ready;
    }
}

inline void run_block(uint3 index) {
    block.index = index;
    unsigned count = block.block.x * block.block.y * block.block.z;
    // A block's shared memory is its own piece of the heap, so that the address sanitizer sees its bounds, and is full of NaN.
    void* memory = nullptr;
    if (posix_memalign(&memory, 128, std::max<size_t>(block.shared_bytes, 1)) != 0) fail("no memory");
    block.shared = static_cast<unsigned char*>(memory);
    std::memset(block.shared, 0xFF, block.shared_bytes);
    if (block.threads.size() < count) block.threads.resize(count);
    block.slots.resize((count + WARP - 1) / WARP);
    for (unsigned i = 0; i < count; i++) {
        Thread& t = block.threads[i];
        t.index = {i % block.block.x, i / block.block.x % block.block.y, i / block.block.x / block.block.y};
        t.number = i;
        t.lane = i % WARP;
        t.state = State::Ready;
        t.exchanges = 0;
        t.groups.clear();
        t.open.clear();
        if (t.stack == nullptr) t.stack = std::malloc(STACK);
        getcontext(&t.context);
        t.context.uc_stack.ss_sp = t.stack;
        t.context.uc_stack.ss_size = STACK;
        t.context.uc_link = nullptr;
        makecontext(&t.context, thread_main, 0);
    }
    std::vector<unsigned> warps(block.slots.size());
    std::iota(warps.begin(), warps.end(), 0);
    for (;;) {
        shuffle(warps);
        for (unsigned w : warps) run_warp(w * WARP, std::min(count, (w + 1) * WARP));
        size_t done = 0;
        for (unsigned i = 0; i < count; i++) done += block.threads[i].state == State::Done;
        if (done == count) break;
        if (done != 0) fail("some threads of a block wait at a barrier, others have ended");
        for (unsigned i = 0; i < count; i++) block.threads[i].state = State::Ready;
    }
    std::free(block.shared);
}

inline void launch(dim3 grid, dim3 threads, size_t shared_bytes, std::function<void()> kernel) {
    unsigned count = threads.x * threads.y * threads.z;
    if (count == 0 || count > 1024 || threads.z > 64) fail("a block of " + std::to_string(count) + " threads cannot be launched");
    if (grid.x == 0 || grid.y == 0 || grid.z == 0 || grid.x > 2147483647u || grid.y > 65535 || grid.z > 65535) fail("this grid cannot be launched");
    if (shared_bytes > 227 * 1024) fail("no device has " + std::to_string(shared_bytes) + " bytes of shared memory for a block");
    block.grid = grid;
    block.block = threads;
    block.shared_bytes = shared_bytes;
    block.kernel = std::move(kernel);
    std::vector<unsigned> order(size_t(grid.x) * grid.y * grid.z);
    std::iota(order.begin(), order.end(), 0);
    shuffle(order);
    for (unsigned i : order) run_block({i % grid.x, i / grid.x % grid.y, i / grid.x / grid.y});
}

// Gives every lane of the warp the values of all 32.
template <typename T>
const T& of_lane(const unsigned char (&set)[WARP][64], unsigned lane) {
    return *reinterpret_cast<const T*>(set[lane]);
}

template <typename T>
const unsigned char (&exchange(const T& value))[WARP][64] {
    static_assert(sizeof(T) <= 64 && std::is_trivially_copyable_v<T>);
    unsigned turn = current->exchanges++ & 1;
    Slots& slots = block.slots[current->number / WARP];
    std::memcpy(slots.bytes[turn][current->lane], &value, sizeof(T));
    wait(State::AtWarp);
    return slots.bytes[turn];
}

inline void full(unsigned mask) {
    if (mask != 0xFFFFFFFFu) fail("the emulation knows warp operations of all 32 lanes only");
}

} // namespace emulation

#define threadIdx (emulation::current->index)
#define blockIdx (emulation::block.index)
#define blockDim (emulation::block.block)
#define gridDim (emulation::block.grid)
constexpr int warpSize = 32;

// Dynamic shared memory; cuda/common.cuh has the other form.
#define DYNAMIC_SHARED(type, name) type* name = reinterpret_cast<type*>(emulation::block.shared)

inline void __syncthreads() { emulation::wait(emulation::State::AtBlock); }
inline void __syncwarp(unsigned mask = 0xFFFFFFFFu) {
    emulation::full(mask);
    emulation::wait(emulation::State::AtWarp);
}

template <typename T>
T shuffled(T value, unsigned from) {
    auto& all = emulation::exchange(value);
    return from < 32 ? emulation::of_lane<T>(all, from) : value;
}
template <typename T>
T __shfl_sync(unsigned mask, T value, int lane, int width = 32) {
    emulation::full(mask);
    unsigned self = emulation::current->lane;
    return shuffled(value, self / width * width + unsigned(lane) % width);
}
template <typename T>
T __shfl_xor_sync(unsigned mask, T value, int other, int width = 32) {
    emulation::full(mask);
    unsigned self = emulation::current->lane, from = self ^ unsigned(other);
    return shuffled(value, from / width > self / width ? self : from);
}
template <typename T>
T __shfl_down_sync(unsigned mask, T value, unsigned by, int width = 32) {
    emulation::full(mask);
    unsigned self = emulation::current->lane;
    return shuffled(value, self % width + by < unsigned(width) ? self + by : self);
}
template <typename T>
T __shfl_up_sync(unsigned mask, T value, unsigned by, int width = 32) {
    emulation::full(mask);
    unsigned self = emulation::current->lane;
    return shuffled(value, self % width >= by ? self - by : self);
}

template <typename T>
T __ldg(const T* at) { return *at; }
template <typename T>
T __ldcs(const T* at) { return *at; }
template <typename T>
void __stcs(T* at, T value) { *at = value; }
template <typename A, typename B, typename = std::enable_if_t<std::is_arithmetic_v<A> && std::is_arithmetic_v<B>>>
std::common_type_t<A, B> min(A a, B b) { return a < b ? a : b; }
template <typename A, typename B, typename = std::enable_if_t<std::is_arithmetic_v<A> && std::is_arithmetic_v<B>>>
std::common_type_t<A, B> max(A a, B b) { return a > b ? a : b; }

inline unsigned __float_as_uint(float x) { unsigned u; std::memcpy(&u, &x, 4); return u; }
inline float __uint_as_float(unsigned u) { float x; std::memcpy(&x, &u, 4); return x; }
inline int __float_as_int(float x) { return int(__float_as_uint(x)); }
inline float __int_as_float(int i) { return __uint_as_float(unsigned(i)); }
inline float __expf(float x) { return std::exp(x); }
inline float __logf(float x) { return std::log(x); }
inline float __powf(float x, float y) { return std::pow(x, y); }
inline float __fdividef(float x, float y) { return x / y; }
inline float __frcp_rn(float x) { return 1.f / x; }
inline float __fmaf_rn(float a, float b, float c) { return std::fma(a, b, c); }
inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fadd_rn(float a, float b) { return a + b; }
inline float rsqrtf(float x) { return 1.f / std::sqrt(x); }
inline double rsqrt(double x) { return 1. / std::sqrt(x); }

// bfloat16, rounded to the nearest, ties to even.
struct __nv_bfloat16 { uint16_t bits; };
struct alignas(4) __nv_bfloat162 { __nv_bfloat16 x, y; };
inline __nv_bfloat16 __float2bfloat16_rn(float x) {
    unsigned u = __float_as_uint(x);
    if (std::isnan(x)) return {0x7FFF};
    return {uint16_t((u + 0x7FFF + (u >> 16 & 1)) >> 16)};
}
inline __nv_bfloat16 __float2bfloat16(float x) { return __float2bfloat16_rn(x); }
inline float __bfloat162float(__nv_bfloat16 x) { return __uint_as_float(unsigned(x.bits) << 16); }
inline __nv_bfloat162 __floats2bfloat162_rn(float x, float y) { return {__float2bfloat16_rn(x), __float2bfloat16_rn(y)}; }
inline float2 __bfloat1622float2(__nv_bfloat162 v) { return {__bfloat162float(v.x), __bfloat162float(v.y)}; }
inline float __low2float(__nv_bfloat162 v) { return __bfloat162float(v.x); }
inline float __high2float(__nv_bfloat162 v) { return __bfloat162float(v.y); }
typedef __nv_bfloat16 nv_bfloat16;
typedef __nv_bfloat162 nv_bfloat162;

namespace emulation {

// The tensor-core instructions of cuda/mma.cuh, after the tables of "Matrix fragments" in the PTX ISA. Rows of a lane: lane/4 and 8 more; its first column (or
// depth): 2·(lane mod 4), or lane mod 4 for TF32.
struct Fragments { unsigned a[4], b[2]; };

// Of the emulation itself only indices that are right by construction: not sanitized, since most of the time goes here.
#define UNCHECKED __attribute__((no_sanitize("address", "undefined")))

// mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32
UNCHECKED inline void mma_bf16(float (&sums)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
    auto& all = exchange(Fragments{{a[0], a[1], a[2], a[3]}, {b[0], b[1]}});
    for (unsigned i = 0; i < 4; i++) {
        float sum = 0;
        for (unsigned k = 0; k < 8; k++) {
            auto left = reinterpret_cast<const Fragments*>(all[current->lane / 4 * 4 + k % 4]);
            auto right = reinterpret_cast<const Fragments*>(all[(current->lane % 4 * 2 + i % 2) * 4 + k % 4]);
            unsigned pairs[4] = {left->a[i / 2 + k / 4 * 2] << 16, right->b[k / 4] << 16, left->a[i / 2 + k / 4 * 2] & 0xFFFF0000u, right->b[k / 4] & 0xFFFF0000u};
            float values[4];
            std::memcpy(values, pairs, sizeof(values));
            sum += values[0] * values[1] + values[2] * values[3];
        }
        sums[i] += sum;
    }
}

// mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32, which reads 10 bits of each fraction.
UNCHECKED inline void mma_tf32(float (&sums)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
    auto& all = exchange(Fragments{{a[0], a[1], a[2], a[3]}, {b[0], b[1]}});
    for (unsigned i = 0; i < 4; i++) {
        float sum = 0;
        for (unsigned k = 0; k < 8; k++) {
            auto left = reinterpret_cast<const Fragments*>(all[current->lane / 4 * 4 + k % 4]);
            auto right = reinterpret_cast<const Fragments*>(all[(current->lane % 4 * 2 + i % 2) * 4 + k % 4]);
            unsigned bits[2] = {left->a[i / 2 + k / 4 * 2] & 0xFFFFE000u, right->b[k / 4] & 0xFFFFE000u};
            float values[2];
            std::memcpy(values, bits, sizeof(values));
            sum += values[0] * values[1];
        }
        sums[i] += sum;
    }
}

// ldmatrix.sync.aligned.m8n8.x4(.trans).shared.b16: lane l names row l mod 8 of matrix l/8.
inline void ldmatrix4(unsigned (&out)[4], const void* row, bool transposed) {
    if (reinterpret_cast<uintptr_t>(row) % 16 != 0) fail("a row for ldmatrix is not aligned to 16 bytes");
    auto& all = exchange(row);
    unsigned lane = current->lane;
    for (unsigned m = 0; m < 4; m++) {
        auto element = [&](unsigned r, unsigned c) { return unsigned(of_lane<const uint16_t*>(all, m * 8 + r)[c]); };
        unsigned r = lane / 4, c = lane % 4 * 2;
        out[m] = transposed ? element(c, r) | element(c + 1, r) << 16 : element(r, c) | element(r, c + 1) << 16;
    }
    // Nobody writes the rows before all have read them, as on the device, where it is one instruction.
    wait(State::AtWarp);
}

// cvt.rna.tf32.f32
inline unsigned to_tf32(float x) {
    unsigned u = __float_as_uint(x);
    return std::isfinite(x) ? (u + 0x1000u) & 0xFFFFE000u : u;
}

// tanh.approx.f32, whose relative error is up to 2⁻¹¹: an error of that size by rounding to 10 bits.
inline float tanh_approx(float x) {
    float t = std::tanh(x);
    return std::isnan(t) ? t : __uint_as_float((__float_as_uint(t) + 0x1000u) & 0xFFFFE000u);
}

// cp.async.cg.shared.global of 16 bytes, of which `bytes` are read and the rest are zeros.
inline void do_copy(const Copy& c) {
    std::memcpy(c.to, c.from, c.bytes);
    std::memset(static_cast<char*>(c.to) + c.bytes, 0, c.zeros);
}
inline void copy_async(void* to, const void* from, unsigned bytes) {
    if (reinterpret_cast<uintptr_t>(to) % 16 != 0 || reinterpret_cast<uintptr_t>(from) % 16 != 0) fail("cp.async of 16 bytes is not aligned to them");
    if (bytes > 16) fail("cp.async copies 16 bytes");
    Copy copy{to, from, bytes, 16 - bytes};
    if (random_state != 0 && random_number() % 2 == 0) return do_copy(copy);
    current->open.push_back(copy);
}
inline void copies_commit() {
    current->groups.push_back(std::move(current->open));
    current->open.clear();
}
inline void copies_wait(unsigned left) {
    while (current->groups.size() > left) {
        for (const Copy& c : current->groups.front()) do_copy(c);
        current->groups.erase(current->groups.begin());
    }
}

// What an argument of a launch is: a place in a buffer, eight bytes, or null.
struct Argument { uint64_t kind, first, second; };

struct Buffers {
    std::vector<unsigned char*> at;
    std::vector<uint64_t> bytes;
};

template <typename T>
T as(const Argument& a, const Buffers& buffers, const std::string& kernel) {
    if constexpr (std::is_pointer_v<T>) {
        if (a.kind == 2) return nullptr;
        if (a.kind != 0 || a.first >= buffers.at.size() || a.second > buffers.bytes[a.first]) fail(kernel + ": a buffer is needed for a pointer");
        return reinterpret_cast<T>(buffers.at[a.first] + a.second);
    } else {
        if (a.kind != 1) fail(kernel + ": a value is needed, not a buffer");
        T value;
        std::memcpy(&value, &a.first, sizeof(T));
        return value;
    }
}

using Caller = std::function<void(const std::vector<Argument>&, const Buffers&, dim3, dim3, size_t)>;

template <typename... P, size_t... I>
Caller caller(const char* name, void (*kernel)(P...), std::index_sequence<I...>) {
    return [=](const std::vector<Argument>& arguments, const Buffers& buffers, dim3 grid, dim3 threads, size_t shared) {
        if (arguments.size() != sizeof...(P)) fail(std::string(name) + ": " + std::to_string(sizeof...(P)) + " arguments are needed");
        std::tuple<P...> values{as<P>(arguments[I], buffers, name)...};
        launch(grid, threads, shared, [=] { std::apply(kernel, values); });
    };
}
template <typename... P>
std::pair<std::string, Caller> named(const char* name, void (*kernel)(P...)) {
    return {name, caller(name, kernel, std::index_sequence_for<P...>{})};
}
#define KERNEL(f) emulation::named(#f, f)

inline void read(void* to, size_t bytes) {
    if (std::fread(to, 1, bytes, stdin) != bytes) fail("the launches end too soon");
}
inline uint64_t read_number() {
    uint64_t n;
    read(&n, 8);
    return n;
}

// Reads buffers and launches, runs them, writes the buffers. All numbers are of 64 bits, in this order: seed of the orders (0: none is shuffled); buffers, each
// with its size and bytes; launches, each with the length of its kernel's name, the name, grid, block, shared bytes, arguments.
inline int run(const std::vector<std::pair<std::string, Caller>>& kernels) {
    random_state = read_number();
    Buffers buffers;
    for (uint64_t n = read_number(); n > 0; n--) {
        uint64_t bytes = read_number();
        void* at = nullptr;
        if (posix_memalign(&at, 256, std::max<uint64_t>(bytes, 1)) != 0) fail("no memory");
        read(at, bytes);
        buffers.at.push_back(static_cast<unsigned char*>(at));
        buffers.bytes.push_back(bytes);
    }
    for (uint64_t n = read_number(); n > 0; n--) {
        std::string name(read_number(), ' ');
        read(name.data(), name.size());
        unsigned size[6];
        for (unsigned& s : size) s = unsigned(read_number());
        size_t shared = read_number();
        std::vector<Argument> arguments(read_number());
        for (Argument& a : arguments) {
            a.kind = read_number();
            a.first = read_number();
            a.second = read_number();
        }
        auto kernel = std::find_if(kernels.begin(), kernels.end(), [&](auto& k) { return k.first == name; });
        if (kernel == kernels.end()) fail("no kernel " + name);
        kernel->second(arguments, buffers, {size[0], size[1], size[2]}, {size[3], size[4], size[5]}, shared);
    }
    for (size_t i = 0; i < buffers.at.size(); i++) {
        if (std::fwrite(buffers.at[i], 1, buffers.bytes[i], stdout) != buffers.bytes[i]) fail("the buffers cannot be written");
        std::free(buffers.at[i]);
    }
    for (Thread& t : block.threads) std::free(t.stack);
    return 0;
}

} // namespace emulation
