//! What the user calls the program: messages quote commands that can be copied.

use std::sync::OnceLock;

/// The program's version and the commit that it is built from.
pub const VERSION: &str =
    concat!(env!("CARGO_PKG_VERSION"), " (commit ", env!("FORESEE_COMMIT"), ")");

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

/// The command that was given, as it can be given again in a shell.
pub(crate) fn command_line() -> String {
    let arguments = std::env::args_os().skip(1);
    let quoted = arguments.map(|argument| quoted(&argument.to_string_lossy()));
    std::iter::once(program().to_owned()).chain(quoted).collect::<Vec<_>>().join(" ")
}

/// An argument in quotes, if a shell would read it otherwise.
pub(crate) fn quoted(argument: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "-_./,=:+@%".contains(c);
    match !argument.is_empty() && argument.chars().all(is_plain) {
        true => argument.to_owned(),
        false => format!("'{}'", argument.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_shell_would_change_is_quoted() {
        assert_eq!(quoted("--images=val/a.png"), "--images=val/a.png");
        assert_eq!(quoted("power n=2"), "'power n=2'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted(""), "''");
    }
}
