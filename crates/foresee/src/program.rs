//! What the user calls the program: messages quote commands that can be copied.

use std::sync::OnceLock;

static PROGRAM: OnceLock<&str> = OnceLock::new();

/// Says how the program was called. The first call counts.
pub(crate) fn set_program(name: &'static str) {
    let _ = PROGRAM.set(name);
}

/// `foresee`, or `cargo xtask`.
pub(crate) fn program() -> &'static str {
    PROGRAM.get().copied().unwrap_or("foresee")
}

/// How to build the program with a feature, such as `cuda`.
pub(crate) fn build_with(feature: &str) -> String {
    format!("cargo run --release --package foresee --features {feature} --")
}
