// Tensor cores by their PTX instructions (sm_80 and newer), whose fragments have a documented place for every element, so that what follows a product can stay
// in registers. Every function is called by all 32 lanes of a warp.
#pragma once

#include "common.cuh"

// sums[16×8] += a[16×16]·b[16×8] in bfloat16. A lane has rows g = lane/4 and g + 8; t = 2·(lane mod 4):
// a: (g, t t+1), (g+8, t t+1), (g, t+8 t+9), (g+8, t+8 t+9); b: (t t+1, g), (t+8 t+9, g); sums: (g, t), (g, t+1), (g+8, t), (g+8, t+1).
__device__ __forceinline__ void mma_bf16(float (&sums)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
#ifdef CUDA_ON_CPU
    emulation::mma_bf16(sums, a, b);
#else
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#endif
}

// sums[16×8] += a[16×8]·b[8×8] in TF32. With l = lane mod 4: a: (g, l), (g+8, l), (g, l+4), (g+8, l+4); b: (l, g), (l+4, g); sums as above.
__device__ __forceinline__ void mma_tf32(float (&sums)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
#ifdef CUDA_ON_CPU
    emulation::mma_tf32(sums, a, b);
#else
    asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#endif
}

// Four 8×8 matrices of 16-bit elements from shared memory; lane l gives the place of row l mod 8 of matrix l/8 (16 bytes, aligned). A lane gets elements
// (g, t), (g, t+1) of each, or with `transposed` (t, g), (t+1, g).
__device__ __forceinline__ void ldmatrix4(unsigned (&out)[4], const void* row, bool transposed) {
#ifdef CUDA_ON_CPU
    emulation::ldmatrix4(out, row, transposed);
#else
    unsigned at = static_cast<unsigned>(__cvta_generic_to_shared(row));
    if (transposed) {
        asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                     : "=r"(out[0]), "=r"(out[1]), "=r"(out[2]), "=r"(out[3]) : "r"(at) : "memory");
    } else {
        asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                     : "=r"(out[0]), "=r"(out[1]), "=r"(out[2]), "=r"(out[3]) : "r"(at) : "memory");
    }
#endif
}

// The nearest TF32 value.
__device__ __forceinline__ unsigned to_tf32(float x) {
#ifdef CUDA_ON_CPU
    return emulation::to_tf32(x);
#else
    unsigned out;
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(out) : "f"(x));
    return out;
#endif
}

// tanh to a relative error of 2⁻¹¹, in one instruction.
__device__ __forceinline__ float tanh_approx(float x) {
#ifdef CUDA_ON_CPU
    return emulation::tanh_approx(x);
#else
    float out;
    asm("tanh.approx.f32 %0, %1;" : "=f"(out) : "f"(x));
    return out;
#endif
}

// Begins a copy of 16 bytes (of which `bytes` are read, the rest are zeros) from global to shared memory; both places are aligned to 16.
__device__ __forceinline__ void copy_async(void* to, const void* from, unsigned bytes) {
#ifdef CUDA_ON_CPU
    emulation::copy_async(to, from, bytes);
#else
    unsigned at = static_cast<unsigned>(__cvta_generic_to_shared(to));
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" : : "r"(at), "l"(from), "r"(bytes) : "memory");
#endif
}

// Ends a group of a thread's own copies.
__device__ __forceinline__ void copies_commit() {
#ifdef CUDA_ON_CPU
    emulation::copies_commit();
#else
    asm volatile("cp.async.commit_group;" : : : "memory");
#endif
}

// Waits until all but the newest `left` groups of this thread are there. A barrier makes them seen by others.
template <unsigned left>
__device__ __forceinline__ void copies_wait() {
#ifdef CUDA_ON_CPU
    emulation::copies_wait(left);
#else
    asm volatile("cp.async.wait_group %0;" : : "n"(left) : "memory");
#endif
}
