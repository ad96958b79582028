/* Products with NF4 weights on processors with AVX2, straight from bitsandbytes' storage order.
 *
 * A block is 64 neighbours of a row, with one scale. The 16 values of NF4 become bytes from 0 to 128 (128 times
 * half the value, and 64), the 64 inputs of a block become bytes from -127 to 127, and bytes are multiplied
 * 32 at a time: two neighbouring products are at most 128 * 127 * 2, which fits the 16 bits they are added in.
 * What the 64 put in too much is taken off by the sum of the inputs.
 *
 * A sum is built in the same order whatever is computed beside it, so that a token's result is the same alone,
 * in a batch, and behind a draft.
 */
#include <immintrin.h>
#include <stdint.h>

enum { BLOCK = 64, GROUP = 8, STRIP = 32, BAND = 32, TOKENS = 8, AHEAD = 4096 };
/* Blocks of a group share their vector arithmetic of scales; a strip is how many blocks of eight tokens stay in
 * the first cache; a band is the rows of weights that one thread takes at a time; so many bytes ahead of its use
 * a weight is asked for, since rows are too short for the processor to see the stream that they are. */

static const uint8_t VALUES[16] = {0, 19, 30, 39, 46, 52, 58, 64, 69, 74, 80, 86, 92, 100, 110, 128};
static const float ONE = 64.0f;

typedef struct {
    int64_t columns, stride;  /* of the inputs; floats from one token's results to the next one's */
    const int8_t *inputs;     /* [tokens, columns], in a block the even ones first */
    const float *scales;      /* [tokens, blocks] */
    const float *excess;      /* [tokens, blocks]: what the 64s put in, scaled */
} Inputs;

static inline float sum(__m256 x)
{
    __m128 half = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    half = _mm_add_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_add_ss(half, _mm_movehdup_ps(half)));
}

/* 32 numbers, rounded, as bytes: the 16 even ones, then the 16 odd ones. */
static inline __m256i bytes_of(const float *x, __m256 factor)
{
    __m256i whole[4];
    for (int at = 0; at < 4; at++)
        whole[at] = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(x + 8 * at), factor));
    __m256i packed = _mm256_packs_epi16(
        _mm256_packs_epi32(whole[0], whole[1]), _mm256_packs_epi32(whole[2], whole[3]));
    packed = _mm256_permutevar8x32_epi32(packed, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
    const __m256i apart = _mm256_setr_epi8(0, 2, 4, 6, 8, 10, 12, 14, 1, 3, 5, 7, 9, 11, 13, 15,
                                           0, 2, 4, 6, 8, 10, 12, 14, 1, 3, 5, 7, 9, 11, 13, 15);
    return _mm256_permute4x64_epi64(_mm256_shuffle_epi8(packed, apart), 0xD8);
}

static void quantise_block(const float *x, int8_t *q, float *scale, float *excess)
{
    const __m256 unsign = _mm256_castsi256_ps(_mm256_set1_epi32(0x7FFFFFFF));
    __m256 most = _mm256_setzero_ps();
    for (int at = 0; at < BLOCK; at += 8)
        most = _mm256_max_ps(most, _mm256_and_ps(_mm256_loadu_ps(x + at), unsign));
    __m128 top = _mm_max_ps(_mm256_castps256_ps128(most), _mm256_extractf128_ps(most, 1));
    top = _mm_max_ps(top, _mm_movehl_ps(top, top));
    const float largest = _mm_cvtss_f32(_mm_max_ss(top, _mm_movehdup_ps(top)));
    const __m256 factor = _mm256_set1_ps(largest > 1e-30f ? 127.0f / largest : 0.0f);
    const __m256i low = bytes_of(x, factor), high = bytes_of(x + 32, factor);
    const __m256i even = _mm256_permute2x128_si256(low, high, 0x20);
    const __m256i odd = _mm256_permute2x128_si256(low, high, 0x31);
    _mm256_storeu_si256((__m256i *)q, even);
    _mm256_storeu_si256((__m256i *)(q + 32), odd);
    const __m256i ones = _mm256_set1_epi8(1);
    const __m256i pairs = _mm256_add_epi16(_mm256_maddubs_epi16(ones, even), _mm256_maddubs_epi16(ones, odd));
    const __m256 sums = _mm256_cvtepi32_ps(_mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
    *scale = largest / (127.0f * ONE);
    *excess = *scale * ONE * sum(sums);
}

/* Inputs x [tokens, columns] as bytes with a scale each block; columns are whole blocks. */
void nf4_quantise(int64_t tokens, int64_t columns, const float *x, int8_t *q, float *scales, float *excess)
{
    const int64_t blocks = tokens * (columns / BLOCK);
#pragma omp parallel for schedule(static) if (blocks > 2048)
    for (int64_t at = 0; at < blocks; at++)
        quantise_block(x + at * BLOCK, q + at * BLOCK, scales + at, excess + at);
}

/* One row of a weight times T tokens, over one strip; T is known where this is inlined. */
static inline __attribute__((always_inline)) void row_by(
    const int T, const Inputs *in, int64_t from, int64_t to, int64_t token, const uint8_t *weight,
    const float *absmax, float before, float *y)
{
    const int64_t blocks = in->columns / BLOCK;
    const int8_t *q = in->inputs + token * in->columns;
    const float *scales = in->scales + token * blocks, *excess = in->excess + token * blocks;
    const __m256i nibble = _mm256_set1_epi8(15), ones = _mm256_set1_epi16(1);
    const __m256i values = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)VALUES));
    float factors[TOKENS][GROUP] __attribute__((aligned(32)));
    __m256 total[TOKENS];
#pragma GCC unroll 8
    for (int t = 0; t < T; t++)
        total[t] = _mm256_setzero_ps();
    for (int64_t group = from; group < to; group += GROUP) {
        const int size = to - group < GROUP ? (int)(to - group) : GROUP;
        /* Of a group that is not full, the places behind its end are read as zeros. */
        const __m256i within = _mm256_cmpgt_epi32(
            _mm256_set1_epi32(size), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
        const __m256 own = _mm256_maskload_ps(absmax + group, within);
#pragma GCC unroll 8
        for (int t = 0; t < T; t++) {
            const __m256 its = _mm256_maskload_ps(scales + t * blocks + group, within);
            const __m256 much = _mm256_maskload_ps(excess + t * blocks + group, within);
            _mm256_store_ps(factors[t], _mm256_mul_ps(own, its));
            total[t] = _mm256_fnmadd_ps(own, much, total[t]);
        }
        for (int at = 0; at < size; at++) {
            const int64_t block = group + at;
            const __m256i pairs = _mm256_loadu_si256((const __m256i *)(weight + block * (BLOCK / 2)));
            _mm_prefetch((const char *)(weight + block * (BLOCK / 2) + AHEAD), _MM_HINT_T0);
            const __m256i even = _mm256_shuffle_epi8(
                values, _mm256_and_si256(_mm256_srli_epi16(pairs, 4), nibble));
            const __m256i odd = _mm256_shuffle_epi8(values, _mm256_and_si256(pairs, nibble));
#pragma GCC unroll 8
            for (int t = 0; t < T; t++) {
                const __m256i *x = (const __m256i *)(q + t * in->columns + block * BLOCK);
                const __m256i products = _mm256_add_epi32(
                    _mm256_madd_epi16(_mm256_maddubs_epi16(even, _mm256_loadu_si256(x)), ones),
                    _mm256_madd_epi16(_mm256_maddubs_epi16(odd, _mm256_loadu_si256(x + 1)), ones));
                total[t] = _mm256_fmadd_ps(
                    _mm256_broadcast_ss(&factors[t][at]), _mm256_cvtepi32_ps(products), total[t]);
            }
        }
    }
#pragma GCC unroll 8
    for (int t = 0; t < T; t++) {
        float *out = y + (token + t) * in->stride;
        *out = sum(total[t]) + (from ? *out : before);
    }
}

/* A band of rows times T tokens. */
#define BAND_BY(T)                                                                                          \
    static void band_by_##T(const Inputs *in, int64_t from, int64_t to, int64_t token, int64_t rows,        \
                            const uint8_t *weight, const float *absmax, const float *bias, float *y)        \
    {                                                                                                       \
        for (int64_t row = 0; row < rows; row++)                                                            \
            row_by(T, in, from, to, token, weight + row * (in->columns / 2),                                \
                   absmax + row * (in->columns / BLOCK), bias ? bias[row] : 0.0f, y + row);                 \
    }
BAND_BY(1)
BAND_BY(2)
BAND_BY(3)
BAND_BY(4)
BAND_BY(5)
BAND_BY(6)
BAND_BY(7)
BAND_BY(8)

typedef void Band(const Inputs *, int64_t, int64_t, int64_t, int64_t, const uint8_t *, const float *,
                  const float *, float *);
static Band *const BANDS[TOKENS + 1] = {0,           band_by_1, band_by_2, band_by_3, band_by_4,
                                        band_by_5, band_by_6, band_by_7, band_by_8};

static void whole_band(const Inputs *in, int64_t tokens, int64_t rows, const uint8_t *weight,
                       const float *absmax, const float *bias, float *y)
{
    const int64_t blocks = in->columns / BLOCK;
    for (int64_t from = 0; from < blocks; from += STRIP) {
        const int64_t to = from + STRIP < blocks ? from + STRIP : blocks;
        for (int64_t token = 0; token < tokens; token += TOKENS)
            BANDS[tokens - token < TOKENS ? tokens - token : TOKENS](
                in, from, to, token, rows, weight, absmax, bias, y);
    }
}

/* y [tokens, stride] = x W^T + bias, W made of `parts` weights [rows[i], columns] one under the other.
 * `inputs`, `scales`, `excess` as nf4_quantise makes them; `bias` may be null. */
void nf4_multiply(int64_t tokens, int64_t columns, const int8_t *inputs, const float *scales,
                  const float *excess, int64_t parts, const int64_t *rows, const uint8_t *const *weights,
                  const float *const *absmax, const float *bias, float *y, int64_t stride)
{
    const Inputs in = {columns, stride, inputs, scales, excess};
    int64_t bands = 0;
    for (int64_t part = 0; part < parts; part++)
        bands += (rows[part] + BAND - 1) / BAND;
#pragma omp parallel for schedule(dynamic, 1)
    for (int64_t number = 0; number < bands; number++) {
        int64_t part = 0, band = number, before = 0;
        while (band >= (rows[part] + BAND - 1) / BAND) {
            band -= (rows[part] + BAND - 1) / BAND;
            before += rows[part++];
        }
        const int64_t row = band * BAND, left = rows[part] - row;
        whole_band(&in, tokens, left < BAND ? left : BAND, weights[part] + row * (columns / 2),
                   absmax[part] + row * (columns / BLOCK), bias ? bias + before + row : bias,
                   y + before + row);
    }
}
