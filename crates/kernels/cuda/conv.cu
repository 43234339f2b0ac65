// Dilated convolution (Table 1) as implicit matrix products: no image is unfolded. Images are x [B, H, W, I], outputs [B, H, W, O]. src/cuda/conv.rs launches these.
//
//   forward          out [pixels, O]  = Σ over (tap, i)  x [pixel + tap, i] · weights [(tap, i), O]
//   input gradient   the same of dL/dout, with the weights transposed and turned by 180°
//   weight gradient  [(tap, i), O]    = Σ over pixels    x [pixel + tap, i] · dL/dout [pixel, o], in parts whose sums are then added in one order
//
// A block of 256 threads makes a tile of 128 × 64 sums, 32 terms at a time, with factors of f32 (CUDA cores) or bf16 (tensor cores); sums are of f32.
#include "common.cuh"
#include "mma.cuh"

typedef __nv_bfloat16 bf16;

constexpr unsigned ROWS = 128, COLUMNS = 64, DEPTH = 32, THREADS = 256;

// Division by a number that is the same for all, for dividends below 2³¹ (Granlund & Montgomery, 1994).
struct Divisor {
    unsigned by, multiplier, shift;
    __device__ explicit Divisor(unsigned by) : by(by), shift(0) {
        while (shift < 31 && (1u << shift) < by) shift++;
        multiplier = unsigned(((1ull << 32) * ((1ull << shift) - by)) / by + 1);
    }
    __device__ unsigned divide(unsigned n) const { return (unsigned((static_cast<unsigned long long>(n) * multiplier) >> 32) + n) >> shift; }
    __device__ unsigned split(unsigned n, unsigned& rest) const {
        unsigned quotient = divide(n);
        rest = n - quotient * by;
        return quotient;
    }
};

// Four neighbouring values of which the first `present` exist; the others are zeros.
__device__ float4 load4(const float* at, unsigned present, bool aligned) {
    if (present >= 4 && aligned) return *reinterpret_cast<const float4*>(at);
    float4 v = make_float4(0.f, 0.f, 0.f, 0.f);
    if (present > 0) v.x = at[0];
    if (present > 1) v.y = at[1];
    if (present > 2) v.z = at[2];
    if (present > 3) v.w = at[3];
    return v;
}

// The factors of one step in shared memory, and the sums of a thread. Pitches keep rows of 16 bytes apart from each other's banks.
template <typename T>
struct Tile;

template <>
struct __align__(16) Tile<float> {
    static constexpr unsigned A = ROWS + 4, B = COLUMNS + 4;
    // [term, row] and [term, column]
    float a[DEPTH * A];
    float b[DEPTH * B];

    // Four terms of one row.
    __device__ void put_row(unsigned row, unsigned term, float4 v) {
        a[term * A + row] = v.x;
        a[(term + 1) * A + row] = v.y;
        a[(term + 2) * A + row] = v.z;
        a[(term + 3) * A + row] = v.w;
    }
    // Four rows of one term.
    __device__ void put_rows(unsigned row, unsigned term, float4 v) { *reinterpret_cast<float4*>(a + term * A + row) = v; }
    __device__ void put_columns(unsigned column, unsigned term, float4 v) { *reinterpret_cast<float4*>(b + term * B + column) = v; }
};

template <>
struct __align__(16) Tile<bf16> {
    static constexpr unsigned ACROSS = DEPTH + 8, DOWN = ROWS + 8, B = COLUMNS + 8;
    // [row, term] in the forward pass, [term, row] for the weights' gradient
    bf16 a[ROWS * ACROSS > DEPTH * DOWN ? ROWS * ACROSS : DEPTH * DOWN];
    // [term, column]
    bf16 b[DEPTH * B];

    __device__ static void put4(bf16* at, float4 v) {
        __nv_bfloat162* pairs = reinterpret_cast<__nv_bfloat162*>(at);
        pairs[0] = __floats2bfloat162_rn(v.x, v.y);
        pairs[1] = __floats2bfloat162_rn(v.z, v.w);
    }
    __device__ void put_row(unsigned row, unsigned term, float4 v) { put4(a + row * ACROSS + term, v); }
    __device__ void put_rows(unsigned row, unsigned term, float4 v) { put4(a + term * DOWN + row, v); }
    __device__ void put_columns(unsigned column, unsigned term, float4 v) { put4(b + term * B + column, v); }
};

template <typename T, bool DOWN>
struct Sums;

// A thread has 8 rows of 4 columns.
template <bool DOWN>
struct Sums<float, DOWN> {
    float of[8][4] = {};

    __device__ void add(const Tile<float>& tile) {
        unsigned row = threadIdx.x / 16 * 8, column = threadIdx.x % 16 * 4;
#pragma unroll 8
        for (unsigned term = 0; term < DEPTH; term++) {
            const float* at = tile.a + term * Tile<float>::A + row;
            float4 low = *reinterpret_cast<const float4*>(at), high = *reinterpret_cast<const float4*>(at + 4);
            float4 b = *reinterpret_cast<const float4*>(tile.b + term * Tile<float>::B + column);
            float a[8] = {low.x, low.y, low.z, low.w, high.x, high.y, high.z, high.w};
#pragma unroll
            for (unsigned r = 0; r < 8; r++) {
                of[r][0] = fmaf(a[r], b.x, of[r][0]);
                of[r][1] = fmaf(a[r], b.y, of[r][1]);
                of[r][2] = fmaf(a[r], b.z, of[r][2]);
                of[r][3] = fmaf(a[r], b.w, of[r][3]);
            }
        }
    }
    template <typename F>
    __device__ void each(F f) const {
        unsigned row = threadIdx.x / 16 * 8, column = threadIdx.x % 16 * 4;
#pragma unroll
        for (unsigned r = 0; r < 8; r++)
#pragma unroll
            for (unsigned c = 0; c < 4; c++) f(row + r, column + c, of[r][c]);
    }
};

// A warp has 32 × 32 of the tile: two fragments of 16 rows, four of 8 columns.
template <bool DOWN>
struct Sums<bf16, DOWN> {
    float of[2][4][4] = {};

    __device__ static unsigned first_row() { return threadIdx.x / 32 % 4 * 32; }
    __device__ static unsigned first_column() { return threadIdx.x / 128 * 32; }

    __device__ void add(const Tile<bf16>& tile) {
        unsigned lane = threadIdx.x % 32, row = first_row(), column = first_column();
#pragma unroll
        for (unsigned term = 0; term < DEPTH; term += 16) {
            unsigned a[2][4], b[2][4];
#pragma unroll
            for (unsigned r = 0; r < 2; r++) {
                const bf16* across = tile.a + (row + r * 16 + lane % 16) * Tile<bf16>::ACROSS + term + lane / 16 * 8;
                const bf16* down = tile.a + (term + lane / 16 * 8 + lane % 8) * Tile<bf16>::DOWN + row + r * 16 + lane / 8 % 2 * 8;
                ldmatrix4(a[r], DOWN ? down : across, DOWN);
            }
#pragma unroll
            for (unsigned c = 0; c < 2; c++) ldmatrix4(b[c], tile.b + (term + lane % 16) * Tile<bf16>::B + column + c * 16 + lane / 16 * 8, true);
#pragma unroll
            for (unsigned r = 0; r < 2; r++)
#pragma unroll
                for (unsigned c = 0; c < 4; c++) {
                    unsigned own[2] = {b[c / 2][c % 2 * 2], b[c / 2][c % 2 * 2 + 1]};
                    mma_bf16(of[r][c], a[r], own);
                }
        }
    }
    template <typename F>
    __device__ void each(F f) const {
        unsigned lane = threadIdx.x % 32, row = first_row() + lane / 4, column = first_column() + lane % 4 * 2;
#pragma unroll
        for (unsigned r = 0; r < 2; r++)
#pragma unroll
            for (unsigned c = 0; c < 4; c++)
#pragma unroll
                for (unsigned i = 0; i < 4; i++) f(row + r * 16 + i / 2 * 8, column + c * 8 + i % 2, of[r][c][i]);
    }
};

// x [B, H, W, I] as the left operand: the value of a pixel's tap and input.
struct Images {
    const float* x;
    unsigned images, h, w, inputs, n, dilation;
    Divisor by_inputs, by_n, by_w, by_h;
    bool aligned;

    __device__ Images(const float* x, unsigned images, unsigned h, unsigned w, unsigned inputs, unsigned n, unsigned dilation)
        : x(x), images(images), h(h), w(w), inputs(inputs), n(n), dilation(dilation), by_inputs(inputs), by_n(n), by_w(w), by_h(h), aligned(inputs % 4 == 0) {}

    __device__ unsigned pixels() const { return images * h * w; }
    __device__ unsigned terms() const { return n * n * inputs; }

    // Row and column of a pixel in its image; the image's first row among all rows.
    struct Place { int y, x; unsigned base; };
    __device__ Place place(unsigned pixel) const {
        unsigned column, y;
        unsigned line = by_w.split(pixel, column);
        by_h.split(line, y);
        return {int(y), int(column), line - y};
    }

    // Where the tap lies from its pixel.
    struct Offset { int y, x; unsigned i; bool exists; };
    __device__ Offset offset(unsigned term) const {
        unsigned i, kx;
        unsigned tap = by_inputs.split(term, i), ky = by_n.split(tap, kx);
        int reach = int(n / 2);
        return {(int(ky) - reach) * int(dilation), (int(kx) - reach) * int(dilation), i, term < terms()};
    }

    __device__ const float* at(Place p, Offset o) const {
        int y = p.y + o.y, column = p.x + o.x;
        bool inside = o.exists && y >= 0 && y < int(h) && column >= 0 && column < int(w);
        return inside ? x + (size_t(p.base + y) * w + column) * inputs + o.i : nullptr;
    }
    __device__ float one(Place p, unsigned term) const {
        const float* from = at(p, offset(term));
        return from ? *from : 0.f;
    }
    // Four neighbouring terms from `term` on, which is a multiple of 4.
    __device__ float4 four(Place p, unsigned term, Offset o) const {
        if (!aligned) return make_float4(one(p, term), one(p, term + 1), one(p, term + 2), one(p, term + 3));
        const float* from = at(p, o);
        return from ? *reinterpret_cast<const float4*>(from) : make_float4(0.f, 0.f, 0.f, 0.f);
    }
};

// Weights [O, I, n, n] as a right operand [(tap, input), columns], whose sizes are filled up with zeros to whole steps and tiles. `turned`: that of the input's
// gradient, from outputs to inputs.
extern "C" __global__ void pack_weights(const float* weight, unsigned outputs, unsigned inputs, unsigned taps, unsigned turned, unsigned rows, unsigned columns,
                                        float* out) {
    unsigned from = turned ? outputs : inputs, to = turned ? inputs : outputs;
    for (unsigned at = blockIdx.x * blockDim.x + threadIdx.x; at < rows * columns; at += gridDim.x * blockDim.x) {
        unsigned row = at / columns, column = at % columns, tap = row / from, i = row % from;
        float v = 0.f;
        if (tap < taps && column < to) v = turned ? weight[(size_t(i) * inputs + column) * taps + taps - 1 - tap] : weight[(size_t(column) * inputs + i) * taps + tap];
        out[at] = v;
    }
}

// Blocks: tiles of pixels × tiles of outputs. `weights` as pack_weights makes them, [.., padded]; bias may be null.
template <typename T>
__device__ void forward(const Images& images, const float* weights, const float* bias, unsigned outputs, unsigned padded, float* out) {
    __shared__ Tile<T> tile;
    unsigned first = blockIdx.x * ROWS, column = blockIdx.y * COLUMNS, pixels = images.pixels();
    // Of every step a thread takes four terms of four rows, and four columns of two terms.
    unsigned own_row = threadIdx.x / 8, own_term = threadIdx.x % 8 * 4, b_term = threadIdx.x / 16, b_column = threadIdx.x % 16 * 4;
    typename Images::Place places[4];
#pragma unroll
    for (unsigned r = 0; r < 4; r++) places[r] = images.place(min(first + own_row + r * 32, pixels - 1));
    float4 a[4], b[2];
    auto fetch = [&](unsigned start) {
        auto offset = images.offset(start + own_term);
#pragma unroll
        for (unsigned r = 0; r < 4; r++) a[r] = images.four(places[r], start + own_term, offset);
#pragma unroll
        for (unsigned k = 0; k < 2; k++) b[k] = *reinterpret_cast<const float4*>(weights + size_t(start + b_term + k * 16) * padded + column + b_column);
    };
    Sums<T, false> sums;
    fetch(0);
    for (unsigned start = 0; start < images.terms(); start += DEPTH) {
        __syncthreads();
#pragma unroll
        for (unsigned r = 0; r < 4; r++) tile.put_row(own_row + r * 32, own_term, a[r]);
#pragma unroll
        for (unsigned k = 0; k < 2; k++) tile.put_columns(b_column, b_term + k * 16, b[k]);
        __syncthreads();
        // The next factors are on their way while these are multiplied.
        if (start + DEPTH < images.terms()) fetch(start + DEPTH);
        sums.add(tile);
    }
    sums.each([&](unsigned row, unsigned c, float v) {
        if (first + row < pixels && column + c < outputs) out[size_t(first + row) * outputs + column + c] = bias ? v + bias[column + c] : v;
    });
}

// Blocks: tiles of (tap, input) × tiles of outputs × parts of `each` pixels. Writes [parts, terms + 1, O], the last row being that of the bias.
template <typename T>
__device__ void weight_gradient(const Images& images, const float* g, unsigned outputs, unsigned each, float* sums_out) {
    __shared__ Tile<T> tile;
    unsigned first = blockIdx.x * ROWS, column = blockIdx.y * COLUMNS, begin = blockIdx.z * each, end = min(images.pixels(), begin + each);
    // Of every step a thread takes four rows of four terms, and four columns of two terms; a term is a pixel.
    unsigned own_row = threadIdx.x % 32 * 4, own_term = threadIdx.x / 32, b_term = threadIdx.x / 16, b_column = threadIdx.x % 16 * 4;
    auto offset = images.offset(first + own_row);
    unsigned present = column + b_column < outputs ? outputs - column - b_column : 0;
    float4 a[4], b[2], total = make_float4(0.f, 0.f, 0.f, 0.f);
    const float4 zero = make_float4(0.f, 0.f, 0.f, 0.f);
    auto fetch = [&](unsigned start) {
#pragma unroll
        for (unsigned k = 0; k < 4; k++) {
            unsigned pixel = start + own_term + k * 8;
            a[k] = pixel < end ? images.four(images.place(pixel), first + own_row, offset) : zero;
        }
#pragma unroll
        for (unsigned k = 0; k < 2; k++) {
            unsigned pixel = start + b_term + k * 16;
            b[k] = pixel < end ? load4(g + size_t(pixel) * outputs + column + b_column, present, outputs % 4 == 0) : zero;
            total.x += b[k].x;
            total.y += b[k].y;
            total.z += b[k].z;
            total.w += b[k].w;
        }
    };
    Sums<T, true> sums;
    fetch(begin);
    for (unsigned start = begin; start < end; start += DEPTH) {
        __syncthreads();
#pragma unroll
        for (unsigned k = 0; k < 4; k++) tile.put_rows(own_row, own_term + k * 8, a[k]);
#pragma unroll
        for (unsigned k = 0; k < 2; k++) tile.put_columns(b_column, b_term + k * 16, b[k]);
        __syncthreads();
        if (start + DEPTH < end) fetch(start + DEPTH);
        sums.add(tile);
    }
    unsigned terms = images.terms();
    float* out = sums_out + size_t(blockIdx.z) * (terms + 1) * outputs;
    sums.each([&](unsigned row, unsigned c, float v) {
        if (first + row < terms && column + c < outputs) out[size_t(first + row) * outputs + column + c] = v;
    });
    if (blockIdx.x != 0) return;
    // The bias: the threads of a column, one after another.
    __shared__ float4 totals[16][16];
    totals[threadIdx.x / 16][threadIdx.x % 16] = total;
    __syncthreads();
    if (threadIdx.x < COLUMNS && column + threadIdx.x < outputs) {
        float v = 0.f;
        for (unsigned row = 0; row < 16; row++) v += reinterpret_cast<const float*>(&totals[row][threadIdx.x / 4])[threadIdx.x % 4];
        out[size_t(terms) * outputs + column + threadIdx.x] = v;
    }
}

// Adds up the parts: dW [O, I, n, n] and db [O].
extern "C" __global__ void add_parts(const float* sums, unsigned parts, unsigned outputs, unsigned inputs, unsigned taps, float* dweight, float* dbias) {
    unsigned terms = taps * inputs, all = (terms + 1) * outputs;
    for (unsigned at = blockIdx.x * blockDim.x + threadIdx.x; at < all; at += gridDim.x * blockDim.x) {
        double sum = 0.;
        for (unsigned part = 0; part < parts; part++) sum += sums[size_t(part) * all + at];
        unsigned term = at / outputs, o = at % outputs;
        if (term == terms) dbias[o] = float(sum);
        else dweight[(size_t(o) * inputs + term % inputs) * taps + term / inputs] = float(sum);
    }
}

#define KERNELS(T, name)                                                                                                                                     \
    extern "C" __global__ void __launch_bounds__(THREADS) conv_##name(const float* x, const float* weights, const float* bias, unsigned images, unsigned h,   \
                                                                      unsigned w, unsigned inputs, unsigned n, unsigned dilation, unsigned with_bias,         \
                                                                      unsigned outputs, unsigned padded, float* out) {                                        \
        forward<T>(Images(x, images, h, w, inputs, n, dilation), weights, with_bias ? bias : nullptr, outputs, padded, out);                                  \
    }                                                                                                                                                         \
    extern "C" __global__ void __launch_bounds__(THREADS) weights_##name(const float* x, const float* g, unsigned images, unsigned h, unsigned w,             \
                                                                         unsigned inputs, unsigned n, unsigned dilation, unsigned outputs, unsigned each,     \
                                                                         float* sums) {                                                                       \
        weight_gradient<T>(Images(x, images, h, w, inputs, n, dilation), g, outputs, each, sums);                                                             \
    }
KERNELS(float, f32)
KERNELS(bf16, bf16)
