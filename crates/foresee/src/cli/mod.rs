//! The command line: one file a command, which parses, calls and prints.

mod arguments;
mod array;
mod attribute;
mod compact;
mod compare;
mod completions;
mod data;
mod dry_run;
mod environment;
mod evaluate;
mod explain;
mod explore;
mod export;
mod fidelity;
mod figures;
mod hub;
mod inspect;
mod json;
mod label;
mod learn;
mod logging;
mod method;
mod network;
mod predict;
mod prune;
mod prune_arguments;
mod prune_model;
mod readings;
mod reproduce;
mod runs;
mod stage;
mod study;
mod text;
mod threads;
mod time;
mod transform;

use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

pub use self::environment::ENVIRONMENT;
use self::environment::HUB_ENVIRONMENT;
pub use self::logging::LogArgs;
pub use self::threads::ThreadArgs;
use crate::error::{self, Result};
use crate::exit_status;
use crate::interrupt;
use crate::memory;
use crate::output::say;
pub use crate::program::VERSION;
use crate::program::set_program;
use crate::progress;
use crate::ranks;
use crate::stages::follow::{dismiss, follow};

/// What the program does, in a sentence.
pub const ABOUT: &str = "Reproduces \"New Perspective of Interpretability of Deep Neural \
                         Networks\" (Kimura & Tanaka, 2020), end to end; explains and prunes any \
                         ONNX network for images, and forecasts what that changes";

#[derive(Parser)]
#[command(name = "foresee", about = ABOUT, version = VERSION, after_help = ENVIRONMENT)]
struct Cli {
    #[command(flatten)]
    global: GlobalArgs,
    #[command(subcommand)]
    command: Command,
}

/// What every command takes.
#[derive(Args, Debug, Clone, Default)]
pub struct GlobalArgs {
    #[command(flatten)]
    threads: ThreadArgs,
    #[command(flatten)]
    log: LogArgs,
}

/// The commands, to be shown and parsed by `foresee` or by another program that has more of them.
#[derive(Subcommand)]
pub enum Command {
    /// Run the whole paper: train, measure, prune, transform, predict, attribute, draw.
    ///
    /// It goes on where it was interrupted. Without --celeba it draws synthetic faces and needs
    /// nothing else. Results are in the run folder: open report.html.
    ///
    ///   foresee reproduce
    ///   foresee reproduce --profile small --celeba ~/data/celeba --out runs/celeba
    ///   foresee reproduce --profile paper --celeba ~/data/celeba --dry-run
    #[command(verbatim_doc_comment, after_help = HUB_ENVIRONMENT)]
    Reproduce(reproduce::ReproduceArgs),
    /// Stage `train` of a run: fit the network on the run's device, write model.safetensors and its
    /// accuracy.
    ///
    /// With --system it begins a run of a system that the paper's network is compared with, such as
    /// a ResNet, and writes network.onnx, which `predict`, `prune` and `explain` take with --model.
    ///
    ///   foresee train --run runs/celeba
    ///   foresee train --system moon --celeba ~/data/celeba --profile small --out runs/moon
    #[command(verbatim_doc_comment)]
    Train(stage::TrainArgs),
    /// Stage `measure`: channel correlation, mean masks, top channels, attribute correlation
    /// (Figures 4 to 6, Table 4).
    Measure(stage::StageArgs),
    /// Stage `prune`: plans and curves of semantic channel pruning (Figure 7).
    ///
    /// With --save it also writes a pruned network. With --model it prunes a network of your own,
    /// an ONNX file: curves for every layer, or, with --save, a pruned ONNX file.
    ///
    ///   foresee prune --run runs/celeba
    ///   foresee prune --model resnet18.onnx --images val --labels val.csv --out pruned
    ///   foresee prune --model resnet18.onnx --images val --labels val.csv --budget 0.5 \
    ///     --takeover least_squares --save half.onnx
    #[command(verbatim_doc_comment)]
    Prune(prune_arguments::PruneArgs),
    /// Stage `transform`: the mask transformation under noise (Figure 8).
    ///
    /// With --model it puts tone curves on the gates of a network of your own, an ONNX file.
    ///
    ///   foresee transform --run runs/celeba
    ///   foresee transform --model mobilenet.onnx --images val --labels val.csv --out gates
    #[command(verbatim_doc_comment)]
    Transform(transform::TransformArgs),
    /// Stage `predict`: score forecasts of what a perturbation changes.
    ///
    /// Scores have intervals and negative controls. With --study regression it needs no run and
    /// takes seconds: the paper's regression models (Eq. 3 to 7). With --model it says which layers
    /// of a network of your own, an ONNX file, can be pruned, and how far, before it is done, and
    /// compares the forecast with the outcome.
    ///
    ///   foresee predict --run runs/celeba
    ///   foresee predict --study regression --out runs/regression
    ///   foresee predict --model resnet18.onnx --images val --labels val.csv --out forecast
    #[command(verbatim_doc_comment)]
    Predict(predict::PredictArgs),
    /// Stage `attribute`: the attribution methods that the paper reviews beside its masks.
    ///
    /// All explain the same faces, and are scored.
    ///
    ///   foresee attribute --run runs/celeba
    ///   foresee attribute --run runs/celeba --method lrp --attribute Smiling
    #[command(verbatim_doc_comment)]
    Attribute(attribute::AttributeArgs),
    /// Stage `figures`: draw all figures, tables and report.html from the run's data.
    ///
    /// It needs no training. With options, it shapes figures for a paper, slides or a poster, and
    /// leaves those of the report as they are.
    ///
    ///   foresee figures --run runs/celeba
    ///   foresee figures --run runs/celeba --figure fig7 fig8 --style paper-column --format pdf
    ///   foresee figures --run runs/celeba --figure fig4 --attributes Bald,Smiling --no-note
    #[command(verbatim_doc_comment)]
    Figures(figures::FiguresArgs),
    /// Show what is in a network of your own, an ONNX file.
    ///
    /// Nodes, shapes, parameters, operations, gates, and groups of channels that can be pruned.
    ///
    ///   foresee inspect resnet18.onnx
    ///   foresee inspect detector.onnx --size 480x640 --json
    #[command(verbatim_doc_comment)]
    Inspect(inspect::InspectArgs),
    /// Explain answers of a network of your own, an ONNX file, by several attribution methods.
    ///
    ///   foresee explain --model resnet18.onnx --images photos --classes names.txt --out explained
    ///   foresee explain --model net.onnx --images cat.jpg --method lrp --class tabby --out cat
    #[command(verbatim_doc_comment)]
    Explain(explain::ExplainArgs),
    /// Play with a trained network in the browser: faces, masks, pruning, tone curves, forecasts.
    ///
    /// It prints a link to a page on this machine, and serves it until Ctrl-C.
    ///
    ///   foresee explore --run runs/celeba
    ///   foresee explore --run runs/celeba --port 8080 --open
    ///   foresee explore --model half.safetensors --celeba ~/data/celeba
    #[command(verbatim_doc_comment)]
    Explore(explore::ExploreArgs),
    /// Ask people to forecast what operations change: design, plan, serve and score a study.
    #[command(subcommand)]
    Study(study::StudyCommand),
    /// Judge a model file on faces of a folder.
    Evaluate(evaluate::EvaluateArgs),
    /// Leave out of a trained network's heads what hardly varies from face to face.
    ///
    /// That gives nearly the same answers for less arithmetic. A row is the mask of one attribute
    /// on one channel. Most masks of a trained network never open. Rows whose contributions vary
    /// least, on training faces, are no longer computed; their mean joins the bias of their
    /// attribute. The new file loads like any model. How far logits move and how many answers flip,
    /// on faces that the rows were not chosen on, is printed and stored in it. Use the original
    /// under noise, for other data, with tone curves, to prune, and to look at masks: there rows
    /// may matter that were shut on these faces.
    ///
    ///   foresee compact --run runs/celeba --out compact.safetensors
    ///   foresee compact --model runs/celeba/model.safetensors --tolerance 1e-2 --out c.safetensors
    ///   foresee compact --model pruned.safetensors --celeba ~/data/celeba --out c.safetensors
    #[command(verbatim_doc_comment)]
    Compact(compact::CompactArgs),
    /// Write a trained network for PyTorch (a folder with a module and a test), or as ONNX.
    ///
    ///   foresee export --run runs/celeba --pytorch network --onnx network.onnx
    #[command(verbatim_doc_comment)]
    Export(export::ExportArgs),
    /// Do the paper's claims hold? Many runs over λ and seeds, then one analysis with intervals.
    ///
    /// It writes tables/claims and report.html, takes hours to days, and goes on where it stopped.
    ///
    /// Its runs can be the elements of an array job (--list, --only, --analyse).
    ///
    ///   foresee fidelity --celeba ~/data/celeba --out runs/fidelity --seeds 3 --budget 480
    ///   foresee fidelity --celeba ~/data/celeba --out runs/fidelity --only 7
    #[command(verbatim_doc_comment)]
    Fidelity(fidelity::FidelityArgs),
    /// Under which readings does the paper's pruning hold? Measures all cheap ones on the networks
    /// that `fidelity` has trained.
    ///
    /// The paper leaves open which channel of a pair goes, by which norm, and what is correlated.
    /// Runs that are measured are not measured again, and can be the elements of an array job.
    ///
    ///   foresee readings runs/fidelity --celeba ~/data/celeba
    ///   foresee readings runs/fidelity --celeba ~/data/celeba --device cuda --only 7
    #[command(verbatim_doc_comment)]
    Readings(readings::ReadingsArgs),
    /// Train the systems of the paper's Table 3 on the same faces, and compare them.
    ///
    /// Accuracy with intervals over seeds and images, costs, noise, pruning, and how well it is
    /// forecast what pruning changes. Each training is a run of its own, so that it goes on where
    /// it was interrupted, and can be an element of an array job (--list, --only, --analyse).
    /// Without --celeba it compares on synthetic faces.
    ///
    ///   foresee compare --celeba ~/data/celeba --out runs/compare
    ///   foresee compare --celeba ~/data/celeba --out runs/compare --passes resnet101=5
    ///   foresee compare --celeba ~/data/celeba --out runs/compare --only 7
    #[command(verbatim_doc_comment)]
    Compare(compare::CompareArgs),
    /// Active learning: which faces should be labelled next? Learning curves of strategies.
    ///
    /// Each strategy begins with the same random labels, trains a network from scratch, chooses
    /// more faces, and so on; CelebA's labels answer. Curves over the number of labels have
    /// intervals over seeds and stand beside random choice. A killed study goes on at its last
    /// round. Without --celeba it learns on synthetic faces.
    ///
    ///   foresee learn --celeba ~/data/celeba --out runs/learn
    ///   foresee learn --celeba ~/data/celeba --out runs/learn --dry-run
    ///   foresee learn --out runs/streams --strategy random,stream_uncertainty,stream_importance
    #[command(verbatim_doc_comment)]
    Learn(learn::LearnArgs),
    /// Label faces in the browser, one key an answer, while a network learns which to ask next.
    ///
    /// It prints a link to a page on this machine, and serves it until Ctrl-C. Each answer is kept
    /// as it is given; labels.csv has them in CelebA's layout.
    ///
    ///   foresee label --celeba ~/data/celeba --attribute Smiling --out labels
    ///   foresee label --images photos --attribute Eyeglasses,Wearing_Hat --out labels --open
    #[command(verbatim_doc_comment)]
    Label(label::LabelArgs),
    /// Make or check folders of faces.
    #[command(subcommand)]
    Data(data::DataCommand),
    /// List the runs below a folder: faces, settings, accuracy, stages that are done, size.
    Runs(runs::RunsArgs),
    /// Print the completions of `foresee` for a shell.
    ///
    ///   foresee completions bash > ~/.local/share/bash-completion/completions/foresee
    ///   foresee completions zsh > ~/.zfunc/_foresee
    ///   foresee completions fish > ~/.config/fish/completions/foresee.fish
    #[command(verbatim_doc_comment)]
    Completions(completions::CompletionsArgs),
    /// Write a manual page for `foresee` and each of its commands.
    ///
    ///   foresee man --out ~/.local/share/man/man1
    #[command(verbatim_doc_comment)]
    Man(completions::ManArgs),
}

/// The program `foresee`: parses the arguments, runs the command, and returns the exit status.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    set_up("foresee", &cli.global);
    exit_code(run(cli.command))
}

/// Prepares the process: memory, signals, the log and the threads. It is called before any other
/// thread is started. `program` is what the user calls it, for messages that quote a command.
pub fn set_up(program: &'static str, global: &GlobalArgs) {
    set_program(program);
    memory::keep_freed_memory();
    error::hide_caught_panics();
    logging::start(&global.log);
    threads::start(global.threads);
    if let Err(e) = interrupt::install() {
        tracing::warn!("Ctrl-C will end the program without saving: {e:#}");
    }
}

/// Runs a command; of several processes that `mpirun` started, on the first, which the others
/// follow.
///
/// # Errors
/// The first error of the command; [`exit_code`] says what it means.
pub fn run(command: Command) -> Result<()> {
    threads::check()?;
    let _connected = ranks::connect()?;
    if ranks::number() == 0 {
        let done = run_here(command);
        dismiss()?;
        return done;
    }
    // Others may wait for this one.
    follow().or_else(|e| ranks::end(&e))
}

fn run_here(command: Command) -> Result<()> {
    match command {
        Command::Reproduce(args) => reproduce::reproduce(&args),
        Command::Train(args) => stage::train(&args),
        Command::Measure(args) => stage::measure(&args),
        Command::Prune(args) => prune::prune(&args),
        Command::Transform(args) => transform::transform(&args),
        Command::Predict(args) => predict::predict(&args),
        Command::Attribute(args) => attribute::attribute(&args),
        Command::Figures(args) => figures::figures(&args),
        Command::Inspect(args) => inspect::inspect(&args),
        Command::Explain(args) => explain::explain(&args),
        Command::Explore(args) => explore::explore(&args),
        Command::Study(command) => study::study(&command),
        Command::Evaluate(args) => evaluate::evaluate(&args),
        Command::Compact(args) => compact::compact(&args),
        Command::Compare(args) => compare::compare(&args),
        Command::Export(args) => export::export(&args),
        Command::Fidelity(args) => fidelity::fidelity(&args),
        Command::Readings(args) => readings::readings(&args),
        Command::Label(args) => label::label(&args),
        Command::Learn(args) => learn::learn(&args),
        Command::Data(command) => data::data(command),
        Command::Runs(args) => runs::runs(&args),
        Command::Completions(args) => completions::completions(&args),
        Command::Man(args) => completions::man(&args),
    }
}

/// Prints the error, if there is one, and tells the exit status: 0 done, 1 the run failed, 2 the
/// arguments or the input are wrong, 75 another process is making the run, 130, 143 or 129
/// interrupted.
pub fn exit_code(result: Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            match progress::is_json() {
                true => tracing::error!("{e:#}"),
                false => say(&format!("error: {e:#}")),
            }
            ExitCode::from(exit_status::of(&e))
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use clap::error::ErrorKind;

    use super::Cli;

    #[test]
    fn options_for_one_source_are_not_taken_beside_another() {
        let commands = [
            "transform --run r --sigma 0.3",
            "transform --run r --gate x",
            "prune --run r --shares 0.5",
            "prune --run r --layer x",
            "prune --run r --labels l.csv",
            "predict --run r --takeover partner",
            "predict --run r --seeds 3",
            "predict --study regression --out o --against r",
            "predict --study regression --out o --images i",
            "train --run r --seed 1",
            "train --run r --out o",
        ];
        for command in commands {
            let words = std::iter::once("foresee").chain(command.split(' '));
            let error = Cli::try_parse_from(words).err().map(|error| error.kind());
            assert_eq!(error, Some(ErrorKind::ArgumentConflict), "{command}");
        }
    }
}
