// Values and gradients of divergences, row by row of logits: four sweeps over a row that stays in cache.
//
// A divergence is a sum over tokens of phi(log p, log q), with h = d phi / d log q; its gradient with respect to the
// student's logits is h - q sum(h). Logits come in float32 or bfloat16; the student's are overwritten by the gradient.
// Rows that come out not finite are left to the caller, so nothing here looks for infinities.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <utility>
#include <vector>

namespace {

struct Half {
    uint16_t bits;
    operator float() const {
        uint32_t wide = uint32_t(bits) << 16;
        float value;
        std::memcpy(&value, &wide, 4);
        return value;
    }
    Half& operator=(float value) {
        uint32_t wide;
        std::memcpy(&wide, &value, 4);
        bits = uint16_t((wide + 0x7fff + ((wide >> 16) & 1)) >> 16);  // to the nearest, ties to even
        return *this;
    }
};

inline float power_of_two(float n) {
    uint32_t bits = uint32_t(int32_t(n) + 127) << 23;
    float value;
    std::memcpy(&value, &bits, 4);
    return value;
}

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
    return (y * r * r + r + 1.0f) * power_of_two(n);
}

// log x for normal x > 0; smaller x count as the smallest normal number. Polynomial of the Cephes library.
inline float logarithm(float x) {
    x = x < 1.17549435e-38f ? 1.17549435e-38f : x;
    uint32_t bits;
    std::memcpy(&bits, &x, 4);
    float n = float(int32_t(bits >> 23) - 126);
    bits = (bits & 0x007fffff) | 0x3f000000;  // mantissa in [1/2, 1)
    float m;
    std::memcpy(&m, &bits, 4);
    bool low = m < 0.707106781186547524f;
    n = low ? n - 1.0f : n;
    m = low ? m + m - 1.0f : m - 1.0f;
    float z = m * m;
    float y = 7.0376836292e-2f;
    y = y * m - 1.1514610310e-1f;
    y = y * m + 1.1676998740e-1f;
    y = y * m - 1.2420140846e-1f;
    y = y * m + 1.4249322787e-1f;
    y = y * m - 1.6668057665e-1f;
    y = y * m + 2.0000714765e-1f;
    y = y * m - 2.4999993993e-1f;
    y = y * m + 3.3333331174e-1f;
    y = y * m * z - 2.12194440e-4f * n - 0.5f * z;
    return m + y + n * 0.693359375f;
}

struct Term {
    float phi, h;
};
struct Sum {
    static const bool logarithmic = false, adaptive = false, mixes = false, standardises = false;
};
struct MixedSum : Sum {  // where the student's logits may be mixed into the teacher's
    static const bool mixes = true;
};
struct Logarithm : Sum {  // the value is log(sum of phi) / (a - 1)
    static const bool logarithmic = true;
};

// ---- the divergences; a and b are their settings

struct ForwardKL : MixedSum {
    static Term at(float lp, float lq, float p, float, float, float) { return {p * (lp - lq), -p}; }
};
struct StandardisedKL : ForwardKL {  // of logits whose standard deviation is one
    static const bool mixes = false, standardises = true;
};
struct PerturbedKL : Sum {  // with a u + b u^2 added to -log q, u = 1 - q
    static Term at(float lp, float lq, float p, float q, float a, float b) {
        float u = 1.0f - q;
        return {p * (lp - lq + (a + b * u) * u), -p * (1.0f + q * (a + 2.0f * b * u))};
    }
};
struct ReverseKL : Sum {
    static Term at(float lp, float lq, float, float q, float, float) {
        float value = q * (lq - lp);
        return {value, value + q};
    }
};
struct JensenShannon : Sum {  // a belongs to the teacher
    static Term at(float lp, float lq, float p, float q, float a, float) {
        float lm = logarithm(a * p + (1.0f - a) * q);
        float h = (1.0f - a) * q * (lq - lm);
        return {a * p * (lp - lm) + h, h};
    }
};
struct SymmetricKL : Sum {  // (1 - a) forward + a reverse
    static Term at(float lp, float lq, float p, float q, float a, float) {
        float gap = lq - lp, of_reverse = a * q, of_forward = (1.0f - a) * p;
        return {(of_reverse - of_forward) * gap, of_reverse * (gap + 1.0f) - of_forward};
    }
};
struct AdaptiveKL : SymmetricKL {  // a: the mass of the head; b = 1 where the token that crosses it stays outside
    static const bool adaptive = true;
};
struct SkewKL : Sum {
    static Term at(float lp, float, float p, float q, float a, float) {
        float m = a * p + (1.0f - a) * q;
        m = m < 1.17549435e-38f ? 1.17549435e-38f : m;
        return {p * (lp - logarithm(m)), -p * (1.0f - a) * q / m};
    }
};
struct SkewReverseKL : Sum {  // b = 1 where the gradient flows through the mixture, else 0
    static Term at(float, float lq, float p, float q, float a, float b) {
        float m = (1.0f - a) * p + a * q;
        m = m < 1.17549435e-38f ? 1.17549435e-38f : m;
        float value = q * (lq - logarithm(m));
        return {value, value + q - b * q * a * q / m};
    }
};
struct TotalVariation : Sum {
    static Term at(float, float, float p, float q, float, float) {
        float gap = q - p, sign = float(gap > 0.0f) - float(gap < 0.0f);
        return {0.5f * sign * gap, 0.5f * sign * q};
    }
};
struct Triangular : Sum {
    static Term at(float, float, float p, float q, float, float) {
        float gap = p - q, both = p + q;
        float share = gap / (both < 1.17549435e-38f ? 1.17549435e-38f : both);
        return {gap * share, -q * share * (2.0f + share)};
    }
};
struct Hellinger : Sum {
    static Term at(float, float, float p, float q, float, float) {
        float of_p = __builtin_sqrtf(p), of_q = __builtin_sqrtf(q);
        float gap = of_p - of_q;
        return {0.5f * gap * gap, 0.5f * (q - of_p * of_q)};
    }
};
struct AlphaBeta : Sum {  // neither a, b nor a + b is zero
    static Term at(float lp, float lq, float, float, float a, float b) {
        float both = exponential(a * lp + b * lq), of_q = exponential((a + b) * lq);
        float mean = (a * exponential((a + b) * lp) + b * of_q) / (a + b);
        return {(mean - both) / (a * b), (of_q - both) / a};
    }
};
struct AlphaBetaOfOne : Sum {  // a + b = 1
    static Term at(float lp, float lq, float p, float q, float a, float b) {
        float both = exponential(a * lp + b * lq);
        return {(a * p + b * q - both) / (a * b), (q - both) / a};
    }
};
struct Renyi : Logarithm {
    static Term at(float lp, float lq, float, float, float a, float) {
        float powers = exponential(a * lp + (1.0f - a) * lq);
        return {powers, powers};
    }
};
struct CrossEntropy : MixedSum {
    static Term at(float, float lq, float p, float, float, float) { return {-p * lq, -p}; }
};
struct Entropy : Sum {
    static Term at(float, float lq, float, float q, float, float) { return {-q * lq, -q * lq - q}; }
};

const long PIECE = 1024;  // tokens that are summed in float32 before they join a sum in float64

// Where a row's logits come from: scaled, and for the teacher perhaps mixed with the student's.
template <class T>
struct Plain {
    const T* __restrict logits;
    float scale;
    float operator()(long v) const { return scale * float(logits[v]); }
};
template <class T>
struct Mixed {
    const T *__restrict logits, *__restrict with;
    float scale, share;
    float operator()(long v) const { return scale * (share * float(with[v]) + (1.0f - share) * float(logits[v])); }
};

template <class T>
struct Standardised {
    const T* __restrict logits;
    float mean, scale;
    bool held;  // logits that are all the same: the scale does not depend on them
    float operator()(long v) const { return scale * (float(logits[v]) - mean); }
};

// The sum of term(v) over a row.
template <class Number>
double summed(long width, Number term) {
    double sum = 0.0;
    for (long start = 0; start < width; start += PIECE) {
        long end = start + PIECE < width ? start + PIECE : width;
        float part = 0.0f;
        for (long v = start; v < end; v++) part += term(v);
        sum += part;
    }
    return sum;
}

template <class T>
Standardised<T> standardised(Plain<T> plain, long width) {
    Standardised<T> z{plain.logits, 0.0f, 1.0f, false};
    z.mean = float(summed(width, z) / width);
    double variance = summed(width, [&](long v) { return z(v) * z(v); }) / width;
    z.held = variance < 1e-14;
    z.scale = float(plain.scale / __builtin_sqrt(z.held ? 1e-14 : variance));
    return z;
}

struct Normaliser {
    float top;      // the largest logit
    double total;   // the sum of e^(z - top)
    float logarithm() const { return top + float(__builtin_log(total)); }
};

// e: e^(z - top) for all logits z of a row.
template <class Logits>
Normaliser softmax(Logits z, long width, float* __restrict e) {
    const int lanes = 16;  // compilers make no vectors of a maximum that might meet a NaN, but of many side by side
    float tops[lanes], top = -3.4e38f;
    for (int i = 0; i < lanes; i++) tops[i] = top;
    for (long v = 0; v < width; v++) e[v] = z(v);
    for (long v = 0; v + lanes <= width; v += lanes)
        for (int i = 0; i < lanes; i++) tops[i] = e[v + i] > tops[i] ? e[v + i] : tops[i];
    for (long v = width - width % lanes; v < width; v++) top = e[v] > top ? e[v] : top;
    for (int i = 0; i < lanes; i++) top = tops[i] > top ? tops[i] : top;
    double sum = 0.0;
    for (long start = 0; start < width; start += PIECE) {
        long end = start + PIECE < width ? start + PIECE : width;
        float part = 0.0f;
        for (long v = start; v < end; v++) {
            float y = exponential(e[v] - top);
            e[v] = y;
            part += y;
        }
        sum += part;
    }
    return {top, sum};
}

const int STEPS = 8, LANES = 16, FEW = 512;  // FEW: tokens that are sorted as fast as they are thinned out
typedef float Lanes __attribute__((vector_size(64)));

// masses[k]: the sum of all values of at least least[k].
void masses_above(const float* __restrict values, long width, const float* least, double* masses) {
    for (int k = 0; k < STEPS; k++) masses[k] = 0.0;
    for (long start = 0; start < width; start += PIECE) {
        long end = start + PIECE < width ? start + PIECE : width;
        Lanes sums[STEPS] = {}, none = {}, x = {};
        auto add = [&] {
            for (int k = 0; k < STEPS; k++) sums[k] += x >= least[k] ? x : none;
        };
        long v = start;
        for (; v + LANES <= end; v += LANES) std::memcpy(&x, values + v, sizeof x), add();
        x = none;
        for (; v < end; v++) x[end - v - 1] = values[v];
        add();
        for (int k = 0; k < STEPS; k++)
            for (int i = 0; i < LANES; i++) masses[k] += sums[k][i];
    }
}

// Where the most likely tokens of a row, of mass `mu`, end: the token that crosses mu is among those from `floor` to
// `above`. Values are in parts of the most likely token's; `per` makes probabilities of them.
struct HeadSearch {
    const float* values;
    long width;
    double per, mu;
    bool closed;
    float above = 2.0f, floor = 0.0f;
    double inside = 0.0, within = 0.0;  // the mass of all tokens above, and of those from floor to above

    bool fits(double mass) const { return mass == 0.0 || (closed ? mass <= mu : mass < mu); }

    // With `least` falling between above and floor.
    void narrow(const float* least) {
        double masses[STEPS];
        masses_above(values, width, least, masses);
        for (int k = 0; k < STEPS; k++) {
            double mass = masses[k] * per;
            if (!fits(mass)) {
                floor = least[k];
                within = mass - inside;
                return;
            }
            above = least[k];
            inside = mass;
        }
    }

    void find() {
        float least[STEPS];
        while (floor == 0.0f && above > 1e-30f) {
            for (int k = 0; k < STEPS; k++) least[k] = 0.5f * (k ? least[k - 1] : above);
            narrow(least);
        }
        if (floor == 0.0f) floor = above;  // all tokens fit
        while (within > FEW * floor * per && above > 1.001f * floor) {
            float ratio = __builtin_powf(floor / above, 1.0f / STEPS);
            for (int k = 0; k + 1 < STEPS; k++) least[k] = ratio * (k ? least[k - 1] : above);
            least[STEPS - 1] = floor;
            narrow(least);
        }
    }
};

using Pair = std::pair<float, float>;  // the probabilities of a token: the teacher's and the student's

// g_h / (g_h + g_t) of adaptive KL: the share of |p - q| that lies on the teacher's most likely tokens, of mass `mu`.
// With `closed` the token that crosses mu stays outside (but for the first token), else inside.
float head_share(const float* __restrict p, float per_p, const float* __restrict q, float per_q, long width, float mu,
                 bool closed, std::vector<Pair>& tokens) {
    HeadSearch head{p, width, per_p, mu, closed};
    if (mu < 1.0f) head.find();
    else head.floor = head.above;  // no token crosses it
    tokens.clear();
    double total = 0.0, gap = 0.0;
    auto in_question = [&](float x) { return int(x >= head.floor) & int(x < head.above); };
    for (long start = 0; start < width; start += PIECE) {
        long end = start + PIECE < width ? start + PIECE : width;
        float of_all = 0.0f, of_head = 0.0f;
        for (long v = start; v < end; v++) {
            float apart = __builtin_fabsf(p[v] * per_p - q[v] * per_q);
            of_all += apart;
            of_head += p[v] >= head.above ? apart : 0.0f;
        }
        total += of_all;
        gap += of_head;
        for (long v = start; v < end; v += 2 * LANES) {
            long stop = v + 2 * LANES < end ? v + 2 * LANES : end;
            int any = 0;
            for (long w = v; w < stop; w++) any |= in_question(p[w]);
            for (long w = v; any && w < stop; w++)
                if (in_question(p[w])) tokens.push_back({p[w] * per_p, q[w] * per_q});
        }
    }
    if (total <= 0.0) return 0.5f;
    if (mu >= 1.0f) return 1.0f;
    if (tokens.empty()) return float(gap / total);
    double inside = head.inside;
    bool none = inside == 0.0;
    // halve the tokens in question until the one that crosses mu is found; those before `begin` are in the head
    auto begin = tokens.begin(), end = tokens.end();
    while (end - begin > 1) {
        auto middle = begin + (end - begin) / 2;
        std::nth_element(begin, middle, end, [](const Pair& a, const Pair& b) { return a.first > b.first; });
        double of_mass = 0.0, of_gap = 0.0;
        for (auto token = begin; token != middle; token++) {
            of_mass += token->first;
            of_gap += __builtin_fabsf(token->first - token->second);
        }
        if (head.fits(inside + of_mass)) {
            inside += of_mass;
            gap += of_gap;
            begin = middle;
        } else {
            end = middle;
        }
    }
    bool first = none && begin == tokens.begin(), crossing_counts = !closed || inside + begin->first <= mu;
    if (first || crossing_counts) gap += __builtin_fabsf(begin->first - begin->second);
    return float(gap / total);
}

struct Job {
    void* student;
    const void* teacher;  // none for a divergence of the student alone
    long width, student_stride, teacher_stride;
    float scale, a, b, mixed, gradient_scale;
    float* values;
    float* scratch;
};

template <class Kind, class T, class Student, class Teacher>
void row(const Job& job, long r, T* __restrict student, Student zq, Teacher zp, float* __restrict q,
         float* __restrict p) {
    long width = job.width;
    Normaliser of_q = softmax(zq, width, q), of_p = job.teacher ? softmax(zp, width, p) : of_q;
    float log_q = of_q.logarithm(), log_p = of_p.logarithm();
    float per_q = float(1.0 / of_q.total), per_p = float(1.0 / of_p.total);
    float a = job.a, b = job.b;
    if (Kind::adaptive) {
        std::vector<Pair> tokens;
        a = 1.0f - head_share(p, per_p, q, per_q, width, a, b > 0.0f, tokens);
    }
    double value = 0.0, sum = 0.0;
    for (long start = 0; start < width; start += PIECE) {
        long end = start + PIECE < width ? start + PIECE : width;
        float of_value = 0.0f, of_h = 0.0f;
        for (long v = start; v < end; v++) {
            Term term = Kind::at(zp(v) - log_p, zq(v) - log_q, p[v] * per_p, q[v] * per_q, a, b);
            p[v] = term.h;
            of_value += term.phi;
            of_h += term.h;
        }
        value += of_value;
        sum += of_h;
    }
    float factor = job.gradient_scale;
    if (Kind::logarithmic) {
        factor /= -float(value);
        value = __builtin_log(value) / (a - 1.0f);
    }
    float mean = float(sum) * per_q;
    if constexpr (Kind::standardises) {  // what would only stretch the logits has no effect
        double along = summed(width, [&](long v) { return (p[v] - q[v] * mean) * zq(v); });
        float share = zq.held ? 0.0f : float(along / width) / (job.scale * job.scale);
        for (long v = 0; v < width; v++) p[v] -= q[v] * mean + zq(v) * share;
        mean = 0.0f;
        factor *= zq.scale / job.scale;
    }
    for (long v = 0; v < width; v++) student[v] = factor * (p[v] - q[v] * mean);
    job.values[r] = float(value);
}

template <class Kind, class T>
void row(const Job& job, long r) {
    T* student = (T*)job.student + r * job.student_stride;
    const T* teacher = job.teacher ? (const T*)job.teacher + r * job.teacher_stride : student;
    float *q = job.scratch, *p = q + job.width;
    auto of = [&](auto zq, auto zp) { row<Kind, T>(job, r, student, zq, zp, q, p); };
    Plain<T> zq{student, job.scale}, zp{teacher, job.scale};
    if constexpr (Kind::mixes)
        if (job.mixed > 0.0f) return of(zq, Mixed<T>{teacher, student, job.scale, job.mixed});
    if constexpr (Kind::standardises) of(standardised(zq, job.width), standardised(zp, job.width));
    else of(zq, zp);
}

// log q(label), and over the logits its gradient times `slope`, where that is not zero.
template <class T>
float label_row(T* __restrict logits, long label, long width, float slope, float* __restrict scratch) {
    if (label < 0 || label >= width) return __builtin_nanf("");  // left to the caller, as all that is no number
    Normaliser of = softmax(Plain<T>{logits, 1.0f}, width, scratch);
    float value = float(logits[label]) - of.logarithm();
    if (slope != 0.0f) {
        float factor = -slope * float(1.0 / of.total);
        float own = slope * float(1.0 - scratch[label] / of.total);
        for (long v = 0; v < width; v++) logits[v] = factor * scratch[v];
        logits[label] = own;
    }
    return value;
}

template <class T>
void rows(int kind, const Job& job, long begin, long end) {
    for (long r = begin; r < end; r++) switch (kind) {
        case 0: row<ForwardKL, T>(job, r); break;
        case 1: row<ReverseKL, T>(job, r); break;
        case 2: row<JensenShannon, T>(job, r); break;
        case 3: row<SymmetricKL, T>(job, r); break;
        case 4: row<SkewKL, T>(job, r); break;
        case 5: row<SkewReverseKL, T>(job, r); break;
        case 6: row<TotalVariation, T>(job, r); break;
        case 7: row<Hellinger, T>(job, r); break;
        case 8:
            if (std::fabs(job.a + job.b - 1.0f) < 1e-6f) row<AlphaBetaOfOne, T>(job, r);
            else row<AlphaBeta, T>(job, r);
            break;
        case 9: row<Renyi, T>(job, r); break;
        case 10: row<CrossEntropy, T>(job, r); break;
        case 11: row<Entropy, T>(job, r); break;
        case 12: row<AdaptiveKL, T>(job, r); break;
        case 13: row<Triangular, T>(job, r); break;
        case 14: row<StandardisedKL, T>(job, r); break;
        case 15: row<PerturbedKL, T>(job, r); break;
    }
}

}  // namespace

// Rows begin..end, in bfloat16 where `half`, else float32. `scratch` holds 2 width floats.
extern "C" void divergence_rows(int kind, int half, void* student, const void* teacher, long begin, long end,
                                long width, long student_stride, long teacher_stride, float scale, float a, float b,
                                float mixed, float gradient_scale, float* values, float* scratch) {
    Job job{student, teacher, width, student_stride, teacher_stride, scale, a, b, mixed, gradient_scale, values,
            scratch};
    if (half) rows<Half>(kind, job, begin, end);
    else rows<float>(kind, job, begin, end);
}

extern "C" void label_rows(int half, void* logits, const int64_t* labels, long begin, long end, long width,
                           long stride, float slope, float* values, float* scratch) {
    for (long r = begin; r < end; r++)
        values[r] = half ? label_row((Half*)logits + r * stride, labels[r], width, slope, scratch)
                         : label_row((float*)logits + r * stride, labels[r], width, slope, scratch);
}
