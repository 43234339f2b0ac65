//! The state of the labelling, and what changes it.

use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use anyhow::Context;
use foresee_active::{Strategy, in_random_order};
use foresee_celeba::{ATTRIBUTES, CelebA, SplitRule};
use foresee_files::{UNFINISHED, write_atomic};
use serde::Serialize;

use super::folder::{MADE, as_faces};
use super::journal::{Answer, Journal, Line};
use crate::config::Config;
use crate::error::{Result, input};
use crate::faces;
use crate::run::{self, Lock};

/// Each such face is of the hold-out.
const HOLD_OUT: usize = 5;
/// What must not change in a folder with answers.
const SETTINGS: &str = "label.json";
/// The folder of linked images until they are checked.
const UNCHECKED: &str = "faces.new";
const ANSWERS: &str = "answers.jsonl";
/// The labels as a table.
const LABELS: &str = "labels.csv";

/// What is labelled.
#[derive(Debug, Clone, Copy)]
pub enum ToLabel<'a> {
    /// CelebA in any form; its labels are not looked at.
    Faces(&'a Path),
    /// A folder of JPEG or PNG images.
    Images(&'a Path),
}

/// What is labelled, and how the network learns.
pub struct LabelOptions<'a> {
    /// The faces.
    pub faces: ToLabel<'a>,
    /// Where answers are kept.
    pub out: &'a Path,
    /// Indices of the attributes that are asked about.
    pub attributes: Vec<usize>,
    /// How faces are chosen.
    pub strategy: Strategy,
    /// The network learns again after so many more faces that it may learn from.
    pub every: usize,
    /// Faces at most among which it chooses.
    pub pool: usize,
    /// Its settings.
    pub config: Config,
    /// Decides everything that is random.
    pub seed: u64,
}

/// Faces to be labelled, the answers so far, and which face comes next.
pub struct Labeller {
    pub(super) data: CelebA,
    pub(super) config: Config,
    pub(super) attributes: Vec<usize>,
    pub(super) strategy: Strategy,
    pub(super) every: usize,
    pub(super) pool: usize,
    pub(super) seed: u64,
    out: PathBuf,
    /// Faces to learn from, and of the hold-out, each in a random order.
    pub(super) train: Vec<usize>,
    hold_out: Vec<usize>,
    state: Mutex<State>,
    pub(super) changed: Condvar,
    _lock: Lock,
}

/// What changes.
pub(super) struct State {
    journal: Journal,
    answers: HashMap<(usize, usize), Answer>,
    /// Answers that stand, in their order: face and place among the attributes.
    order: Vec<(usize, usize)>,
    current: Option<(usize, usize)>,
    /// Whether the network chose a face, for those that were opened since the program began.
    chosen: HashMap<usize, bool>,
    /// Faces that the network chose, the best first.
    pub queue: Vec<usize>,
    pub learned: Option<Learned>,
    /// Examples that there were when it last learned or tried to.
    pub tried: usize,
    pub is_learning: bool,
    pub problem: Option<String>,
    pub stopped: bool,
}

/// What the last training came to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Learned {
    /// Faces that it learned from.
    pub faces: usize,
    /// Share of the hold-out's answers that it gives, if there are any.
    pub accuracy: Option<f64>,
    /// Faces of the hold-out that this is over.
    pub held_out: usize,
}

/// What the page shows.
#[derive(Debug, Serialize)]
pub(super) struct View {
    /// The face that is asked about; none if all are done.
    face: Option<usize>,
    image: Option<String>,
    attribute: Option<&'static str>,
    /// Whether this face is of the hold-out.
    held_out: bool,
    /// Answers that stand.
    answers: usize,
    /// Faces whose questions are all answered, and all faces.
    labelled: usize,
    faces: usize,
    /// Faces that the network has learned from, and how well it does on the hold-out.
    learned_from: Option<usize>,
    accuracy: Option<f64>,
    accuracy_over: Option<usize>,
    is_learning: bool,
    /// Faces to learn from that are still missing before it learns again.
    learns_in: usize,
    /// What chose the face, if that is known.
    chosen_by: Option<&'static str>,
    problem: Option<String>,
}

#[derive(Serialize)]
struct Settings<'a> {
    faces_sha256: String,
    attributes: Vec<&'a str>,
    seed: u64,
}

impl Labeller {
    /// Opens the faces and the answers that are there already.
    ///
    /// # Errors
    /// If the folder belongs to other faces, attributes or a run, another process works in it, or a
    /// file is damaged.
    pub fn open(options: LabelOptions) -> Result<Self> {
        let LabelOptions { faces, out, attributes, strategy, every, pool, config, seed } = options;
        check_own(out)?;
        let lock = Lock::take(out)?;
        let names: Vec<&str> = attributes.iter().map(|&k| ATTRIBUTES[k]).collect();
        let check = |faces_sha256: String| {
            let settings = Settings { faces_sha256, attributes: names.clone(), seed };
            check_settings(&out.join(SETTINGS), &settings)
        };
        let folder = match faces {
            ToLabel::Faces(folder) => folder.to_owned(),
            ToLabel::Images(images) => linked(images, out, &check)?,
        };
        let (data, record) = faces::open(&folder, SplitRule::Official, None, &[])?;
        check(record.sha256)?;
        let all: Vec<usize> = (0..data.len()).collect();
        let mut hold_out = in_random_order(&all, seed);
        let train = hold_out.split_off(data.len().div_ceil(HOLD_OUT));
        let (journal, lines) = Journal::open(&out.join(ANSWERS))?;
        let mut state = State {
            journal,
            answers: HashMap::new(),
            order: vec![],
            current: None,
            chosen: HashMap::new(),
            queue: vec![],
            learned: None,
            tried: 0,
            is_learning: false,
            problem: None,
            stopped: false,
        };
        replay(&mut state, lines, &data, &attributes)?;
        let labeller = Self {
            data,
            config,
            attributes,
            strategy,
            every,
            pool,
            seed,
            out: out.into(),
            train,
            hold_out,
            state: Mutex::new(state),
            changed: Condvar::new(),
            _lock: lock,
        };
        labeller.advance(&mut labeller.state());
        Ok(labeller)
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the thread that learns.
    pub fn stop(&self) {
        self.state().stopped = true;
        self.changed.notify_all();
    }

    /// Keeps an answer to the question that is open. `false`: another one is open by now.
    pub(super) fn answer(&self, face: usize, attribute: &str, answer: Answer) -> Result<bool> {
        let mut state = self.state();
        let Some((open, place)) = state.current else { return Ok(false) };
        if open != face || ATTRIBUTES[self.attributes[place]] != attribute {
            return Ok(false);
        }
        let image = self.data.name(face).to_owned();
        state.journal.write(&Line::Given { image, attribute: attribute.into(), answer })?;
        state.answers.insert((face, place), answer);
        state.order.push((face, place));
        self.advance(&mut state);
        drop(state);
        self.changed.notify_all();
        Ok(true)
    }

    /// Takes the last answer back, and asks that question again.
    pub(super) fn undo(&self) -> Result<bool> {
        let mut state = self.state();
        let Some(&last) = state.order.last() else { return Ok(false) };
        state.journal.write(&Line::Undone)?;
        state.order.pop();
        state.answers.remove(&last);
        state.current = Some(last);
        Ok(true)
    }

    /// Opens the next question.
    fn advance(&self, state: &mut State) {
        let is_open = |face: usize| {
            let place =
                (0..self.attributes.len()).find(|&k| !state.answers.contains_key(&(face, k)));
            place.map(|place| (face, place))
        };
        // The questions about one face come together.
        let same = state.order.last().and_then(|&(face, _)| is_open(face));
        let done = self.labelled(state).len();
        let own = || {
            let chosen = state.queue.iter().chain(&self.train);
            chosen.copied().find_map(is_open)
        };
        let held = || self.hold_out.iter().copied().find_map(is_open);
        let next = match done % HOLD_OUT == HOLD_OUT - 1 {
            true => held().or_else(own),
            false => own().or_else(held),
        };
        state.current = same.or(next);
        if let (None, Some((face, _))) = (same, next) {
            state.chosen.insert(face, state.queue.contains(&face));
        }
    }

    /// Faces whose questions are all answered, in the order in which they were.
    fn labelled(&self, state: &State) -> Vec<usize> {
        let mut known = HashSet::new();
        let faces = state.order.iter().map(|&(face, _)| face).filter(|face| known.insert(*face));
        let is_done = |face: &usize| {
            (0..self.attributes.len()).all(|k| state.answers.contains_key(&(*face, k)))
        };
        faces.filter(is_done).collect()
    }

    /// Faces with a yes or a no to every question, with these; of the hold-out, or to learn from.
    pub(super) fn examples(&self, state: &State, held_out: bool) -> Vec<(usize, Vec<bool>)> {
        let hold_out: HashSet<usize> = self.hold_out.iter().copied().collect();
        let of = |face: usize| {
            let yes = |k| match state.answers.get(&(face, k)) {
                Some(Answer::Yes) => Some(true),
                Some(Answer::No) => Some(false),
                _ => None,
            };
            let labels: Option<Vec<bool>> = (0..self.attributes.len()).map(yes).collect();
            labels.map(|labels| (face, labels))
        };
        let faces = self.labelled(state).into_iter();
        faces.filter(|face| hold_out.contains(face) == held_out).filter_map(of).collect()
    }

    /// Faces to learn from that no question was answered about.
    pub(super) fn unlabelled(&self, state: &State) -> Vec<usize> {
        let begun: HashSet<usize> = state.order.iter().map(|&(face, _)| face).collect();
        let free = self.train.iter().copied().filter(|face| !begun.contains(face));
        free.take(self.pool).collect()
    }

    /// What the page shows now.
    pub(super) fn view(&self) -> View {
        let state = self.state();
        let face = state.current.map(|(face, _)| face);
        let held_out = face.is_some_and(|face| self.hold_out.contains(&face));
        let learned = state.learned;
        let examples = self.examples(&state, false).len();
        let title =
            |network: &bool| if *network { self.strategy } else { Strategy::Random }.title();
        View {
            face,
            image: face.map(|face| self.data.name(face).to_owned()),
            attribute: state.current.map(|(_, place)| ATTRIBUTES[self.attributes[place]]),
            held_out,
            answers: state.order.len(),
            labelled: self.labelled(&state).len(),
            faces: self.data.len(),
            learned_from: learned.map(|learned| learned.faces),
            accuracy: learned.and_then(|learned| learned.accuracy),
            accuracy_over: learned.map(|learned| learned.held_out),
            is_learning: state.is_learning,
            learns_in: (state.tried + self.every).saturating_sub(examples),
            chosen_by: face.and_then(|face| state.chosen.get(&face)).map(title),
            problem: state.problem.clone(),
        }
    }

    /// The bytes of a face's image.
    pub(super) fn image(&self, face: usize) -> Result<Vec<u8>> {
        match face < self.data.len() {
            true => Ok(self.data.image_bytes(face)?),
            false => Err(input(format!("face: a number from 0 to {}", self.data.len() - 1))),
        }
    }

    /// The labels in the layout of CelebA's CSV: 1 and -1 for every face without a skip.
    pub fn csv(&self) -> String {
        let state = self.state();
        let names: Vec<&str> = self.attributes.iter().map(|&k| ATTRIBUTES[k]).collect();
        let mut text = format!("image_id,{}\n", names.join(","));
        let mut rows = [self.examples(&state, false), self.examples(&state, true)].concat();
        rows.sort();
        for (face, labels) in rows {
            let labels: Vec<&str> =
                labels.iter().map(|&yes| if yes { "1" } else { "-1" }).collect();
            text += &format!("{},{}\n", quoted(self.data.name(face)), labels.join(","));
        }
        text
    }

    /// Writes the labels beside the answers.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write_csv(&self) -> Result<PathBuf> {
        let path = self.out.join(LABELS);
        write_atomic(&path, self.csv().as_bytes())?;
        Ok(path)
    }
}

/// A cell of a CSV file.
fn quoted(name: &str) -> String {
    match name.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", name.replace('"', "\"\"")),
        false => name.into(),
    }
}

/// Brings the state to where the lines of the journal lead.
fn replay(state: &mut State, lines: Vec<Line>, data: &CelebA, attributes: &[usize]) -> Result<()> {
    let face_of: HashMap<&str, usize> =
        (0..data.len()).map(|face| (data.name(face), face)).collect();
    for line in lines {
        match line {
            Line::Undone => {
                if let Some(last) = state.order.pop() {
                    state.answers.remove(&last);
                }
            }
            Line::Given { image, attribute, answer } => {
                let face = face_of.get(image.as_str()).copied();
                let place = attributes.iter().position(|&k| ATTRIBUTES[k] == attribute);
                let question = face.zip(place).ok_or_else(|| {
                    input(format!("{ANSWERS}: there is no image {image} or no {attribute}"))
                })?;
                state.answers.insert(question, answer);
                state.order.push(question);
            }
        }
    }
    Ok(())
}

/// Refuses a folder that holds anything but answers that were given before, or what a failed first
/// try left.
fn check_own(out: &Path) -> Result<()> {
    let refuse = |reason: &str| input(format!("--out {}: {reason}", out.display()));
    if out.join(SETTINGS).exists() {
        return Ok(());
    }
    let entries = match std::fs::read_dir(out) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(|e| refuse(&e.to_string()))?,
    };
    let is_own = |name: &OsString| name != UNCHECKED && !is_left(name);
    match entries.flatten().map(|entry| entry.file_name()).find(is_own) {
        None => Ok(()),
        Some(name) => Err(refuse(&format!(
            "is not empty ({}) and has no {SETTINGS}; name a new folder",
            name.display()
        ))),
    }
}

/// A folder of images as one of faces, in `out`. What lies there already is replaced only after the
/// new one has passed the check.
fn linked(images: &Path, out: &Path, check: &dyn Fn(String) -> Result<()>) -> Result<PathBuf> {
    let (folder, fresh) = (out.join("faces"), out.join(UNCHECKED));
    remove_linked(&fresh)?;
    as_faces(images, &fresh)?;
    check(faces::open(&fresh, SplitRule::Official, None, &[])?.1.sha256)?;
    remove_linked(&folder)?;
    std::fs::rename(&fresh, &folder).with_context(|| format!("{}", folder.display()))?;
    Ok(folder)
}

/// Removes a folder that [`as_faces`] made, unless something is in it that it did not make.
fn remove_linked(folder: &Path) -> Result<()> {
    let failed = |e: std::io::Error| input(format!("{}: {e}", folder.display()));
    let entries = match std::fs::read_dir(folder) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(failed)?,
    };
    let names: Vec<OsString> = entries.flatten().map(|entry| entry.file_name()).collect();
    let is_own = |name: &&OsString| !MADE.iter().any(|made| *name == made) && !is_left(name);
    if let Some(name) = names.iter().find(is_own) {
        return Err(input(format!(
            "{} holds `{}`, which was not made here; move it elsewhere",
            folder.display(),
            name.display()
        )));
    }
    for name in names {
        std::fs::remove_file(folder.join(name)).map_err(failed)?;
    }
    std::fs::remove_dir(folder).map_err(failed)
}

/// Whether an entry of a folder is none of the user's.
fn is_left(name: &OsStr) -> bool {
    run::is_left_behind(name) || name.to_string_lossy().starts_with(UNFINISHED)
}

fn check_settings(path: &Path, settings: &Settings) -> Result<()> {
    let text = serde_json::to_string_pretty(settings)? + "\n";
    match std::fs::read_to_string(path) {
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(write_atomic(path, text.as_bytes())?),
        Err(e) => Err(input(format!("{}: {e}", path.display()))),
        Ok(held) if held == text => Ok(()),
        Ok(_) => Err(input(format!(
            "{} is of other images, attributes or another seed: what was held out at random would \
             no longer be; name another folder with --out",
            path.display()
        ))),
    }
}
