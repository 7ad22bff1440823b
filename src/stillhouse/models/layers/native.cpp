// RMSNorm and the gated MLP's silu(gate) up, values and gradients, each in one or two sweeps over a row.
//
// Numbers come in float32 or bfloat16, are computed in float32 and rounded once, to the nearest. What is not finite
// stays so: nothing here looks for it.
#include <cmath>
#include <cstdint>
#include <cstring>

namespace {

template <class To, class From>
inline To bits(From from) {
    To to;
    std::memcpy(&to, &from, 4);
    return to;
}

struct Half {
    uint16_t upper;
    operator float() const { return bits<float>(uint32_t(upper) << 16); }
    Half& operator=(float value) {
        uint32_t all = bits<uint32_t>(value);
        upper = uint16_t((all + 0x7fff + ((all >> 16) & 1)) >> 16);  // ties to even
        return *this;
    }
};

// e^x within two units in the last place; at least e^-87, infinite above 88.7. Polynomial of the Cephes library.
inline float exponential(float x) {
    x = x < -87.0f ? -87.0f : x;
    x = x > 89.0f ? 89.0f : x;
    float n = __builtin_rintf(x * 1.44269504088896341f);
    float r = x - n * 0.693359375f;
    r = r + n * 2.12194440e-4f;
    float y = 1.9875691500e-4f;
    y = y * r + 1.3981999507e-3f;
    y = y * r + 8.3334519073e-3f;
    y = y * r + 4.1665795894e-2f;
    y = y * r + 1.6666665459e-1f;
    y = y * r + 5.0000001201e-1f;
    return (y * r * r + r + 1.0f) * bits<float>(uint32_t(int32_t(n) + 127) << 23);
}

inline float sigmoid(float x) { return 1.0f / (1.0f + exponential(-x)); }

template <class X, class Y>
void norm(const X* __restrict x, const float* __restrict weight, Y* __restrict y, float* inverse, long width,
          float eps) {
    float squares = 0.0f;
    for (long i = 0; i < width; i++) squares += float(x[i]) * float(x[i]);
    float per_rms = 1.0f / std::sqrt(squares / float(width) + eps);
    for (long i = 0; i < width; i++) y[i] = weight[i] * (float(x[i]) * per_rms);
    *inverse = per_rms;
}

// With n = x / rms and g = weight dy: dx = (g - n mean(g n)) / rms, and to the weight's gradient comes dy n.
template <class X, class Y>
void norm_slope(const Y* __restrict of_y, const X* __restrict x, const float* __restrict weight, float per_rms,
                X* __restrict of_x, double* __restrict of_weight, long width) {
    float along = 0.0f;
    for (long i = 0; i < width; i++) along += weight[i] * float(of_y[i]) * float(x[i]);
    float pull = along / float(width) * per_rms * per_rms;
    for (long i = 0; i < width; i++) of_x[i] = per_rms * (weight[i] * float(of_y[i]) - pull * float(x[i]));
    if (of_weight)
        for (long i = 0; i < width; i++) of_weight[i] += float(of_y[i]) * (float(x[i]) * per_rms);
}

template <class T>
void gated(const T* __restrict gate, const T* __restrict up, T* __restrict y, long count) {
    for (long i = 0; i < count; i++) y[i] = float(gate[i]) * sigmoid(gate[i]) * float(up[i]);
}

template <class T>
void gated_slope(const T* __restrict of_y, const T* __restrict gate, const T* __restrict up, T* __restrict of_gate,
                 T* __restrict of_up, long count) {
    for (long i = 0; i < count; i++) {
        float x = gate[i], slope = of_y[i], s = sigmoid(x);
        of_gate[i] = slope * float(up[i]) * s * (1.0f + x * (1.0f - s));
        of_up[i] = slope * x * s;
    }
}

template <class Work>
void of_type(int half, Work work) {
    if (half) work(Half());
    else work(float());
}

}  // namespace

// Rows begin..end, and for each 1 / sqrt(mean(x^2) + eps).
extern "C" void norm_rows(int half_x, int half_y, const void* x, const float* weight, void* y, float* inverses,
                          long begin, long end, long width, float eps) {
    of_type(half_x, [&](auto in) {
        of_type(half_y, [&](auto out) {
            auto from = (const decltype(in)*)x;
            auto to = (decltype(out)*)y;
            for (long r = begin; r < end; r++)
                norm(from + r * width, weight, to + r * width, inverses + r, width, eps);
        });
    });
}

// Gradients of rows begin..end; the weight's is added to `of_weight`, if there is one.
extern "C" void norm_slopes(int half_x, int half_y, const void* of_y, const void* x, const float* weight,
                            const float* inverses, void* of_x, double* of_weight, long begin, long end, long width) {
    of_type(half_x, [&](auto in) {
        of_type(half_y, [&](auto out) {
            using X = decltype(in);
            using Y = decltype(out);
            for (long r = begin; r < end; r++)
                norm_slope((const Y*)of_y + r * width, (const X*)x + r * width, weight, inverses[r],
                           (X*)of_x + r * width, of_weight, width);
        });
    });
}

// Numbers begin..end.
extern "C" void gated_numbers(int half, const void* gate, const void* up, void* y, long begin, long end) {
    of_type(half, [&](auto number) {
        using T = decltype(number);
        gated((const T*)gate + begin, (const T*)up + begin, (T*)y + begin, end - begin);
    });
}

extern "C" void gated_slopes(int half, const void* of_y, const void* gate, const void* up, void* of_gate, void* of_up,
                             long begin, long end) {
    of_type(half, [&](auto number) {
        using T = decltype(number);
        gated_slope((const T*)of_y + begin, (const T*)gate + begin, (const T*)up + begin, (T*)of_gate + begin,
                    (T*)of_up + begin, end - begin);
    });
}
