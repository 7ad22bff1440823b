// AdamW's step over weights in two halves and moments in 8 and 16 bits, a block of weights at a time.
//
// A weight is exact: the upper half (bfloat16, to the nearest) is what the model reads, the lower half is what it lacks
// to float32. Both moments are rounded at random, up or down, so that they are right on average: rounded to the nearest
// they would stand still wherever a step changes them by less than half of what lies between two codes.
#include <cmath>
#include <cstdint>
#include <cstring>
#if defined(__SSE2__)
#include <xmmintrin.h>
#endif

namespace {

const long BLOCK = 256;  // weights that share one scale of their first moment

template <class To, class From>
inline To bits(From from) {
    To to;
    std::memcpy(&to, &from, 4);
    return to;
}

struct Half {
    uint16_t upper;
    operator float() const { return bits<float>(uint32_t(upper) << 16); }
};

struct Step {
    float factor, rate, keep, beta1, beta2, root, eps;  // of the gradient; lr / (1 - beta1^t); 1 - lr decay; ...
    uint32_t seed;
};

// 32 random bits of each weight and step.
inline uint32_t noise(uint32_t index, uint32_t seed) {
    uint32_t h = index * 0x9E3779B1u ^ seed;
    h = (h ^ h >> 15) * 0x85EBCA6Bu;
    return h ^ h >> 13;
}

// Codes -127 to 127 stand for fourth powers: as fine for small numbers, of which a block has many, as for large ones.
const float LARGEST = 127.0f * 127.0f * 127.0f * 127.0f;

inline float fourth(float code) { return (code * code) * (code * code); }

inline float decoded(int8_t code, float scale) {
    float size = fourth(code) * scale;
    return code < 0 ? -size : size;
}

inline int8_t encoded(float value, float per_scale, uint32_t random) {
    float power = std::fabs(value) * per_scale;
    power = power < LARGEST ? power : LARGEST;
    float code = float(int32_t(std::sqrt(std::sqrt(power)))), below = fourth(code), gap = fourth(code + 1.0f) - below;
    code += power - below > gap * float(random >> 16) * (1.0f / 65536.0f) ? 1.0f : 0.0f;
    return int8_t(int32_t(value < 0.0f ? -code : code));
}

inline uint16_t rounded(float value, uint32_t random) { return (bits<uint32_t>(value) + (random & 0xffff)) >> 16; }

struct Whole {  // weights in float32
    float* weight;
    float get(long i) const { return weight[i]; }
    void set(long i, float value) const { weight[i] = value; }
};

struct Halves {
    uint16_t* upper;
    int16_t* lower;
    float get(long i) const { return bits<float>((uint32_t(upper[i]) << 16) + uint32_t(int32_t(lower[i]))); }
    void set(long i, float value) const {
        uint32_t all = bits<uint32_t>(value), top = (all + 0x8000u) >> 16;
        upper[i] = uint16_t(top);
        lower[i] = int16_t(all - (top << 16));
    }
};

template <class Weights, class Gradient>
void block(const Step& s, Weights weights, const Gradient* __restrict gradient, int8_t* __restrict codes,
           float* __restrict scale, uint16_t* __restrict second, long first, long count) {
    float m[BLOCK], before = *scale;
    uint32_t random[BLOCK];
    int32_t largest = 0;  // as an integer: compilers make no vectors of a maximum of floats
    for (long i = 0; i < count; i++) {
        float g = s.factor * float(gradient[i]);
        float v = s.beta2 * bits<float>(uint32_t(second[i]) << 16) + (1.0f - s.beta2) * g * g;
        m[i] = s.beta1 * decoded(codes[i], before) + (1.0f - s.beta1) * g;
        weights.set(i, s.keep * weights.get(i) - s.rate * m[i] / (std::sqrt(v) * s.root + s.eps));
        random[i] = noise(uint32_t(first + i), s.seed);
        second[i] = rounded(v, random[i]);
    }
    for (long i = 0; i < count; i++) {
        int32_t size = bits<int32_t>(std::fabs(m[i]));
        largest = size > largest ? size : largest;
    }
    float top = bits<float>(largest);
    float per_scale = top > 1e-25f ? LARGEST / top : 0.0f;
    *scale = top * (1.0f / LARGEST);
    for (long i = 0; i < count; i++) codes[i] = encoded(m[i], per_scale, random[i]);
}

// Numbers too small for float32's usual form count as zero: they would take a hundred times as long.
struct Flushed {
#if defined(__SSE2__)
    unsigned before = _mm_getcsr();
    Flushed() { _mm_setcsr(before | 0x8040); }
    ~Flushed() { _mm_setcsr(before); }
#endif
};

template <class Gradient>
double squares(const Gradient* __restrict numbers, long begin, long end) {
    double sum = 0.0;
    for (long start = begin; start < end; start += BLOCK) {
        long stop = start + BLOCK < end ? start + BLOCK : end;
        float part = 0.0f;
        for (long i = start; i < stop; i++) part += float(numbers[i]) * float(numbers[i]);
        sum += part;
    }
    return sum;
}

}  // namespace

// Blocks begin..end of a tensor of `size` weights. With `halves` weights and gradient are bfloat16, else float32.
extern "C" void adamw_blocks(int halves, void* weight, int16_t* lower, const void* gradient, int8_t* codes,
                             float* scales, uint16_t* second, long begin, long end, long size, float factor, float rate,
                             float keep, float beta1, float beta2, float root, float eps, uint32_t seed) {
    Flushed flushed;
    Step step{factor, rate, keep, beta1, beta2, root, eps, seed};
    for (long b = begin; b < end; b++) {
        long first = b * BLOCK, count = first + BLOCK < size ? BLOCK : size - first;
        if (halves)
            block(step, Halves{(uint16_t*)weight + first, lower + first}, (const Half*)gradient + first, codes + first,
                  scales + b, second + first, first, count);
        else
            block(step, Whole{(float*)weight + first}, (const float*)gradient + first, codes + first, scales + b,
                  second + first, first, count);
    }
}

// The sum of squares of blocks begin..end.
extern "C" double squares_of(int half, const void* numbers, long begin, long end, long size) {
    long last = end * BLOCK < size ? end * BLOCK : size;
    return half ? squares((const Half*)numbers, begin * BLOCK, last) : squares((const float*)numbers, begin * BLOCK, last);
}
