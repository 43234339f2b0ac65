//! Products of bfloat16 pairs on the tile registers of AMX, which 64-bit Linux lends a process that
//! asks for them. Rust has no stable intrinsics of them, hence the assembly.

use std::arch::asm;
use std::arch::x86_64::__cpuid_count;
use std::marker::PhantomData;
use std::sync::LazyLock;

use crate::operands::{self, COLUMNS, Stretch};

/// Rows of a block of sums.
pub(crate) const ROWS: usize = 16;
/// Steps of a block: the pairs in a row of a tile register.
pub(crate) const STEPS: usize = 16;
/// Bytes of a row of a tile register.
const ROW: usize = 64;

// A tile of sums is one block or two, and two registers wide.
const _: () = assert!(ROWS == operands::ROW_GROUP && 2 * ROWS == operands::ROWS);
const _: () = assert!(4 * COLUMNS == 2 * ROW && 4 * STEPS == ROW);

/// Whether the processor has the instructions, and the system lets this process use them.
pub(crate) fn is_available() -> bool {
    static AVAILABLE: LazyLock<bool> =
        LazyLock::new(|| cfg!(target_os = "linux") && is_supported() && is_permitted());
    *AVAILABLE
}

fn is_supported() -> bool {
    const OSXSAVE: u32 = 1 << 27;
    const BF16_AND_TILES: u32 = 1 << 22 | 1 << 24;
    const TILE_STATE: u32 = 1 << 17 | 1 << 18;
    let has = |flags: u32, needed: u32| flags & needed == needed;
    has(__cpuid_count(1, 0).ecx, OSXSAVE)
        && __cpuid_count(0, 0).eax >= 7
        && has(__cpuid_count(7, 0).edx, BF16_AND_TILES)
        && has(enabled_state(), TILE_STATE)
}

/// The parts of the processor's state that the system saves (XCR0), of which these are in the low
/// half.
fn enabled_state() -> u32 {
    let low: u32;
    // SAFETY: the caller has seen that the system has enabled the instruction (OSXSAVE).
    unsafe {
        asm!("xgetbv", in("ecx") 0, out("eax") low, out("edx") _, options(nomem, nostack));
    }
    low
}

/// Asks Linux for the tile registers: arch_prctl(ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA).
fn is_permitted() -> bool {
    const ARCH_PRCTL: i64 = 158;
    const ARCH_REQ_XCOMP_PERM: i64 = 0x1023;
    const XFEATURE_XTILEDATA: i64 = 18;
    let result: i64;
    // SAFETY: the call changes nothing but what threads of this process may use, and how large an
    // alternative stack of signals must be from then on.
    unsafe {
        asm!(
            "syscall", inlateout("rax") ARCH_PRCTL => result, in("rdi") ARCH_REQ_XCOMP_PERM,
            in("rsi") XFEATURE_XTILEDATA, out("rcx") _, out("r11") _, options(nostack),
        );
    }
    result == 0
}

/// The tile registers of this thread in the shape that [`add_blocks`] needs. Dropped, it gives them
/// the shape back that they had: a job can begin within another, where a tone curve or a loss calls
/// operations of its own, and candle's products of quantized weights shape them once for each
/// thread. What is in the registers is lost.
#[must_use]
pub(crate) struct Tiles {
    before: Shapes,
    /// It belongs to its thread.
    _thread: PhantomData<*const ()>,
}

/// What `ldtilecfg` reads and `sttilecfg` writes. Zeros are registers without a shape.
#[repr(C, align(64))]
struct Shapes {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    /// Bytes of a row of each register.
    bytes: [u16; 16],
    rows: [u8; 16],
}

impl Shapes {
    const NONE: Self =
        Self { palette: 0, start_row: 0, reserved: [0; 14], bytes: [0; 16], rows: [0; 16] };
}

impl Tiles {
    /// Shapes the registers.
    ///
    /// # Safety
    /// The instructions are available ([`is_available`]).
    pub unsafe fn shape() -> Self {
        let mut shapes = Shapes::NONE;
        shapes.palette = 1;
        shapes.bytes[..8].fill(ROW as u16);
        shapes.rows[..8].fill(ROWS as u8);
        let mut before = Shapes::NONE;
        // SAFETY: as the caller promises. Palette 1 has 8 registers of 16 rows of 64 bytes on every
        // processor that has them.
        unsafe {
            asm!("sttilecfg [{}]", in(reg) &raw mut before, options(nostack));
            asm!("ldtilecfg [{}]", in(reg) &raw const shapes, options(nostack, readonly));
        }
        Self { before, _thread: PhantomData }
    }
}

impl Drop for Tiles {
    fn drop(&mut self) {
        // SAFETY: the instructions are available, since the registers were shaped, and this shape
        // was theirs. Without a shape they are released.
        unsafe {
            asm!("ldtilecfg [{}]", in(reg) &raw const self.before, options(nostack, readonly))
        };
    }
}

/// A left operand of pairs: row r of step i at `start + r·row + i`.
#[derive(Clone, Copy)]
pub(crate) struct Pairs {
    pub start: *const u32,
    pub row: usize,
}

/// Where rows of sums lie, and how far from each other.
#[derive(Clone, Copy)]
pub(crate) struct Sums {
    pub start: *mut f32,
    pub row: usize,
}

/// Adds Σᵢ a(r, i)·b(i, j) over the whole blocks of [`STEPS`] steps of all stretches to 16 (or, if
/// `TWICE`, 32) rows of 32 sums. Column j of the right operand's step i is at `start + 32·i + j`.
///
/// # Safety
/// The registers are shaped ([`Tiles`]), all that is read can be read, and the sums belong to the
/// caller.
#[inline(always)]
pub(crate) unsafe fn add_blocks<const TWICE: bool>(
    stretches: impl Iterator<Item = Stretch>,
    a: Pairs,
    b: *const u32,
    c: Sums,
) {
    const RIGHT_ROW: usize = 4 * COLUMNS;
    let c_row = 4 * c.row;
    let a_row = 4 * a.row;
    let second = c.start.wrapping_add(ROWS * c.row);
    // SAFETY: as the caller promises. Rust's reference does not say that registers keep what they
    // hold between pieces of assembly. They do: the compiler uses no tile registers of its own, and
    // `stretches` are closures that are inlined here and call nothing.
    unsafe {
        asm!(
            "tileloadd tmm0, [{c} + {row}*1]", "tileloadd tmm1, [{c} + {row}*1 + 64]",
            c = in(reg) c.start, row = in(reg) c_row,
            out("tmm0") _, out("tmm1") _, options(nostack),
        );
        if TWICE {
            asm!(
                "tileloadd tmm2, [{c} + {row}*1]", "tileloadd tmm3, [{c} + {row}*1 + 64]",
                c = in(reg) second, row = in(reg) c_row,
                out("tmm2") _, out("tmm3") _, options(nostack),
            );
        }
        for stretch in stretches {
            let mut a_at = a.start.wrapping_add(stretch.a);
            let mut b_at = b.wrapping_add(stretch.b);
            for _ in 0..stretch.steps / STEPS {
                asm!(
                    "tileloadd tmm4, [{a} + {a_row}*1]",
                    "tileloadd tmm5, [{b} + {b_row}*1]",
                    "tileloadd tmm6, [{b} + {b_row}*1 + 64]",
                    "tdpbf16ps tmm0, tmm4, tmm5",
                    "tdpbf16ps tmm1, tmm4, tmm6",
                    a = in(reg) a_at, a_row = in(reg) a_row,
                    b = in(reg) b_at, b_row = in(reg) RIGHT_ROW,
                    out("tmm0") _, out("tmm1") _, out("tmm4") _, out("tmm5") _, out("tmm6") _,
                    options(nostack),
                );
                if TWICE {
                    asm!(
                        "tileloadd tmm7, [{a} + {a_row}*1]",
                        "tdpbf16ps tmm2, tmm7, tmm5",
                        "tdpbf16ps tmm3, tmm7, tmm6",
                        a = in(reg) a_at.wrapping_add(ROWS * a.row), a_row = in(reg) a_row,
                        out("tmm2") _, out("tmm3") _, out("tmm7") _,
                        options(nostack),
                    );
                }
                a_at = a_at.wrapping_add(STEPS);
                b_at = b_at.wrapping_add(STEPS * COLUMNS);
            }
        }
        asm!(
            "tilestored [{c} + {row}*1], tmm0", "tilestored [{c} + {row}*1 + 64], tmm1",
            c = in(reg) c.start, row = in(reg) c_row, options(nostack),
        );
        if TWICE {
            asm!(
                "tilestored [{c} + {row}*1], tmm2", "tilestored [{c} + {row}*1 + 64], tmm3",
                c = in(reg) second, row = in(reg) c_row, options(nostack),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// C += A·B for 32 rows, two blocks of steps and 32 columns, from a job within another.
    #[test]
    fn blocks_by_hand() {
        if !is_available() {
            eprintln!("skipped: this machine has no AMX, or does not lend it");
            return;
        }
        let steps = 2 * STEPS;
        let pair = |a: f32, b: f32| a.to_bits() >> 16 | b.to_bits() & 0xFFFF_0000;
        // Pair i of row r is (r, 1), and of column j (i % 2, j).
        let a: Vec<u32> = (0..32 * steps).map(|at| pair((at / steps) as f32, 1.)).collect();
        let b: Vec<u32> = (0..steps * COLUMNS)
            .map(|at| pair((at / COLUMNS % 2) as f32, (at % COLUMNS) as f32))
            .collect();
        for rows in [ROWS, 2 * ROWS] {
            let mut c = vec![1f32; 32 * COLUMNS];
            let stretch = Stretch { a: 0, b: 0, steps };
            let sums = Sums { start: c.as_mut_ptr(), row: COLUMNS };
            let a = Pairs { start: a.as_ptr(), row: steps };
            // SAFETY: the instructions are available, and the operands have all that is read.
            unsafe {
                let _outer = Tiles::shape();
                drop(Tiles::shape());
                match rows > ROWS {
                    true => add_blocks::<true>([stretch].into_iter(), a, b.as_ptr(), sums),
                    false => add_blocks::<false>([stretch].into_iter(), a, b.as_ptr(), sums),
                }
            }
            for (r, row) in c.chunks_exact(COLUMNS).enumerate() {
                for (j, &found) in row.iter().enumerate() {
                    let sum = (r * STEPS + steps * j) as f32;
                    assert_eq!(found, if r < rows { 1. + sum } else { 1. }, "row {r}, column {j}");
                }
            }
        }
    }
}
