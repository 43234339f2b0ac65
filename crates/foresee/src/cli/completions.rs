//! `completions` and `man`: what a shell and `man` know about the program, from its own arguments.

use std::path::PathBuf;

use clap::{Args, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;

use super::Cli;
use crate::error::{Result, input};
use crate::output::{Kind, OutputFile, OverwriteArgs, print};

/// How every page that clap_mangen writes begins.
const PAGE_START: &str = ".ie \\n(.g .ds Aq";

#[derive(Args)]
pub struct CompletionsArgs {
    /// The shell.
    #[arg(value_enum)]
    shell: Shell,
}

#[derive(Args)]
pub struct ManArgs {
    /// The folder to write into, such as ~/.local/share/man/man1.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    overwrite: OverwriteArgs,
}

/// Prints the completions of `foresee` for a shell.
pub(super) fn completions(args: &CompletionsArgs) -> Result<()> {
    let mut script = vec![];
    clap_complete::generate(args.shell, &mut Cli::command(), "foresee", &mut script);
    print(&String::from_utf8_lossy(&script))
}

/// Writes a page for `foresee` and one for each of its commands.
pub(super) fn man(args: &ManArgs) -> Result<()> {
    if args.out.exists() && !args.out.is_dir() {
        return Err(input(format!("--out {}: is a file; name a folder", args.out.display())));
    }
    let mut pages = vec![];
    let mut program = Cli::command().disable_help_subcommand(true);
    program.build();
    render(&program, &mut pages)?;
    // All places are looked at before the first page is written.
    let place = |(name, page): (String, Vec<u8>)| -> Result<(OutputFile, Vec<u8>)> {
        let kind = Kind::Text(PAGE_START);
        let file = OutputFile::new("--out", &args.out.join(name), kind, &[], args.overwrite)?;
        Ok((file, page))
    };
    let files = pages.into_iter().map(place).collect::<Result<Vec<_>>>()?;
    for (file, page) in &files {
        file.write(page)?;
    }
    print(&format!("{}: {} pages\n", args.out.display(), files.len()))
}

/// The page of a command and of those below it, with their names.
fn render(command: &clap::Command, pages: &mut Vec<(String, Vec<u8>)>) -> Result<()> {
    let man = Man::new(command.clone());
    let mut page = vec![];
    man.render(&mut page)?;
    pages.push((man.get_filename(), page));
    let mut shown = command.get_subcommands().filter(|below| !below.is_hide_set());
    shown.try_for_each(|below| render(below, pages))
}
