// What all kernels share.
#pragma once

#include <cuda_bf16.h>

// Dynamic shared memory. The emulation on the CPU has its own form.
#ifndef DYNAMIC_SHARED
#define DYNAMIC_SHARED(type, name) extern __shared__ __align__(128) unsigned char dynamic_shared[]; type* name = reinterpret_cast<type*>(dynamic_shared)
#endif
