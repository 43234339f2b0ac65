// Eq. 9 and 13: K attribute heads with a mask for every channel, pooled over the pixels, and their gradients. No mask leaves the chip: the logits of a tile of
// pixels are made on the tensor cores, and what follows happens in the registers that they come in. src/cuda/heads.rs launches these kernels.
//
// All products have channels (or inputs) as rows and pixels as columns; a warp owns 32 rows. Inputs u [B·P, D] (D padded to 16) are of the factors' type, and
// the weights lie in the order of the fragments ("packed"), with zeros beyond their edges, so that only pixels have edges.
//
// A tile of 64 pixels × 128 inputs in bfloat16 (16 KiB) is read once for all K attributes: 2·64·128·128 operations for each 32 KiB of packed weights, which
// come from the caches. The backward pass has one kernel that keeps the inputs' gradient of a tile and one that keeps an attribute's weights' gradient, both
// on the chip; each computes the masks anew, so that the pass is 4 products where 3 would do with masks in memory.
//
// With bfloat16 factors the features that masks are multiplied by are the rounded ones too, and sigmoids have errors of up to 2.5e-4.
//
// Where rows (attribute, channel) are left out, the kept ones are gathered first, and the kernels named ..._rows take them for the channels of one attribute.
// A table says which channel's features each is multiplied by; all else is as with all rows.
#include "mma.cuh"

namespace {

constexpr unsigned WARPS = 4, THREADS = 32 * WARPS;
// Rows of a warp; of a block, which are also the inputs that are in shared memory at a time.
constexpr unsigned ROWS = 32, PANEL = WARPS * ROWS;
// Pixels of a tile, in the weights' gradient too; tiles of a block in the forward pass without curves.
constexpr unsigned TILE = 64, SHORT_TILE = 32, PASSES = 2;
// Distances of rows in shared memory. The 16 bytes beyond a power of two spread a column over all banks.
constexpr unsigned PITCH = PANEL + 8, TILE_PITCH = TILE + 8;

__device__ __forceinline__ unsigned padded(unsigned n, unsigned to) { return (n + to - 1) / to * to; }

// Lane/4, and 2·(lane mod 4): where a lane's first element of a fragment lies.
__device__ __forceinline__ unsigned row_of_lane() { return threadIdx.x % 32 / 4; }
__device__ __forceinline__ unsigned column_of_lane() { return threadIdx.x % 4 * 2; }

// The sums of 16 rows × 16 columns: two fragments side by side.
typedef float Sums[2][4];

// Factors in bfloat16. A: 16 rows × 16 terms, B: 16 terms × 16 columns.
struct Bf16 {
    typedef __nv_bfloat16 Store;
    struct A { unsigned values[4]; };
    struct B { unsigned values[2][2]; };
    // 16-byte pieces that a lane has of a packed fragment.
    static constexpr unsigned PIECES = 1;

    static __device__ Store store(float x) { return __float2bfloat16_rn(x); }
    static __device__ unsigned pair(float x, float y) {
        __nv_bfloat162 both = __floats2bfloat162_rn(x, y);
        unsigned bits;
        memcpy(&bits, &both, sizeof(bits));
        return bits;
    }
    static __device__ void store_pair(Store* at, float x, float y) { *reinterpret_cast<__nv_bfloat162*>(at) = __floats2bfloat162_rn(x, y); }
    static __device__ float value(Store x) { return __bfloat162float(x); }
    static __device__ float2 pair_at(const Store* at) { return __bfloat1622float2(*reinterpret_cast<const __nv_bfloat162*>(at)); }

    // Word `i` of a lane's packed fragment, from a function of (row, term).
    template <typename Value>
    static __device__ unsigned pack(unsigned i, Value value) {
        unsigned row = row_of_lane() + i % 2 * 8, term = column_of_lane() + i / 2 * 8;
        return pair(value(row, term), value(row, term + 1));
    }
    static __device__ A load(const uint4* packed) {
        uint4 v = __ldg(packed + threadIdx.x % 32);
        return {{v.x, v.y, v.z, v.w}};
    }
    // Sums as a left factor whose terms are their columns.
    static __device__ A left(const Sums& s) { return {{pair(s[0][0], s[0][1]), pair(s[0][2], s[0][3]), pair(s[1][0], s[1][1]), pair(s[1][2], s[1][3])}}; }
    // From shared memory with a row for each column of the product, and with a row for each term.
    static __device__ B by_column(const Store* at, unsigned pitch) {
        unsigned lane = threadIdx.x % 32, v[4];
        ldmatrix4(v, at + (lane / 16 * 8 + lane % 8) * pitch + lane / 8 % 2 * 8, false);
        return {{{v[0], v[1]}, {v[2], v[3]}}};
    }
    static __device__ B by_term(const Store* at, unsigned pitch) {
        unsigned lane = threadIdx.x % 32, v[4];
        ldmatrix4(v, at + (lane / 8 % 2 * 8 + lane % 8) * pitch + lane / 16 * 8, true);
        return {{{v[0], v[1]}, {v[2], v[3]}}};
    }
    // Elements in the places of sums, from shared memory with a row for each column of theirs.
    static __device__ void like_sums(Sums& out, const Store* at, unsigned pitch) {
        unsigned lane = threadIdx.x % 32, v[4];
        ldmatrix4(v, at + (lane / 16 * 8 + lane % 8) * pitch + lane / 8 % 2 * 8, true);
        for (unsigned i = 0; i < 4; i++) {
            out[i / 2][i % 2 * 2] = __uint_as_float(v[i] << 16);
            out[i / 2][i % 2 * 2 + 1] = __uint_as_float(v[i] & 0xFFFF0000u);
        }
    }
    static __device__ void product(Sums& sums, const A& a, const B& b) {
        mma_bf16(sums[0], a.values, b.values[0]);
        mma_bf16(sums[1], a.values, b.values[1]);
    }
    static __device__ float sigmoid(float x) { return fmaf(tanh_approx(0.5f * x), 0.5f, 0.5f); }
};

// Factors in f32, each as the sum of two TF32 values, of whose four products the smallest is left out: about the precision of f32 on the tensor cores. A lane's
// terms are neighbours (t, t+1) for the hardware's (l, l+4), in both factors, which changes the order of terms only.
struct F32 {
    typedef float Store;
    struct A { float values[2][4]; };
    struct B { float values[2][2][2]; };
    static constexpr unsigned PIECES = 2;

    static __device__ Store store(float x) { return x; }
    static __device__ void store_pair(Store* at, float x, float y) { *reinterpret_cast<float2*>(at) = make_float2(x, y); }
    static __device__ float value(Store x) { return x; }
    static __device__ float2 pair_at(const Store* at) { return *reinterpret_cast<const float2*>(at); }

    template <typename Value>
    static __device__ unsigned pack(unsigned i, Value value) {
        return __float_as_uint(value(row_of_lane() + i % 2 * 8, column_of_lane() + i / 2 % 2 + i / 4 * 8));
    }
    static __device__ A load(const uint4* packed) {
        A a;
        for (unsigned i = 0; i < 2; i++) {
            uint4 v = __ldg(packed + i * 32 + threadIdx.x % 32);
            a.values[i][0] = __uint_as_float(v.x);
            a.values[i][1] = __uint_as_float(v.y);
            a.values[i][2] = __uint_as_float(v.z);
            a.values[i][3] = __uint_as_float(v.w);
        }
        return a;
    }
    static __device__ A left(const Sums& s) { return {{{s[0][0], s[0][2], s[0][1], s[0][3]}, {s[1][0], s[1][2], s[1][1], s[1][3]}}}; }
    static __device__ B by_column(const Store* at, unsigned pitch) {
        B b;
        for (unsigned i = 0; i < 4; i++) {
            float2 v = *reinterpret_cast<const float2*>(at + (i / 2 * 8 + row_of_lane()) * pitch + i % 2 * 8 + column_of_lane());
            b.values[i / 2][i % 2][0] = v.x;
            b.values[i / 2][i % 2][1] = v.y;
        }
        return b;
    }
    static __device__ B by_term(const Store* at, unsigned pitch) {
        B b;
        for (unsigned i = 0; i < 8; i++) b.values[i / 4][i / 2 % 2][i % 2] = at[(i / 2 % 2 * 8 + column_of_lane() + i % 2) * pitch + i / 4 * 8 + row_of_lane()];
        return b;
    }
    static __device__ void like_sums(Sums& out, const Store* at, unsigned pitch) {
        for (unsigned i = 0; i < 8; i++) out[i / 4][i % 4] = at[(i / 4 * 8 + column_of_lane() + i % 2) * pitch + i / 2 % 2 * 8 + row_of_lane()];
    }
    static __device__ void product(Sums& sums, const A& a, const B& b) {
        for (unsigned k = 0; k < 2; k++) {
            unsigned high[4], low[4];
            for (unsigned i = 0; i < 4; i++) split(a.values[k][i], high[i], low[i]);
            for (unsigned j = 0; j < 2; j++) {
                unsigned b_high[2], b_low[2];
                for (unsigned i = 0; i < 2; i++) split(b.values[j][k][i], b_high[i], b_low[i]);
                mma_tf32(sums[j], low, b_high);
                mma_tf32(sums[j], high, b_low);
                mma_tf32(sums[j], high, b_high);
            }
        }
    }
    static __device__ void split(float x, unsigned& high, unsigned& low) {
        high = to_tf32(x);
        low = to_tf32(x - __uint_as_float(high));
    }
    static __device__ float sigmoid(float x) { return 1.f / (1.f + expf(-x)); }
};

// The counts that all kernels take.
struct Dims {
    unsigned pixels, channels, inputs, attributes;
    __device__ unsigned pitch() const { return padded(inputs, 16); }
    __device__ unsigned chunks() const { return (inputs + PANEL - 1) / PANEL; }
    __device__ unsigned panels() const { return (channels + PANEL - 1) / PANEL; }
    // Steps of 16 terms in one chunk of the inputs, or one panel of the channels.
    __device__ unsigned input_steps(unsigned chunk) const { return (min(inputs - chunk * PANEL, PANEL) + 15) / 16; }
    __device__ unsigned channel_steps(unsigned panel) const { return min(padded(channels, ROWS) - panel * PANEL, PANEL) / 16; }
    // Packed fragments of 16 channels × 16 inputs and of 16 inputs × 16 channels.
    template <typename F>
    __device__ const uint4* to_logits(const uint4* packed, unsigned attribute, unsigned channel, unsigned input) const {
        size_t fragment = (size_t(attribute) * (padded(channels, ROWS) / 16) + channel / 16) * (pitch() / 16) + input / 16;
        return packed + fragment * 32 * F::PIECES;
    }
    template <typename F>
    __device__ const uint4* to_inputs(const uint4* packed, unsigned attribute, unsigned input, unsigned channel) const {
        size_t fragment = (size_t(attribute) * (padded(inputs, ROWS) / 16) + input / 16) * (padded(channels, ROWS) / 16) + channel / 16;
        return packed + fragment * 32 * F::PIECES;
    }
};

// Begins to copy `count` pixels' inputs of one chunk; `valid` of the pixels exist, the rest and inputs beyond the last are zeros, up to whole warps' rows.
template <typename F>
__device__ void begin_load(typename F::Store* tile, const typename F::Store* u, const Dims& dims, size_t pixel, unsigned valid, unsigned count, unsigned chunk) {
    constexpr unsigned EACH = 16 / sizeof(typename F::Store);
    unsigned pitch = dims.pitch(), first = chunk * PANEL;
    unsigned pieces = min(padded(max(dims.inputs, padded(dims.channels, ROWS)) - first, ROWS), PANEL) / EACH;
    for (unsigned i = threadIdx.x; i < count * pieces; i += THREADS) {
        unsigned row = i / pieces, column = i % pieces * EACH;
        bool inside = row < valid && first + column < pitch;
        copy_async(tile + row * PITCH + column, inside ? u + (pixel + row) * pitch + first + column : u, inside ? 16 : 0);
    }
}

__device__ __forceinline__ void end_load() {
    copies_commit();
    copies_wait<0>();
    __syncthreads();
}

// No row, no slot.
constexpr unsigned NONE = 0xFFFFFFFFu;

// The kept rows, where some are left out. They have slots, 128 to a panel, ordered by channel; the channels of a panel are of the same 128. One after another:
// the row k·C + c of each slot, or NONE in slots that are empty; its channel, in empty ones some channel of the panel; for each panel and each of its 128
// channels how many slots of the panel come before, and how many there are; the slot of each row, or NONE.
struct Table {
    const unsigned* words;
    unsigned panels;
    __device__ unsigned slots() const { return panels * PANEL; }
    __device__ unsigned row(unsigned slot) const { return __ldg(words + slot); }
    __device__ unsigned channel(unsigned slot) const { return __ldg(words + slots() + slot); }
    __device__ const unsigned* starts(unsigned panel) const { return words + 2 * size_t(slots()) + panel * (PANEL + 1); }
    __device__ unsigned slot(unsigned row) const { return __ldg(words + 2 * size_t(slots()) + panels * (PANEL + 1) + row); }
};

// Which features a warp's rows are multiplied by: those of the rows themselves, which are channels.
struct OfRows {
    static constexpr bool listed = false;
    __device__ void select(unsigned) {}
    __device__ unsigned chunk(unsigned panel) const { return panel; }
    // Of 16 rows and pixels, from shared memory with a row for each pixel.
    template <typename F>
    __device__ void get(Sums& out, const typename F::Store* at, unsigned m) const { F::like_sums(out, at + threadIdx.x / 32 * ROWS + m * 16, PITCH); }
};

// Those of the channels in the table.
struct OfTable {
    static constexpr bool listed = true;
    Table table;
    // Of a lane's four rows, among the panel's 128.
    unsigned channels[4];
    __device__ void select(unsigned panel) {
#pragma unroll
        for (unsigned i = 0; i < 4; i++) channels[i] = table.channel(panel * PANEL + threadIdx.x / 32 * ROWS + i * 8 + row_of_lane()) % PANEL;
    }
    __device__ unsigned chunk(unsigned panel) const { return table.channel(panel * PANEL) / PANEL; }
    template <typename F>
    __device__ void get(Sums& out, const typename F::Store* at, unsigned m) const {
#pragma unroll
        for (unsigned i = 0; i < 8; i++) out[i / 4][i % 4] = F::value(at[(i / 4 * 8 + column_of_lane() + i % 2) * PITCH + channels[m * 2 + i / 2 % 2]]);
    }
    // Adds to the sums of a warp's 32 inputs and 64 pixels what lies in the rows [128 slots, 64] of shared memory whose channel an input is.
    template <typename F>
    __device__ void add_own(Sums (&sums)[2][4], const typename F::Store* rows, unsigned panel) const {
        const unsigned* starts = table.starts(panel) + threadIdx.x / 32 * ROWS;
#pragma unroll
        for (unsigned i = 0; i < 4; i++) {
            unsigned end = __ldg(starts + i * 8 + row_of_lane() + 1);
            for (unsigned slot = __ldg(starts + i * 8 + row_of_lane()); slot < end; slot++) {
#pragma unroll
                for (unsigned j = 0; j < 8; j++) {
                    float2 pair = F::pair_at(rows + slot * TILE_PITCH + j * 8 + column_of_lane());
                    sums[i / 2][j / 2][j % 2][i % 2 * 2] += pair.x;
                    sums[i / 2][j / 2][j % 2][i % 2 * 2 + 1] += pair.y;
                }
            }
        }
        __syncwarp();
    }
};

// The warp's logits of 32 channels and 16·N pixels: their biases.
template <unsigned N>
__device__ __forceinline__ void begin_logits(Sums (&sums)[2][N], const float* bias, const Dims& dims, unsigned attribute, unsigned channel) {
#pragma unroll
    for (unsigned m = 0; m < 2; m++) {
        float start[2];
#pragma unroll
        for (unsigned r = 0; r < 2; r++) {
            unsigned c = channel + m * 16 + r * 8 + row_of_lane();
            start[r] = c < dims.channels ? __ldg(bias + size_t(attribute) * dims.channels + c) : 0.f;
        }
#pragma unroll
        for (unsigned i = 0; i < N * 8; i++) sums[m][i / 8][i / 4 % 2][i % 4] = start[i / 2 % 2];
    }
}

// Adds Σ over `steps`·16 terms of two left factors `left` (of which the second lies `next` pieces on) and of rows in shared memory.
template <typename F, unsigned N, bool term_rows>
__device__ __forceinline__ void add_product(Sums (&sums)[2][N], const uint4* left, size_t next, const typename F::Store* right, unsigned pitch, unsigned steps) {
#pragma unroll 2
    for (unsigned step = 0; step < steps; step++) {
        typename F::A a[2] = {F::load(left + step * 32 * F::PIECES), F::load(left + next + step * 32 * F::PIECES)};
#pragma unroll
        for (unsigned j = 0; j < N; j++) {
            typename F::B b = term_rows ? F::by_term(right + step * 16 * pitch + j * 16, pitch) : F::by_column(right + j * 16 * pitch + step * 16, pitch);
            F::product(sums[0][j], a[0], b);
            F::product(sums[1][j], a[1], b);
        }
    }
}

// Adds one chunk's products to the logits.
template <typename F, unsigned N>
__device__ __forceinline__ void add_logits(Sums (&sums)[2][N], const uint4* packed, const typename F::Store* rows, const Dims& dims, unsigned attribute, unsigned channel, unsigned chunk) {
    const uint4* left = dims.to_logits<F>(packed, attribute, channel, chunk * PANEL);
    add_product<F, N, false>(sums, left, size_t(dims.pitch() / 16) * 32 * F::PIECES, rows, PITCH, dims.input_steps(chunk));
}

// The four channels of a lane: the sum over the four lanes that share them.
__device__ __forceinline__ float over_pixels(float x) {
    x += __shfl_xor_sync(0xFFFFFFFFu, x, 1);
    return x + __shfl_xor_sync(0xFFFFFFFFu, x, 2);
}

// Not below the floor; NaN stays NaN.
__device__ __forceinline__ float clip(float g, float floor) {
    return g < floor ? floor : g;
}

// g(M; n, β) of Eq. 11 and 12, clipped at the floor.
__device__ __forceinline__ float tone(float mask, float n, float beta, float floor) {
    float h = mask;
    if (n != 1.f) {
        bool low = mask < 0.5f;
        float t = 2.f * (low ? mask : 1.f - mask);
        float half = 0.5f * (n == 2.f ? t * t : n == 3.f ? t * t * t : exp2f(n * log2f(t)));
        h = low ? half : 1.f - half;
    }
    return clip((1.f + beta) * h - beta, floor);
}

// Sums over the pixels of a block: [B, parts, K, curves, 2, C], of mask ⊗ feature, then of the mask.
template <typename F, bool curved, typename Features>
__device__ void forward(const typename F::Store* u, const uint4* packed, const float* bias, const float* curves, unsigned curve_count, Dims dims, Features of, unsigned each, unsigned parts, float* out) {
    typedef typename F::Store Store;
    constexpr unsigned passes = curved ? 1 : PASSES;
    DYNAMIC_SHARED(Store, memory);
    unsigned image = blockIdx.x / parts, part = blockIdx.x % parts, start = part * TILE * passes;
    unsigned valid = min(dims.pixels - start, TILE * passes), warp = threadIdx.x / 32, chunks = dims.chunks();
    size_t pixel = size_t(image) * dims.pixels + start;
    Store* features = memory + TILE * PITCH;
    if (chunks == 1) {
        begin_load<F>(memory, u, dims, pixel, valid, padded(valid, TILE), 0);
        end_load();
    }
    // `each` attributes, or panels of the one that kept rows have.
    unsigned own = blockIdx.y * each, end = min(Features::listed ? dims.panels() : dims.attributes, own + each);
    for (unsigned k = Features::listed ? 0 : own; k < (Features::listed ? 1 : end); k++) {
        for (unsigned panel = Features::listed ? own : 0; panel < (Features::listed ? end : dims.panels()); panel++) {
            unsigned channel = panel * PANEL + warp * ROWS;
            of.select(panel);
            bool active = channel < dims.channels;
            float products[2][2] = {}, totals[2][2] = {};
            for (unsigned first = 0; first < valid; first += TILE) {
                const Store *rows = memory, *z = features;
                Sums masks[2][4];
                if (active) begin_logits(masks, bias, dims, k, channel);
                for (unsigned chunk = 0; chunk < chunks; chunk++) {
                    if (chunks == 1) {
                        z = rows = memory + first * PITCH;
                    } else {
                        __syncthreads();
                        if (chunk == 0) begin_load<F>(features, u, dims, pixel + first, valid - first, TILE, of.chunk(panel));
                        begin_load<F>(memory, u, dims, pixel + first, valid - first, TILE, chunk);
                        end_load();
                    }
                    if (active) add_logits<F>(masks, packed, rows, dims, k, channel, chunk);
                }
                if (!active) continue;
#pragma unroll
                for (unsigned m = 0; m < 2; m++)
#pragma unroll
                    for (unsigned i = 0; i < 32; i++) {
                        float& v = masks[m][i / 8][i / 4 % 2][i % 4];
                        v = F::sigmoid(v);
                    }
                for (unsigned curve = 0; curve < (curved ? curve_count : 1); curve++) {
#pragma unroll
                    for (unsigned m = 0; m < 2; m++) {
                        float n[2], beta[2], floor[2], product[2] = {}, total[2] = {};
#pragma unroll
                        for (unsigned r = 0; curved && r < 2; r++) {
                            unsigned c = min(channel + m * 16 + r * 8 + row_of_lane(), dims.channels - 1);
                            size_t at = (size_t(curve) * dims.attributes + k) * dims.channels + c;
                            n[r] = __ldg(curves + 3 * at);
                            beta[r] = __ldg(curves + 3 * at + 1);
                            floor[r] = __ldg(curves + 3 * at + 2);
                        }
#pragma unroll
                        for (unsigned j = 0; j < 4; j++) {
                            // Lanes part in tone(), and the features are read by all of a warp together.
                            if (curved) __syncwarp();
                            Sums feature;
                            of.template get<F>(feature, z + j * 16 * PITCH, m);
#pragma unroll
                            for (unsigned i = 0; i < 8; i++) {
                                unsigned r = i / 2 % 2;
                                float mask = masks[m][j][i / 4][i % 4];
                                if (curved) mask = tone(mask, n[r], beta[r], floor[r]);
                                if (first + j * 16 + i / 4 * 8 + column_of_lane() + i % 2 >= valid) mask = 0.f;
                                product[r] = fmaf(mask, feature[i / 4][i % 4], product[r]);
                                total[r] += mask;
                            }
                        }
#pragma unroll
                        for (unsigned r = 0; r < 2; r++) {
                            products[m][r] = (curved ? 0.f : products[m][r]) + over_pixels(product[r]);
                            totals[m][r] = (curved ? 0.f : totals[m][r]) + over_pixels(total[r]);
                        }
                    }
                    if (first + TILE < valid) continue;
#pragma unroll
                    for (unsigned i = 0; i < 4; i++) {
                        unsigned c = channel + i * 8 + row_of_lane();
                        size_t row = ((size_t(blockIdx.x) * dims.attributes + k) * (curved ? curve_count : 1) + curve) * 2;
                        if (threadIdx.x % 4 == 0 && c < dims.channels) {
                            out[row * dims.channels + c] = products[i / 2][i % 2];
                            out[(row + 1) * dims.channels + c] = totals[i / 2][i % 2];
                        }
                    }
                }
            }
        }
    }
}

// The upstream gradients of a lane's four channels, divided by the number of pixels: of the features' means and of the masks'.
struct Upstream {
    float features[4], masks[4];
    __device__ void load(const float* g, const Dims& dims, unsigned image, unsigned attribute, unsigned channel) {
        const float* row = g + (size_t(image) * dims.attributes + attribute) * 2 * dims.channels;
#pragma unroll
        for (unsigned i = 0; i < 4; i++) {
            unsigned c = channel + i * 8 + row_of_lane();
            features[i] = c < dims.channels ? __ldg(row + c) / dims.pixels : 0.f;
            masks[i] = c < dims.channels ? __ldg(row + dims.channels + c) / dims.pixels : 0.f;
        }
    }
};

// Gradient of the inputs, [B·P, D]: a block has 64 pixels and 128 inputs.
template <typename F, typename Features>
__device__ void inputs_gradient(const typename F::Store* u, const uint4* to_logits, const uint4* to_inputs, const float* bias, const float* g, Dims dims, Features of, unsigned parts, float* out) {
    typedef typename F::Store Store;
    DYNAMIC_SHARED(Store, memory);
    unsigned image = blockIdx.x / parts, start = blockIdx.x % parts * TILE, valid = min(dims.pixels - start, TILE);
    unsigned warp = threadIdx.x / 32, chunks = dims.chunks(), input = blockIdx.y * PANEL + warp * ROWS;
    size_t pixel = size_t(image) * dims.pixels + start;
    // [64, 128 inputs], [128 channels, 64], and features where the inputs are of several chunks.
    Store *gradients = memory + TILE * PITCH, *features = chunks == 1 ? memory : gradients + PANEL * TILE_PITCH;
    if (chunks == 1) {
        begin_load<F>(memory, u, dims, pixel, valid, TILE, 0);
        end_load();
    }
    Sums sums[2][4] = {};
    for (unsigned k = 0; k < dims.attributes; k++) {
        for (unsigned panel = 0; panel < dims.panels(); panel++) {
            unsigned channel = panel * PANEL + warp * ROWS;
            bool active = channel < dims.channels;
            of.select(panel);
            Sums logits[2][4];
            if (active) begin_logits(logits, bias, dims, k, channel);
            for (unsigned chunk = 0; chunk < chunks; chunk++) {
                if (chunks > 1) {
                    __syncthreads();
                    if (chunk == 0) begin_load<F>(features, u, dims, pixel, valid, TILE, of.chunk(panel));
                    begin_load<F>(memory, u, dims, pixel, valid, TILE, chunk);
                    end_load();
                }
                if (active) add_logits<F>(logits, to_logits, memory, dims, k, channel, chunk);
            }
            Upstream up;
            if (active) up.load(g, dims, image, k, channel);
            if constexpr (Features::listed) {
                // The features are the first of the inputs, but other lanes have their gradient. All threads of the block take the same branch.
                bool own = of.chunk(panel) == blockIdx.y;
#pragma unroll
                for (unsigned m = 0; m < 2; m++)
#pragma unroll
                    for (unsigned i = 0; i < 32; i += 2) {
                        unsigned r = m * 2 + i / 2 % 2, p = i / 8 * 16 + i / 4 % 2 * 8 + column_of_lane();
                        float (&pair)[4] = logits[m][i / 8][i / 4 % 2];
                        for (unsigned e = i % 4; e < i % 4 + 2; e++) pair[e] = F::sigmoid(pair[e]);
                        if (!own) continue;
                        F::store_pair(gradients + (warp * ROWS + r * 8 + row_of_lane()) * TILE_PITCH + p, pair[i % 4] * up.features[r], pair[i % 4 + 1] * up.features[r]);
                    }
                if (own) {
                    __syncthreads();
                    of.template add_own<F>(sums, gradients, panel);
                    __syncthreads();
                }
            }
            if (active) {
#pragma unroll
                for (unsigned m = 0; m < 2; m++)
#pragma unroll
                    for (unsigned j = 0; j < 4; j++) {
                        Sums feature;
                        of.template get<F>(feature, features + j * 16 * PITCH, m);
#pragma unroll
                        for (unsigned i = 0; i < 8; i += 2) {
                            unsigned r = m * 2 + i / 2 % 2, p = j * 16 + i / 4 * 8 + column_of_lane();
                            float own[2];
#pragma unroll
                            for (unsigned e = 0; e < 2; e++) {
                                float logit = logits[m][j][i / 4][i % 4 + e], mask = Features::listed ? logit : F::sigmoid(logit);
                                // The features are the first of the inputs: the same lane has their gradient.
                                if (!Features::listed && panel == blockIdx.y) sums[m][j][i / 4][i % 4 + e] = fmaf(mask, up.features[r], sums[m][j][i / 4][i % 4 + e]);
                                own[e] = p + e < valid ? fmaf(up.features[r], feature[i / 4][i % 4 + e], up.masks[r]) * (mask * (1.f - mask)) : 0.f;
                            }
                            F::store_pair(gradients + (warp * ROWS + r * 8 + row_of_lane()) * TILE_PITCH + p, own[0], own[1]);
                        }
                    }
            }
            __syncthreads();
            if (input < dims.inputs) {
                const uint4* left = dims.to_inputs<F>(to_inputs, k, input, panel * PANEL);
                size_t next = size_t(padded(dims.channels, ROWS) / 16) * 32 * F::PIECES;
                add_product<F, 4, true>(sums, left, next, gradients, TILE_PITCH, dims.channel_steps(panel));
            }
            __syncthreads();
        }
    }
#pragma unroll
    for (unsigned m = 0; m < 2; m++)
#pragma unroll
        for (unsigned i = 0; i < 32; i++) {
            unsigned d = input + m * 16 + i / 2 % 2 * 8 + row_of_lane(), p = i / 8 * 16 + i / 4 % 2 * 8 + column_of_lane() + i % 2;
            if (d < dims.inputs && p < valid) out[(pixel + p) * dims.inputs + d] = sums[m][i / 8][i / 4 % 2][i % 4];
        }
}

// Gradients of the weights and biases by the tiles of one part of all pixels: [parts, K, C, D] and [parts, K, C]. A block has one attribute and 128 channels ×
// 128 inputs; blocks of all attributes read the same pixels at about the same time.
template <typename F, typename Features>
__device__ void weights_gradient(const typename F::Store* u, const uint4* packed, const float* bias, const float* g, Dims dims, Features of, unsigned tiles, unsigned each, float* dw, float* db) {
    typedef typename F::Store Store;
    DYNAMIC_SHARED(Store, memory);
    unsigned k = blockIdx.x / dims.panels(), part = blockIdx.y, panel = blockIdx.x % dims.panels(), input_panel = blockIdx.z;
    unsigned warp = threadIdx.x / 32, chunks = dims.chunks(), channel = panel * PANEL + warp * ROWS;
    unsigned of_image = (dims.pixels + SHORT_TILE - 1) / SHORT_TILE, end = min(tiles, (part + 1) * each);
    bool active = channel < dims.channels;
    of.select(panel);
    auto buffer = [&](unsigned i) { return memory + i * SHORT_TILE * PITCH; };
    auto load = [&](Store* to, unsigned tile, unsigned chunk) {
        unsigned start = tile % of_image * SHORT_TILE;
        begin_load<F>(to, u, dims, size_t(tile / of_image) * dims.pixels + start, min(dims.pixels - start, SHORT_TILE), SHORT_TILE, chunk);
    };
    Sums sums[2][PANEL / 16] = {};
    float biases[4] = {};
    if (chunks == 1 && part * each < end) {
        load(buffer(part * each % 2), part * each, 0);
        copies_commit();
    }
    for (unsigned tile = part * each; tile < end; tile++) {
        // The next tile is on its way while this one is worked on.
        const Store *rows = buffer(chunks == 1 ? tile % 2 : 0), *features = chunks == 1 ? rows : buffer(1), *inputs = chunks == 1 ? rows : buffer(2);
        Sums logits[2][2];
        if (active) begin_logits(logits, bias, dims, k, channel);
        for (unsigned chunk = 0; chunk < chunks; chunk++) {
            if (chunks == 1) {
                if (tile + 1 < end) load(buffer((tile + 1) % 2), tile + 1, 0);
                copies_commit();
                copies_wait<1>();
                __syncthreads();
            } else {
                __syncthreads();
                if (chunk == 0) {
                    load(buffer(1), tile, of.chunk(panel));
                    load(buffer(2), tile, input_panel);
                }
                load(buffer(0), tile, chunk);
                end_load();
            }
            if (active) add_logits<F>(logits, packed, rows, dims, k, channel, chunk);
        }
        if (active) {
            unsigned valid = min(dims.pixels - tile % of_image * SHORT_TILE, SHORT_TILE);
            Upstream up;
            up.load(g, dims, tile / of_image, k, channel);
#pragma unroll
            for (unsigned j = 0; j < 2; j++) {
                typename F::A a[2];
#pragma unroll
                for (unsigned m = 0; m < 2; m++) {
                    Sums feature;
                    of.template get<F>(feature, features + j * 16 * PITCH, m);
#pragma unroll
                    for (unsigned i = 0; i < 8; i++) {
                        unsigned r = m * 2 + i / 2 % 2;
                        float& v = logits[m][j][i / 4][i % 4];
                        float mask = F::sigmoid(v);
                        v = fmaf(up.features[r], feature[i / 4][i % 4], up.masks[r]) * (mask * (1.f - mask));
                        if (j * 16 + i / 4 * 8 + column_of_lane() + i % 2 >= valid) v = 0.f;
                        biases[r] += v;
                    }
                    a[m] = F::left(logits[m][j]);
                }
#pragma unroll
                for (unsigned n = 0; n < PANEL / 16; n++) {
                    if (input_panel * PANEL + n * 16 >= dims.inputs) continue;
                    typename F::B b = F::by_term(inputs + j * 16 * PITCH + n * 16, PITCH);
                    F::product(sums[0][n], a[0], b);
                    F::product(sums[1][n], a[1], b);
                }
            }
        }
        __syncthreads();
    }
    copies_wait<0>();
    if (!active) return;
    size_t row = size_t(part) * dims.attributes + k;
#pragma unroll
    for (unsigned m = 0; m < 2; m++)
#pragma unroll
        for (unsigned i = 0; i < PANEL / 2; i++) {
            unsigned c = channel + m * 16 + i / 2 % 2 * 8 + row_of_lane(), d = input_panel * PANEL + i / 4 * 8 + column_of_lane() + i % 2;
            if (c < dims.channels && d < dims.inputs) dw[(row * dims.channels + c) * dims.inputs + d] = sums[m][i / 8][i / 4 % 2][i % 4];
        }
#pragma unroll
    for (unsigned i = 0; i < 4; i++) {
        unsigned c = channel + i * 8 + row_of_lane();
        float sum = over_pixels(biases[i]);
        if (input_panel == 0 && threadIdx.x % 4 == 0 && c < dims.channels) db[row * dims.channels + c] = sum;
    }
}

// Matrices [count, rows, terms] in the order of left fragments: a block of 32 threads has one of 16 × 16, of which `across` lie beside each other.
template <typename F>
__device__ void pack_left(const float* values, unsigned rows, unsigned terms, size_t row_step, size_t term_step, unsigned down, unsigned across, uint4* out) {
    size_t matrix = blockIdx.x / (down * across);
    unsigned first = blockIdx.x / across % down * 16, start = blockIdx.x % across * 16;
    auto value = [&](unsigned row, unsigned term) {
        bool inside = first + row < rows && start + term < terms;
        return inside ? values[matrix * rows * terms + (first + row) * row_step + (start + term) * term_step] : 0.f;
    };
    for (unsigned i = 0; i < F::PIECES; i++) {
        uint4 piece = make_uint4(F::pack(i * 4, value), F::pack(i * 4 + 1, value), F::pack(i * 4 + 2, value), F::pack(i * 4 + 3, value));
        out[(size_t(blockIdx.x) * F::PIECES + i) * 32 + threadIdx.x] = piece;
    }
}

template <typename F>
__device__ void pack_rows(const float* values, unsigned rows, unsigned inputs, typename F::Store* out) {
    unsigned pitch = padded(inputs, 16);
    size_t total = size_t(rows) * pitch, step = size_t(gridDim.x) * blockDim.x;
    for (size_t i = size_t(blockIdx.x) * blockDim.x + threadIdx.x; i < total; i += step) {
        unsigned column = i % pitch;
        out[i] = F::store(column < inputs ? values[i / pitch * inputs + column] : 0.f);
    }
}

} // namespace

// Inputs [rows, D] as factors [rows, D padded to 16].
#define PACK_INPUTS(name, F) \
    extern "C" __global__ void name(const float* values, unsigned rows, unsigned inputs, F::Store* out) { pack_rows<F>(values, rows, inputs, out); }
PACK_INPUTS(pack_inputs_bf16, Bf16)
PACK_INPUTS(pack_inputs_f32, F32)

// Weights [K·C, D] as left factors: rows are channels, or inputs.
#define PACK_WEIGHTS(name, F) \
    extern "C" __global__ void name##_to_logits(const float* w, unsigned channels, unsigned inputs, unsigned down, unsigned across, uint4* out) { \
        pack_left<F>(w, channels, inputs, inputs, 1, down, across, out); \
    } \
    extern "C" __global__ void name##_to_inputs(const float* w, unsigned channels, unsigned inputs, unsigned down, unsigned across, uint4* out) { \
        pack_left<F>(w, inputs, channels, 1, inputs, down, across, out); \
    }
PACK_WEIGHTS(pack_bf16, Bf16)
PACK_WEIGHTS(pack_f32, F32)

// The kernels ..._rows have the kept rows as the channels of one attribute.
#define FORWARD(name, F) \
    extern "C" __global__ void __launch_bounds__(THREADS) name(const F::Store* u, const uint4* w, const float* bias, unsigned pixels, unsigned channels, \
        unsigned inputs, unsigned attributes, unsigned each, unsigned parts, float* out) { \
        forward<F, false>(u, w, bias, nullptr, 1, {pixels, channels, inputs, attributes}, OfRows(), each, parts, out); \
    } \
    extern "C" __global__ void __launch_bounds__(THREADS) name##_rows(const F::Store* u, const uint4* w, const float* bias, unsigned pixels, unsigned channels, \
        unsigned inputs, unsigned attributes, unsigned each, unsigned parts, float* out, const unsigned* table, unsigned panels) { \
        forward<F, false>(u, w, bias, nullptr, 1, {pixels, channels, inputs, attributes}, OfTable{{table, panels}, {}}, each, parts, out); \
    } \
    extern "C" __global__ void __launch_bounds__(THREADS) name##_curves(const F::Store* u, const uint4* w, const float* bias, unsigned pixels, \
        unsigned channels, unsigned inputs, unsigned attributes, unsigned each, unsigned parts, float* out, const float* curves, unsigned count) { \
        forward<F, true>(u, w, bias, curves, count, {pixels, channels, inputs, attributes}, OfRows(), each, parts, out); \
    } \
    extern "C" __global__ void __launch_bounds__(THREADS) name##_curves_rows(const F::Store* u, const uint4* w, const float* bias, unsigned pixels, \
        unsigned channels, unsigned inputs, unsigned attributes, unsigned each, unsigned parts, float* out, const float* curves, unsigned count, \
        const unsigned* table, unsigned panels) { \
        forward<F, true>(u, w, bias, curves, count, {pixels, channels, inputs, attributes}, OfTable{{table, panels}, {}}, each, parts, out); \
    }
FORWARD(forward_bf16, Bf16)
FORWARD(forward_f32, F32)

#define BACKWARD(name, F) \
    extern "C" __global__ void __launch_bounds__(THREADS) name##_inputs(const F::Store* u, const uint4* to_logits, const uint4* to_inputs, const float* bias, \
        const float* g, unsigned pixels, unsigned channels, unsigned inputs, unsigned attributes, unsigned parts, float* out) { \
        inputs_gradient<F>(u, to_logits, to_inputs, bias, g, {pixels, channels, inputs, attributes}, OfRows(), parts, out); \
    } \
    extern "C" __global__ void __launch_bounds__(THREADS) name##_inputs_rows(const F::Store* u, const uint4* to_logits, const uint4* to_inputs, \
        const float* bias, const float* g, unsigned pixels, unsigned channels, unsigned inputs, unsigned attributes, unsigned parts, float* out, \
        const unsigned* table, unsigned panels) { \
        inputs_gradient<F>(u, to_logits, to_inputs, bias, g, {pixels, channels, inputs, attributes}, OfTable{{table, panels}, {}}, parts, out); \
    } \
    extern "C" __global__ void __launch_bounds__(THREADS) name##_weights(const F::Store* u, const uint4* w, const float* bias, const float* g, unsigned pixels, \
        unsigned channels, unsigned inputs, unsigned attributes, unsigned tiles, unsigned each, float* dw, float* db) { \
        weights_gradient<F>(u, w, bias, g, {pixels, channels, inputs, attributes}, OfRows(), tiles, each, dw, db); \
    } \
    extern "C" __global__ void __launch_bounds__(THREADS) name##_weights_rows(const F::Store* u, const uint4* w, const float* bias, const float* g, \
        unsigned pixels, unsigned channels, unsigned inputs, unsigned attributes, unsigned tiles, unsigned each, float* dw, float* db, \
        const unsigned* table, unsigned panels) { \
        weights_gradient<F>(u, w, bias, g, {pixels, channels, inputs, attributes}, OfTable{{table, panels}, {}}, tiles, each, dw, db); \
    }
BACKWARD(backward_bf16, Bf16)
BACKWARD(backward_f32, F32)

// Sums [outer, parts, n] over the parts, times `scale`: `group` neighbours first, then their sums one after another.
extern "C" __global__ void sum_parts(const float* sums, unsigned outer, unsigned parts, unsigned n, unsigned group, float scale, float* out) {
    size_t total = size_t(outer) * n, step = size_t(gridDim.x) * blockDim.x;
    for (size_t i = size_t(blockIdx.x) * blockDim.x + threadIdx.x; i < total; i += step) {
        const float* at = sums + i / n * parts * n + i % n;
        float sum = 0.f;
        for (unsigned first = 0; first < parts; first += group) {
            float own = at[size_t(first) * n];
            for (unsigned part = first + 1; part < min(parts, first + group); part++) own += at[size_t(part) * n];
            sum += own;
        }
        out[i] = sum * scale;
    }
}

// Values [outer, K, inner, C, n] of the kept rows: [outer, inner, slots, n], 0 in empty slots.
extern "C" __global__ void gather_rows(const float* values, const unsigned* table, unsigned panels, unsigned outer, unsigned attributes, unsigned inner,
    unsigned channels, unsigned n, float* out) {
    Table rows{table, panels};
    size_t total = size_t(outer) * inner * rows.slots() * n, step = size_t(gridDim.x) * blockDim.x;
    for (size_t i = size_t(blockIdx.x) * blockDim.x + threadIdx.x; i < total; i += step) {
        size_t first = i / n / rows.slots();
        unsigned row = rows.row(i / n % rows.slots());
        size_t at = ((first / inner * attributes + row / channels) * inner + first % inner) * channels + row % channels;
        out[i] = row == NONE ? 0.f : values[at * n + i % n];
    }
}

// The other way: values [outer, inner, slots, n], each in its row's place of [outer, K, inner, C, n], and 0 for rows that are left out.
extern "C" __global__ void spread_rows(const float* values, const unsigned* table, unsigned panels, unsigned outer, unsigned attributes, unsigned inner,
    unsigned channels, unsigned n, float* out) {
    Table rows{table, panels};
    size_t total = size_t(outer) * attributes * inner * channels * n, step = size_t(gridDim.x) * blockDim.x;
    for (size_t i = size_t(blockIdx.x) * blockDim.x + threadIdx.x; i < total; i += step) {
        size_t c = i / n % channels, j = i / n / channels % inner, k = i / n / channels / inner;
        unsigned slot = rows.slot(k % attributes * channels + c);
        size_t at = (k / attributes * inner + j) * rows.slots() + slot;
        out[i] = slot == NONE ? 0.f : values[at * n + i % n];
    }
}

// Sums of the features over 64 pixels: [B, parts, C].
extern "C" __global__ void sum_features(const float* u, unsigned pixels, unsigned channels, unsigned inputs, unsigned parts, float* out) {
    unsigned image = blockIdx.x / parts, start = blockIdx.x % parts * TILE, c = blockIdx.y * THREADS + threadIdx.x;
    if (c >= channels) return;
    const float* at = u + (size_t(image) * pixels + start) * inputs + c;
    float sum = 0.f;
    for (unsigned p = 0; p < min(pixels - start, TILE); p++) sum += at[size_t(p) * inputs];
    out[size_t(blockIdx.x) * channels + c] = sum;
}

// The means [B, K, curves, 2, C] of rows that are left out, from the features' means [B, C]: their masks are 0, and g(0) = -β under a curve, or its floor.
extern "C" __global__ void close_rows(const float* features, const float* curves, const unsigned* table, unsigned panels, unsigned images, unsigned attributes,
    unsigned count, unsigned channels, float* out) {
    Table rows{table, panels};
    size_t total = size_t(images) * attributes * count * channels, step = size_t(gridDim.x) * blockDim.x;
    for (size_t i = size_t(blockIdx.x) * blockDim.x + threadIdx.x; i < total; i += step) {
        size_t c = i % channels, curve = i / channels % count, k = i / channels / count % attributes, image = i / channels / count / attributes;
        const float* form = curves + 3 * ((curve * attributes + k) * channels + c);
        float mask = clip(-form[1], form[2]);
        if (mask == 0.f || rows.slot(k * channels + c) != NONE) continue;
        out[(i - c) * 2 + c] = mask * features[image * channels + c];
        out[(i - c) * 2 + channels + c] = mask;
    }
}
