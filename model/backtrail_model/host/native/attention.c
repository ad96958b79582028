/* Attention of few tokens over a cache of keys and values, in float32, on processors with AVX2.
 *
 * Each token's result is computed by itself and in one order, over the positions it may see and no others. So it is
 * the same to the last bit whether the token is read alone, with its whole prompt, in a batch or behind a draft.
 */
#include <immintrin.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

enum { LANES = 8, WIDE = 8 * LANES };

typedef struct {
    int64_t row, head, token; /* floats from one to the next */
} Strides;

static inline float sum(__m256 x)
{
    __m128 half = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    half = _mm_add_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_add_ss(half, _mm_movehdup_ps(half)));
}

/* e to the power of x, for x of at most 0: 2 to a whole power times a polynomial (Cephes), within 2 units. */
static inline __m256 power_of_e(__m256 x)
{
    x = _mm256_max_ps(x, _mm256_set1_ps(-87.0f));
    const __m256 whole = _mm256_round_ps(_mm256_mul_ps(x, _mm256_set1_ps(1.44269504088896341f)),
                                         _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    x = _mm256_fnmadd_ps(whole, _mm256_set1_ps(0.693359375f), x);
    x = _mm256_fnmadd_ps(whole, _mm256_set1_ps(-2.12194440e-4f), x);
    __m256 y = _mm256_set1_ps(1.9875691500e-4f);
    y = _mm256_fmadd_ps(y, x, _mm256_set1_ps(1.3981999507e-3f));
    y = _mm256_fmadd_ps(y, x, _mm256_set1_ps(8.3334519073e-3f));
    y = _mm256_fmadd_ps(y, x, _mm256_set1_ps(4.1665795894e-2f));
    y = _mm256_fmadd_ps(y, x, _mm256_set1_ps(1.6666665459e-1f));
    y = _mm256_fmadd_ps(y, x, _mm256_set1_ps(5.0000001201e-1f));
    y = _mm256_add_ps(_mm256_fmadd_ps(y, _mm256_mul_ps(x, x), x), _mm256_set1_ps(1.0f));
    const __m256i power = _mm256_slli_epi32(
        _mm256_add_epi32(_mm256_cvtps_epi32(whole), _mm256_set1_epi32(127)), 23);
    return _mm256_mul_ps(y, _mm256_castsi256_ps(power));
}

static inline float product(const float *a, const float *b, int64_t size)
{
    __m256 first = _mm256_setzero_ps(), second = _mm256_setzero_ps();
    int64_t at = 0;
    for (; at + 2 * LANES <= size; at += 2 * LANES) {
        first = _mm256_fmadd_ps(_mm256_loadu_ps(a + at), _mm256_loadu_ps(b + at), first);
        second = _mm256_fmadd_ps(_mm256_loadu_ps(a + at + LANES), _mm256_loadu_ps(b + at + LANES), second);
    }
    if (at < size)
        first = _mm256_fmadd_ps(_mm256_loadu_ps(a + at), _mm256_loadu_ps(b + at), first);
    return sum(_mm256_add_ps(first, second));
}

/* Scores to weights that are not divided by their sum yet, which is returned; `count` is rounded up to lanes, in
 * which -inf stands for nothing. */
static float weigh(float *scores, int64_t count)
{
    __m256 most = _mm256_set1_ps(-INFINITY), total = _mm256_setzero_ps();
    for (int64_t at = 0; at < count; at += LANES)
        most = _mm256_max_ps(most, _mm256_loadu_ps(scores + at));
    float lanes[LANES], largest = -INFINITY;
    _mm256_storeu_ps(lanes, most);
    for (int lane = 0; lane < LANES; lane++)
        largest = lanes[lane] > largest ? lanes[lane] : largest;
    for (int64_t at = 0; at < count; at += LANES) {
        const __m256 score = _mm256_sub_ps(_mm256_loadu_ps(scores + at), _mm256_set1_ps(largest));
        const __m256 there = _mm256_cmp_ps(score, _mm256_set1_ps(-INFINITY), _CMP_GT_OQ);
        const __m256 weight = _mm256_and_ps(power_of_e(score), there);
        _mm256_storeu_ps(scores + at, weight);
        total = _mm256_add_ps(total, weight);
    }
    return sum(total);
}

/* Some lanes of the weighted sum of values; `width` is a multiple of lanes, known where this is inlined. */
static inline __attribute__((always_inline)) void blend(
    const int width, const float *weights, const float *values, int64_t count, int64_t size, float scale, float *out)
{
    __m256 total[WIDE / LANES];
#pragma GCC unroll 8
    for (int at = 0; at < width / LANES; at++)
        total[at] = _mm256_setzero_ps();
    for (int64_t position = 0; position < count; position++) {
        const __m256 weight = _mm256_broadcast_ss(weights + position);
#pragma GCC unroll 8
        for (int at = 0; at < width / LANES; at++)
            total[at] = _mm256_fmadd_ps(
                weight, _mm256_loadu_ps(values + position * size + at * LANES), total[at]);
    }
#pragma GCC unroll 8
    for (int at = 0; at < width / LANES; at++)
        _mm256_storeu_ps(out + at * LANES, _mm256_mul_ps(total[at], _mm256_set1_ps(scale)));
}

static void attend_one(const float *query, const float *keys, const float *values, int64_t count, int64_t size,
                       float *scores, float *out)
{
    const float scale = 1.0f / sqrtf((float)size);
    const int64_t rounded = (count + LANES - 1) / LANES * LANES;
    for (int64_t position = 0; position < count; position++)
        scores[position] = scale * product(query, keys + position * size, size);
    for (int64_t position = count; position < rounded; position++)
        scores[position] = -INFINITY;
    const float share = 1.0f / weigh(scores, rounded);
    int64_t at = 0;
    for (; at + WIDE <= size; at += WIDE)
        blend(WIDE, scores, values + at, count, size, share, out + at);
    for (; at < size; at += LANES)
        blend(LANES, scores, values + at, count, size, share, out + at);
}

/* Queries [rows, heads, tokens, size] by `asked`, keys and values [rows, kv_heads, positions, size] by `held`, in
 * which a position's floats follow those of the one before; `size` is whole lanes. Token i of a row sees the
 * positions from the row's pad (none if `pads` is null) to length + i. out [rows, tokens, heads, size]. */
void attend(int64_t rows, int64_t tokens, int64_t heads, int64_t kv_heads, int64_t size, int64_t length,
            const float *queries, const Strides *asked, const float *keys, const float *values,
            const Strides *held, const int64_t *pads, float *out)
{
    const int64_t all = rows * tokens * heads, group = heads / kv_heads;
#pragma omp parallel
    {
        float *scores = malloc(sizeof(float) * (size_t)(length + tokens + LANES));
#pragma omp for schedule(dynamic, 4)
        for (int64_t number = 0; number < all; number++) {
            /* The heads of one token that share keys come one after the other. */
            const int64_t head = number % heads, token = number / heads % tokens, row = number / heads / tokens;
            const int64_t from = pads ? pads[row] : 0;
            const int64_t place = row * held->row + head / group * held->head + from * size;
            attend_one(queries + row * asked->row + head * asked->head + token * asked->token, keys + place,
                       values + place, length + token + 1 - from, size, scores, out + number * size);
        }
        free(scores);
    }
}
