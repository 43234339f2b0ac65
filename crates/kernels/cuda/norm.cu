// Batch normalisation and leaky ReLU (Table 1) in one operation, forward and backward, on feature maps x [N, C] of N pixels. src/cuda/norm.rs launches these.
//
// A block of 32 × 8 threads takes 32 channels of `each` pixels; a thread keeps to its channel. Sums within a part are of f32, their total of f64.
#include "common.cuh"

// Threads of a block, and of one that adds up what others left.
constexpr unsigned THREADS = 32 * 8, TOTAL_THREADS = 32 * 32;

// The channel's line y = (x - mean)·scale + beta before the leaky ReLU. Forward and backward call this one, so that both see the same sign.
struct Line {
    float mean, inverse, scale, beta;
    __device__ Line(unsigned c, const float* mean, const float* variance, const float* gamma, const float* beta, float epsilon)
        : mean(mean[c]), inverse(1.f / sqrtf(variance[c] + epsilon)), scale(gamma[c] * inverse), beta(beta[c]) {}
    __device__ float at(float x) const { return fmaf(x - mean, scale, beta); }
};

// Adds up two sums of a block's threads of one channel, in a fixed order, and leaves them in the thread with threadIdx.y = 0.
template <typename T, unsigned ROWS>
__device__ void add_rows(T& first, T& second) {
    __shared__ T sums[2][ROWS][33];
    sums[0][threadIdx.y][threadIdx.x] = first;
    sums[1][threadIdx.y][threadIdx.x] = second;
    __syncthreads();
    if (threadIdx.y == 0) {
        for (unsigned row = 1; row < ROWS; row++) {
            first += sums[0][row][threadIdx.x];
            second += sums[1][row][threadIdx.x];
        }
    }
}

// Totals of a channel over the parts' sums [parts, 2, C], in the thread with threadIdx.y = 0.
__device__ void total(const float* sums, unsigned parts, unsigned channels, unsigned c, double& first, double& second) {
    first = second = 0.;
    for (unsigned part = threadIdx.y; part < parts && c < channels; part += blockDim.y) {
        first += sums[size_t(part) * 2 * channels + c];
        second += sums[(size_t(part) * 2 + 1) * channels + c];
    }
    add_rows<double, 32>(first, second);
}

struct Range {
    unsigned c, start, end;
    __device__ Range(unsigned pixels, unsigned each) : c(blockIdx.x * 32 + threadIdx.x), start(blockIdx.y * each + threadIdx.y), end(min(pixels, (blockIdx.y + 1) * each)) {}
};

// Σ (x - x₀) and Σ (x - x₀)² of each part, x₀ being the channel's very first value: far from zero nothing cancels.
extern "C" __global__ void __launch_bounds__(THREADS) moments_sums(const float* x, unsigned pixels, unsigned channels, unsigned each, float* sums) {
    Range at(pixels, each);
    float first = 0.f, second = 0.f;
    if (at.c < channels) {
        float origin = x[at.c];
#pragma unroll 4
        for (unsigned i = at.start; i < at.end; i += 8) {
            float d = x[size_t(i) * channels + at.c] - origin;
            first += d;
            second = fmaf(d, d, second);
        }
    }
    add_rows<float, 8>(first, second);
    if (threadIdx.y == 0 && at.c < channels) {
        sums[size_t(blockIdx.y) * 2 * channels + at.c] = first;
        sums[(size_t(blockIdx.y) * 2 + 1) * channels + at.c] = second;
    }
}

extern "C" __global__ void __launch_bounds__(TOTAL_THREADS) moments_total(const float* x, unsigned pixels, unsigned channels, unsigned parts, const float* sums, float* mean, float* variance) {
    unsigned c = blockIdx.x * 32 + threadIdx.x;
    double first, second;
    total(sums, parts, channels, c, first, second);
    if (threadIdx.y == 0 && c < channels) {
        double apart = first / pixels, spread = second / pixels - apart * apart;
        mean[c] = float(double(x[c]) + apart);
        variance[c] = spread < 0. ? 0.f : float(spread);
    }
}

extern "C" __global__ void __launch_bounds__(THREADS) norm_leaky_relu(const float* x, const float* mean, const float* variance, const float* gamma, const float* beta, unsigned pixels,
                                           unsigned channels, unsigned each, float epsilon, float slope, float* y) {
    Range at(pixels, each);
    if (at.c >= channels) return;
    Line line(at.c, mean, variance, gamma, beta, epsilon);
#pragma unroll 4
    for (unsigned i = at.start; i < at.end; i += 8) {
        float v = line.at(x[size_t(i) * channels + at.c]);
        y[size_t(i) * channels + at.c] = v < 0.f ? v * slope : v;
    }
}

// Σ g' and Σ g'·x̂ of each part, g' being the gradient before the leaky ReLU and x̂ the normalised x.
extern "C" __global__ void __launch_bounds__(THREADS) gradient_sums(const float* x, const float* mean, const float* variance, const float* gamma, const float* beta, const float* g,
                                         unsigned pixels, unsigned channels, unsigned each, float epsilon, float slope, float* sums) {
    Range at(pixels, each);
    float plain = 0.f, weighted = 0.f;
    if (at.c < channels) {
        Line line(at.c, mean, variance, gamma, beta, epsilon);
#pragma unroll 4
        for (unsigned i = at.start; i < at.end; i += 8) {
            float v = x[size_t(i) * channels + at.c], before = g[size_t(i) * channels + at.c];
            before = line.at(v) < 0.f ? before * slope : before;
            plain += before;
            weighted = fmaf(before, v - line.mean, weighted);
        }
        weighted *= line.inverse;
    }
    add_rows<float, 8>(plain, weighted);
    if (threadIdx.y == 0 && at.c < channels) {
        sums[size_t(blockIdx.y) * 2 * channels + at.c] = plain;
        sums[(size_t(blockIdx.y) * 2 + 1) * channels + at.c] = weighted;
    }
}

// dγ, dβ and the line (x - mean)·lines[0] + lines[1] that the way through the moments adds to dx.
extern "C" __global__ void __launch_bounds__(TOTAL_THREADS) gradient_total(const float* variance, const float* gamma, unsigned pixels, unsigned channels, unsigned parts,
                                          float epsilon, unsigned own, const float* sums, float* dgamma, float* dbeta, float* lines) {
    unsigned c = blockIdx.x * 32 + threadIdx.x;
    double plain, weighted;
    total(sums, parts, channels, c, plain, weighted);
    if (threadIdx.y != 0 || c >= channels) return;
    dgamma[c] = float(weighted);
    dbeta[c] = float(plain);
    double inverse = 1. / sqrt(double(variance[c]) + epsilon), scale = gamma[c] * inverse;
    lines[c] = own ? float(-scale * inverse * weighted / pixels) : 0.f;
    lines[channels + c] = own ? float(-scale * plain / pixels) : 0.f;
}

// dx = g'·scale + (x - mean)·lines[0] + lines[1]; without lines the moments are constants.
extern "C" __global__ void __launch_bounds__(THREADS) input_gradient(const float* x, const float* mean, const float* variance, const float* gamma, const float* beta, const float* g,
                                          unsigned pixels, unsigned channels, unsigned each, float epsilon, float slope, unsigned with_lines, const float* lines,
                                          float* dx) {
    Range at(pixels, each);
    if (at.c >= channels) return;
    Line line(at.c, mean, variance, gamma, beta, epsilon);
    float by_x = with_lines ? lines[at.c] : 0.f, constant = with_lines ? lines[channels + at.c] : 0.f;
#pragma unroll 4
    for (unsigned i = at.start; i < at.end; i += 8) {
        float v = x[size_t(i) * channels + at.c], before = g[size_t(i) * channels + at.c];
        before = line.at(v) < 0.f ? before * slope : before;
        dx[size_t(i) * channels + at.c] = fmaf(before, line.scale, fmaf(v - line.mean, by_x, constant));
    }
}
