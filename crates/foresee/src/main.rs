//! The program `foresee`: see the library of the same name.

use std::process::ExitCode;

fn main() -> ExitCode {
    foresee::cli::main()
}
