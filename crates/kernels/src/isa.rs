//! Which instructions the kernels use.

use std::cell::Cell;

use pulp::{Arch, WithSimd};

#[cfg(target_arch = "x86_64")]
use crate::amx;

/// A set of vector instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum InstructionSet {
    /// What every processor of the target has.
    Portable,
    /// AVX2 and FMA (x86-64-v3).
    Avx2,
    /// AVX-512 (x86-64-v4).
    Avx512,
    /// AVX-512 with products of bfloat16 pairs.
    Avx512Bf16,
    /// The same, with products of blocks of bfloat16 pairs (AMX), on Linux.
    Amx,
    /// What every 64-bit ARM processor has.
    Neon,
}

impl InstructionSet {
    /// All of them, for comparisons and tests ([`with_instruction_set`]).
    pub const ALL: [Self; 6] =
        [Self::Portable, Self::Avx2, Self::Avx512, Self::Avx512Bf16, Self::Amx, Self::Neon];
}

/// An instruction set that this machine has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Instructions {
    arch: Arch,
    /// Whether it multiplies pairs of bfloat16 values; `arch` is AVX-512 then.
    bf16: bool,
    /// Whether it multiplies blocks of such pairs; `bf16` is true then.
    amx: bool,
}

thread_local! {
    static CHOSEN: Cell<Option<Instructions>> = const { Cell::new(None) };
}

/// The instruction set that operations called on this thread use: the best of this machine, found
/// at run time, or that of [`with_instruction_set`].
pub fn instruction_set() -> InstructionSet {
    Instructions::current().name()
}

/// Runs `f` with the instruction set `set`, for comparisons and tests. Operations that this thread
/// calls in `f` use it, on all their threads. Returns `None` and does not call `f` if this machine
/// does not have it.
///
/// ```
/// use foresee_kernels::{InstructionSet, instruction_set, with_instruction_set};
///
/// // Every machine has the portable code.
/// let inside = with_instruction_set(InstructionSet::Portable, instruction_set);
/// assert_eq!(inside, Some(InstructionSet::Portable));
/// ```
pub fn with_instruction_set<R>(set: InstructionSet, f: impl FnOnce() -> R) -> Option<R> {
    struct Restore(Option<Instructions>);
    impl Drop for Restore {
        fn drop(&mut self) {
            CHOSEN.set(self.0);
        }
    }
    let found = Instructions::find(set)?;
    let _restore = Restore(CHOSEN.replace(Some(found)));
    Some(f())
}

impl Instructions {
    /// The set that operations called on this thread use.
    pub fn current() -> Self {
        CHOSEN.get().unwrap_or_else(|| {
            Self::find(InstructionSet::Amx)
                .or_else(|| Self::find(InstructionSet::Avx512Bf16))
                .unwrap_or(Self { arch: Arch::new(), bf16: false, amx: false })
        })
    }

    /// Whether it multiplies pairs of bfloat16 values in one instruction.
    pub fn has_bf16(self) -> bool {
        self.bf16
    }

    /// Whether it multiplies blocks of such pairs.
    pub fn has_amx(self) -> bool {
        self.amx
    }

    /// Runs a job with these instructions.
    #[inline(always)]
    pub fn dispatch<J: WithSimd>(self, job: J) -> J::Output {
        self.arch.dispatch(job)
    }

    /// Runs a job that multiplies pairs of bfloat16 values in one instruction.
    #[cfg(target_arch = "x86_64")]
    pub fn dispatch_bf16<J: WithSimd>(self, job: J) -> J::Output {
        match self.arch {
            // SAFETY: `bf16` is set only where the processor has all of these features.
            Arch::V4(v4) if self.bf16 => unsafe { with_bf16(v4, job) },
            _ => unreachable!("called only where has_bf16() is true"),
        }
    }

    /// Runs a job that multiplies blocks of pairs of bfloat16 values.
    #[cfg(target_arch = "x86_64")]
    pub fn dispatch_amx<J: WithSimd>(self, job: J) -> J::Output {
        assert!(self.amx, "called only where has_amx() is true");
        // SAFETY: `amx` is set only where the instructions are available.
        let _tiles = unsafe { amx::Tiles::shape() };
        self.dispatch_bf16(job)
    }

    fn find(set: InstructionSet) -> Option<Self> {
        let plain = |arch| Self { arch, bf16: false, amx: false };
        match set {
            InstructionSet::Portable => Some(plain(Arch::Scalar)),
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx2 => pulp::x86::V3::try_new().map(|v3| plain(Arch::V3(v3))),
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx512 => pulp::x86::V4::try_new().map(|v4| plain(Arch::V4(v4))),
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx512Bf16 => {
                let found =
                    is_x86_feature_detected!("avx512bf16").then(pulp::x86::V4::try_new).flatten();
                found.map(|v4| Self { arch: Arch::V4(v4), bf16: true, amx: false })
            }
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Amx => {
                let found = Self::find(InstructionSet::Avx512Bf16)?;
                amx::is_available().then_some(Self { amx: true, ..found })
            }
            #[cfg(target_arch = "aarch64")]
            InstructionSet::Neon => {
                pulp::aarch64::Neon::try_new().map(|neon| plain(Arch::Neon(neon)))
            }
            _ => None,
        }
    }

    fn name(self) -> InstructionSet {
        match self.arch {
            #[cfg(target_arch = "x86_64")]
            Arch::V4(_) if self.amx => InstructionSet::Amx,
            #[cfg(target_arch = "x86_64")]
            Arch::V4(_) if self.bf16 => InstructionSet::Avx512Bf16,
            #[cfg(target_arch = "x86_64")]
            Arch::V4(_) => InstructionSet::Avx512,
            #[cfg(target_arch = "x86_64")]
            Arch::V3(_) => InstructionSet::Avx2,
            #[cfg(target_arch = "aarch64")]
            Arch::Neon(_) => InstructionSet::Neon,
            _ => InstructionSet::Portable,
        }
    }
}

/// Runs a job with bfloat16 instructions enabled, besides the features of `pulp::x86::V4`, without
/// which its functions would not be inlined.
#[cfg(target_arch = "x86_64")]
#[target_feature(
    enable = "sse,sse2,fxsr,sse3,ssse3,sse4.1,sse4.2,popcnt,avx,avx2,bmi1,bmi2,fma,lzcnt"
)]
#[target_feature(enable = "avx512f,avx512bw,avx512cd,avx512dq,avx512vl,avx512bf16")]
fn with_bf16<J: WithSimd>(v4: pulp::x86::V4, job: J) -> J::Output {
    job.with_simd(v4)
}
