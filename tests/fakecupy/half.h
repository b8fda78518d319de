// float16 on the host: CUDA's __half (each operation rounds) and CuPy's float16 (computes in float).
// Conversions round to nearest, ties to even, as NumPy's and CUDA's do.
#pragma once
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace emulator {

inline unsigned short half_bits(double value) {
    uint64_t bits;
    std::memcpy(&bits, &value, 8);
    unsigned sign = unsigned(bits >> 63) << 15;
    int exponent = int(bits >> 52 & 0x7ff) - 1023;
    uint64_t fraction = bits & ((uint64_t(1) << 52) - 1);
    if (exponent == 1024) return sign | 0x7c00 | (fraction ? 0x200 : 0);
    if (exponent > 15) return sign | 0x7c00;
    if (exponent < -25) return sign;
    int drop = 42;  // bits of the fraction that a half has no room for; more of them where it is subnormal
    unsigned half = unsigned(exponent + 15) << 10;
    if (exponent < -14) {
        drop += -14 - exponent;
        fraction |= uint64_t(1) << 52;
        half = 0;
    }
    half += unsigned(fraction >> drop);
    uint64_t rest = fraction & ((uint64_t(1) << drop) - 1), tie = uint64_t(1) << (drop - 1);
    half += rest > tie || (rest == tie && (half & 1));  // the carry runs into the exponent, and up to infinity
    return sign | half;
}

inline float half_value(unsigned short bits) {
    uint32_t sign = uint32_t(bits & 0x8000) << 16, exponent = bits >> 10 & 31, fraction = bits & 0x3ff, out;
    if (exponent == 0) {
        float small = float(fraction) * 5.9604644775390625e-8f;  // 2**-24
        return sign ? -small : small;
    }
    out = sign | (exponent == 31 ? 0xffu : exponent + 112) << 23 | fraction << 13;
    float value;
    std::memcpy(&value, &out, 4);
    return value;
}

}  // namespace emulator

struct __half_raw {
    unsigned short x;
};

struct __half {
    unsigned short bits;
    __half() = default;
    template <typename T, typename = std::enable_if_t<std::is_arithmetic<T>::value>>
    __half(T value) : bits(emulator::half_bits(double(value))) {}
    __half(__half_raw raw) : bits(raw.x) {}
    operator float() const { return emulator::half_value(bits); }
    operator __half_raw() const { return {bits}; }
};
typedef __half half;

#define EMULATOR_ARITHMETIC(op)                                                        \
    inline __half operator op(const __half& a, const __half& b) { return float(a) op float(b); } \
    inline __half& operator op##=(__half& a, const __half& b) { return a = a op b; }
#define EMULATOR_COMPARISON(op) \
    inline bool operator op(const __half& a, const __half& b) { return float(a) op float(b); }
EMULATOR_ARITHMETIC(+)
EMULATOR_ARITHMETIC(-)
EMULATOR_ARITHMETIC(*)
EMULATOR_ARITHMETIC(/)
EMULATOR_COMPARISON(<)
EMULATOR_COMPARISON(<=)
EMULATOR_COMPARISON(>)
EMULATOR_COMPARISON(>=)
EMULATOR_COMPARISON(==)
EMULATOR_COMPARISON(!=)
inline __half operator-(const __half& a) { return -float(a); }
inline __half operator+(const __half& a) { return a; }

inline __half __float2half(float x) { return x; }
inline __half __float2half_rn(float x) { return x; }
inline __half __double2half(double x) { return x; }
inline __half __int2half_rn(int x) { return x; }
inline float __half2float(__half x) { return x; }
inline unsigned short __half_as_ushort(__half x) { return x.bits; }
inline __half __ushort_as_half(unsigned short bits) { return __half_raw{bits}; }
inline __half __hadd(__half a, __half b) { return a + b; }
inline __half __hsub(__half a, __half b) { return a - b; }
inline __half __hmul(__half a, __half b) { return a * b; }
inline __half __hdiv(__half a, __half b) { return a / b; }
inline __half __hneg(__half a) { return -a; }
inline bool __heq(__half a, __half b) { return a == b; }
inline bool __hne(__half a, __half b) { return a != b; }
inline bool __hlt(__half a, __half b) { return a < b; }
inline bool __hle(__half a, __half b) { return a <= b; }
inline bool __hgt(__half a, __half b) { return a > b; }
inline bool __hge(__half a, __half b) { return a >= b; }
inline bool __hisnan(__half a) { return a != a; }
inline __half __hfma(__half a, __half b, __half c) { return double(float(a)) * double(float(b)) + double(float(c)); }

class float16 {
    __half data_;

public:
    float16() = default;
    float16(float value) : data_(value) {}
    template <typename T, typename = std::enable_if_t<std::is_arithmetic<T>::value && !std::is_same<T, float>::value>>
    explicit float16(T value) : data_(value) {}
    explicit float16(const __half& value) : data_(value) {}
    explicit float16(const __half_raw& raw) : data_(raw) {}
    operator float() const { return data_; }
    float16& operator=(const float16&) = default;
    template <typename T>
    float16& operator=(const T& other) {
        return *this = static_cast<float16>(other);
    }
    template <typename T>
    float16& operator+=(const T& other) {
        return *this = *this + other;
    }
    template <typename T>
    float16& operator-=(const T& other) {
        return *this = *this - other;
    }
    template <typename T>
    float16& operator*=(const T& other) {
        return *this = *this * other;
    }
    template <typename T>
    float16& operator/=(const T& other) {
        return *this = *this / other;
    }
    unsigned short to_bits() const { return data_.bits; }
    static float16 from_bits(unsigned short bits) { return float16(__half_raw{bits}); }
};
