// CUDA C++ as plain C++: stands in front of a kernel's source, which g++ or clang++ then compiles for the host.
#pragma once
#include "half.h"
#include "machine.h"
#include <math.h>
#include <cstddef>
#include <limits>
#include <type_traits>
#include <utility>

#define __global__
#define __device__
#define __host__
#define __constant__
#define __grid_constant__
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__ __attribute__((noinline))
#define __align__(n) __attribute__((aligned(n)))
#define __launch_bounds__(...)
#define __shared__ static thread_local
#define __CUDA_ARCH__ 900
#define __CUDACC_VER_MAJOR__ 13

static const int warpSize = 32;

// ---- threads among each other; the line tells one barrier from another

#define __syncthreads() emulator::barrier(__LINE__)
#define __syncwarp(...) emulator::SyncWarp{__LINE__}(__VA_ARGS__)
#define __shfl_sync(...) emulator::shuffle(__LINE__, __VA_ARGS__)
#define __shfl_down_sync(...) emulator::shuffle_down(__LINE__, __VA_ARGS__)
#define __shfl_up_sync(...) emulator::shuffle_up(__LINE__, __VA_ARGS__)
#define __shfl_xor_sync(...) emulator::shuffle_xor(__LINE__, __VA_ARGS__)
#define __ballot_sync(mask, predicate) emulator::ballot("__ballot_sync", __LINE__, mask, predicate)
#define __any_sync(mask, predicate) int(emulator::ballot("__any_sync", __LINE__, mask, predicate) != 0)
#define __all_sync(mask, predicate) int(emulator::ballot("__all_sync", __LINE__, mask, predicate) == (mask))

inline void __threadfence() {}
inline void __threadfence_block() {}
inline void __trap() { __builtin_trap(); }

namespace emulator {

inline int lane() { return (current - threads) & 31; }

struct SyncWarp {
    int line;
    void operator()(unsigned mask = 0xffffffffu) const { exchange("__syncwarp", line, mask, 0, lane()); }
};

inline unsigned ballot(const char* operation, int line, unsigned mask, int predicate) {
    return exchange(operation, line, mask, predicate != 0, lane()).ballot;
}

// A segment of `width` lanes exchanges among itself; a lane whose partner lies outside keeps its own value.
template <typename T>
T give(const char* operation, int line, unsigned mask, T value, int source, bool inside) {
    static_assert(sizeof(T) <= 8, "a shuffle moves at most 8 bytes");
    uint64_t bits = 0;
    std::memcpy(&bits, &value, sizeof(T));
    bits = exchange(operation, line, mask, bits, inside ? source : lane()).got;
    std::memcpy(static_cast<void*>(&value), &bits, sizeof(T));
    return value;
}

template <typename T>
T shuffle(int line, unsigned mask, T value, int source, int width = 32) {
    return give("__shfl_sync", line, mask, value, lane() / width * width + (source & (width - 1)), true);
}
template <typename T>
T shuffle_down(int line, unsigned mask, T value, unsigned delta, int width = 32) {
    return give("__shfl_down_sync", line, mask, value, lane() + delta, lane() % width + delta < unsigned(width));
}
template <typename T>
T shuffle_up(int line, unsigned mask, T value, unsigned delta, int width = 32) {
    return give("__shfl_up_sync", line, mask, value, lane() - delta, unsigned(lane() % width) >= delta);
}
template <typename T>
T shuffle_xor(int line, unsigned mask, T value, int bits, int width = 32) {
    int source = lane() ^ bits;
    return give("__shfl_xor_sync", line, mask, value, source, source / width <= lane() / width);
}

template <typename T, typename F>
T update(T* address, F change) {
    T old = *address;
    *address = change(old);
    return old;
}

}  // namespace emulator

// ---- atomics: one thread runs at a time

typedef unsigned long long emulator_u64;
#define EMULATOR_ATOMIC(name, T, expression) \
    inline T name(T* address, T value) { return emulator::update(address, [=](T old) -> T { return expression; }); }
#define EMULATOR_ATOMIC_INTEGERS(name, expression)  \
    EMULATOR_ATOMIC(name, int, expression)          \
    EMULATOR_ATOMIC(name, unsigned, expression)     \
    EMULATOR_ATOMIC(name, long long, expression)    \
    EMULATOR_ATOMIC(name, emulator_u64, expression)
#define EMULATOR_ATOMIC_FLOATS(name, expression) \
    EMULATOR_ATOMIC(name, float, expression)     \
    EMULATOR_ATOMIC(name, double, expression)
EMULATOR_ATOMIC_INTEGERS(atomicAdd, old + value)
EMULATOR_ATOMIC_FLOATS(atomicAdd, old + value)
EMULATOR_ATOMIC(atomicAdd, __half, old + value)
EMULATOR_ATOMIC(atomicAdd, float16, float16(old + value))
EMULATOR_ATOMIC(atomicSub, int, old - value)
EMULATOR_ATOMIC(atomicSub, unsigned, old - value)
EMULATOR_ATOMIC_INTEGERS(atomicMax, old > value ? old : value)
EMULATOR_ATOMIC_INTEGERS(atomicMin, old < value ? old : value)
EMULATOR_ATOMIC_FLOATS(atomicMax, fmax(old, value))  // these two are CuPy's
EMULATOR_ATOMIC_FLOATS(atomicMin, fmin(old, value))
EMULATOR_ATOMIC_INTEGERS(atomicOr, old | value)
EMULATOR_ATOMIC_INTEGERS(atomicAnd, old & value)
EMULATOR_ATOMIC_INTEGERS(atomicXor, old ^ value)
EMULATOR_ATOMIC_INTEGERS(atomicExch, (void(old), value))
EMULATOR_ATOMIC(atomicExch, float, (void(old), value))
template <typename T>
T atomicCAS(T* address, T expected, T value) {
    static_assert(std::is_integral<T>::value && sizeof(T) >= 2, "atomicCAS takes integers of 2, 4 or 8 bytes");
    return emulator::update(address, [=](T old) { return old == expected ? value : old; });
}

// ---- arithmetic

template <typename T, typename U>
using emulator_common =
    std::enable_if_t<std::is_arithmetic<T>::value && std::is_arithmetic<U>::value, std::common_type_t<T, U>>;
template <typename T, typename U>
inline emulator_common<T, U> max(T a, U b) {
    using C = std::common_type_t<T, U>;
    if constexpr (std::is_floating_point<C>::value) return fmax(C(a), C(b));  // as CUDA's: the one that is a number
    return C(a) < C(b) ? C(b) : C(a);
}
template <typename T, typename U>
inline emulator_common<T, U> min(T a, U b) {
    using C = std::common_type_t<T, U>;
    if constexpr (std::is_floating_point<C>::value) return fmin(C(a), C(b));
    return C(b) < C(a) ? C(b) : C(a);
}
inline float16 max(float16 a, float16 b) { return float16(fmaxf(a, b)); }
inline float16 min(float16 a, float16 b) { return float16(fminf(a, b)); }
inline float16 fmax(float16 a, float16 b) { return max(a, b); }
inline float16 fmin(float16 a, float16 b) { return min(a, b); }
inline __half __hmax(__half a, __half b) { return fmaxf(a, b); }
inline __half __hmin(__half a, __half b) { return fminf(a, b); }
inline __half __habs(__half a) { return fabsf(a); }
inline int isnan(float16 x) { return std::isnan(float(x)); }
inline int isinf(float16 x) { return std::isinf(float(x)); }
inline int isfinite(float16 x) { return std::isfinite(float(x)); }
inline int signbit(float16 x) { return std::signbit(float(x)); }
inline float16 copysign(float16 x, float16 y) { return float16(copysignf(x, y)); }

inline float rsqrtf(float x) { return 1 / sqrtf(x); }
inline float rsqrt(float x) { return rsqrtf(x); }
inline double rsqrt(double x) { return 1 / sqrt(x); }
inline float fdividef(float x, float y) { return x / y; }
inline float __fdividef(float x, float y) { return x / y; }
inline float __expf(float x) { return expf(x); }
inline float __logf(float x) { return logf(x); }
inline float __powf(float x, float y) { return powf(x, y); }
inline float __sinf(float x) { return sinf(x); }
inline float __cosf(float x) { return cosf(x); }
inline float __saturatef(float x) { return x > 0 ? (x < 1 ? x : 1) : 0; }
inline float __frcp_rn(float x) { return 1 / x; }
inline float __fsqrt_rn(float x) { return sqrtf(x); }
inline float normcdff(float x) { return 0.5f * erfcf(-0.70710678118654752440f * x); }
inline double erfinv(double y) {  // Newton's steps from Winitzki's guess; erfc keeps the digits near 1
    const double a = std::fabs(y), w = -log((1 - a) * (1 + a)), b = 4.330746750799873 - w / 2;  // 2 / (pi 0.147)
    if (!(a < 1)) return a == 1 ? copysign(INFINITY, y) : NAN;
    double x = sqrt(sqrt(b * b + w / 0.147) - b);
    for (int i = 0; i < 4; i++) x -= (a < 0.5 ? erf(x) - a : 1 - a - erfc(x)) * 0.886226925452758 * exp(x * x);
    return copysign(x, y);
}
inline float erfinv(float y) { return float(erfinv(double(y))); }
inline double normcdf(double x) { return 0.5 * erfc(-0.70710678118654752440 * x); }

inline unsigned __umulhi(unsigned x, unsigned y) { return uint64_t(x) * y >> 32; }
inline int __mulhi(int x, int y) { return int64_t(x) * y >> 32; }
inline emulator_u64 __umul64hi(emulator_u64 x, emulator_u64 y) { return (unsigned __int128)x * y >> 64; }
inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __popcll(emulator_u64 x) { return __builtin_popcountll(x); }
inline int __clz(int x) { return x ? __builtin_clz(x) : 32; }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline int __float2int_rn(float x) { return int(nearbyintf(x)); }
inline int __float2int_rd(float x) { return int(floorf(x)); }

template <typename To, typename From>
inline To emulator_bits(From from) {
    static_assert(sizeof(To) == sizeof(From), "as many bits");
    To to;
    std::memcpy(&to, &from, sizeof(To));
    return to;
}
inline int __float_as_int(float x) { return emulator_bits<int>(x); }
inline unsigned __float_as_uint(float x) { return emulator_bits<unsigned>(x); }
inline float __int_as_float(int x) { return emulator_bits<float>(x); }
inline float __uint_as_float(unsigned x) { return emulator_bits<float>(x); }
inline long long __double_as_longlong(double x) { return emulator_bits<long long>(x); }
inline double __longlong_as_double(long long x) { return emulator_bits<double>(x); }

template <typename T>
inline T __ldg(const T* address) {
    return *address;
}

#define EMULATOR_VECTORS(T, name)                                                   \
    struct __align__(2 * sizeof(T)) name##2 { T x, y; };                            \
    struct __align__(sizeof(T) < 8 ? 4 * sizeof(T) : 16) name##4 { T x, y, z, w; }; \
    inline name##2 make_##name##2(T x, T y) { return {x, y}; }                      \
    inline name##4 make_##name##4(T x, T y, T z, T w) { return {x, y, z, w}; }
EMULATOR_VECTORS(unsigned, uint)
EMULATOR_VECTORS(int, int)
EMULATOR_VECTORS(float, float)
EMULATOR_VECTORS(double, double)
EMULATOR_VECTORS(long long, longlong)

#define CUDART_INF_F __builtin_huge_valf()
#define CUDART_INF __builtin_huge_val()
#define CUDART_NAN_F __builtin_nanf("")
#define CUDART_NAN __builtin_nan("")

// ---- what Python calls

#define EMULATOR_EXPORT extern "C" __attribute__((visibility("default")))

namespace emulator {

template <typename T>
void describe_value(char*& out) {
    bool half = std::is_same<T, __half>::value || std::is_same<T, float16>::value;
    bool real = std::is_floating_point<T>::value || half;
    char kind = std::is_same<T, bool>::value ? 'b' : std::is_integral<T>::value ? 'i' : real ? 'f' : 'V';
    out += sprintf(out, "%c%zu ", kind, sizeof(T));
}

// One word for a parameter: its kind and size, as "f4"; of a pointer, those of what it points to: "*f4", "*const:f4".
template <typename P>
void describe(char*& out) {
    if constexpr (std::is_pointer<P>::value) {
        using Element = std::remove_pointer_t<P>;
        out += sprintf(out, std::is_const<Element>::value ? "*const:" : "*");
        if constexpr (std::is_void<Element>::value)
            out += sprintf(out, "v0 ");
        else
            describe_value<std::remove_cv_t<Element>>(out);
    } else {
        describe_value<P>(out);
    }
}

struct Entry {
    char signature[1024];
    void (*call)(void**);
};

template <auto kernel, typename... P, size_t... I>
Entry entry(void (*)(P...), std::index_sequence<I...>) {
    Entry made = {};
    char* out = made.signature;
    (describe<P>(out), ...);
    made.call = [](void** args) { kernel(*static_cast<P*>(args[I])...); };
    return made;
}

template <auto kernel, typename... P>
Entry entry_of(void (*pointer)(P...)) {
    static_assert(sizeof...(P) <= 64, "a kernel of at most 64 parameters");
    return entry<kernel>(pointer, std::index_sequence_for<P...>());
}

// A `raw` argument of an elementwise kernel, whose indices are checked.
template <typename T>
struct Raw {
    const char* name;
    T* data;
    ptrdiff_t length;
    T& operator[](ptrdiff_t i) const {
        if (i < 0 || i >= length) fail("raw argument %s: index %td is out of its %td elements", name, i, length);
        return data[i];
    }
    ptrdiff_t size() const { return length; }
};

struct Index {
    ptrdiff_t length;
    ptrdiff_t size() const { return length; }
};

}  // namespace emulator
