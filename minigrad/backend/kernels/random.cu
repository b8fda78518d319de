// Philox4x32-10, as in backend/philox.py. A thread takes a counter at a time, which gives four elements.

typedef unsigned int u32;
typedef unsigned long long u64;

// The four numbers of the counter high * 2**64 + low. Source: Salmon et al. 2011; the constants are Random123's.
__device__ inline void philox(u64 key, u64 low, u64 high, u32 out[4]) {
    u32 a = (u32)low, b = (u32)(low >> 32), c = (u32)high, d = (u32)(high >> 32);
    u32 k0 = (u32)key, k1 = (u32)(key >> 32);
    for (int round = 0; round < 10; round++) {
        const u64 p = (u64)0xD2511F53u * a, q = (u64)0xCD9E8D57u * c;
        a = (u32)(q >> 32) ^ b ^ k0;
        b = (u32)q;
        c = (u32)(p >> 32) ^ d ^ k1;
        d = (u32)p;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    out[0] = a;
    out[1] = b;
    out[2] = c;
    out[3] = d;
}

// mask = 0 with probability p, else `kept`; element i by word i % 4 of counter + i / 4.
template <typename T>
__global__ void dropout_mask(T* mask, long long size, float p, double kept, u64 key, u64 low, u64 high) {
    for (long long group = first_index(); group < (size + 3) / 4; group += index_step()) {
        const u64 counter = low + (u64)group;
        u32 words[4];
        philox(key, counter, high + (counter < low), words);  // the carry
        for (long long k = 0; k < 4 && group * 4 + k < size; k++)
            mask[group * 4 + k] = (words[k] >> 8) * 5.9604644775390625e-8f >= p ? (T)kept : (T)0.0f;  // 2**-24
    }
}
