//! Steps that ranks make together: before each they tell each other that they are ready.

use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::anyhow;
use candle_core::{Device, Tensor};
use foresee_model::{Predictions, SharedBatch, StepReport, TrainConfig, Trainable, Trainer};
use foresee_ranks::Communicator;

use super::classifier::{Answers, Asked};
use crate::error::{Result, input};
use crate::ranks::{self, World};

/// How the batches of a training are shared; or not, where a batch is one piece.
pub(super) struct Together {
    ranks: Rc<World>,
    /// Images of a batch.
    images: usize,
    /// Images of a micro-batch.
    micro_batch: usize,
    /// Whether the ranks still make steps together.
    going: bool,
    clock: WorkClock,
    slow: SlowRanks,
}

/// What a rank says before a step.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Word {
    Ready,
    Failed,
    /// Of rank 0: no further step is made, nor a test.
    Stop,
}

/// Bytes of a word and of the seconds that follow it.
const BYTES: usize = 1 + 8;

impl Word {
    fn of(byte: Option<&u8>) -> Self {
        match byte {
            Some(0) => Self::Ready,
            Some(2) => Self::Stop,
            _ => Self::Failed,
        }
    }
}

impl Together {
    /// For the training of a network on batches of so many images.
    ///
    /// # Errors
    /// If there are several ranks, and batches of this training cannot be shared.
    pub fn new<N: Trainable>(
        network: &N,
        train: &TrainConfig,
        images: usize,
        device: &Device,
    ) -> Result<Self> {
        let ranks = ranks::world();
        let can_share = network.can_be_shared() && !device.is_metal();
        let micro_batch = if can_share { train.micro_batch_on(device) } else { 0 };
        match (ranks.size(), can_share, micro_batch) {
            (1, ..) => {}
            (size, true, 1..) => check_all_work(size, images.div_ceil(micro_batch), device)?,
            (size, true, 0) => return Err(not_cut(size, device)),
            (size, false, _) => {
                return Err(input(format!(
                    "{size} ranks cannot train this together: only the paper's network, on CPUs or \
                     CUDA devices"
                )));
            }
        }
        let (clock, slow) = (WorkClock::start(&ranks), SlowRanks::default());
        Ok(Self { ranks, images, micro_batch, going: true, clock, slow })
    }

    /// The images of each batch that are this rank's; `None`: all.
    pub fn rows(&self) -> Option<std::ops::Range<usize>> {
        (self.ranks.size() > 1).then(|| self.shared().images())
    }

    fn shared(&self) -> SharedBatch<'_> {
        SharedBatch::new(&*self.ranks, self.images, self.micro_batch)
    }

    /// A step on this rank's images, which it may have failed to read.
    pub fn step<N: Trainable>(
        &mut self,
        trainer: &mut Trainer<N>,
        images: Result<(Tensor, Tensor)>,
    ) -> Result<Option<StepReport>> {
        let word = if images.is_ok() { Word::Ready } else { Word::Failed };
        let images = match self.meet(word)? {
            Word::Ready => images?,
            Word::Failed => return Err(self.failed(images.err())),
            Word::Stop => return Ok(None),
        };
        let (images, labels) = images;
        let report = match self.ranks.size() {
            1 => trainer.step(&images, &labels),
            _ => trainer.step_of_ranks(&images, &labels, &self.shared()),
        };
        match report {
            Ok(report) => Ok(Some(report)),
            // All ranks come to the same numbers.
            Err(e @ foresee_model::Error::NotFinite { .. }) => {
                self.meet(Word::Failed)?;
                Err(self.failed(Some(e.into())))
            }
            Err(e) if self.ranks.size() == 1 => Err(e.into()),
            // A rank alone, such as one whose GPU has no memory left: the others wait for its sums.
            Err(e) => ranks::end(&e.into()),
        }
    }

    /// The answers to validation faces, of which each rank has a share: with rank 0, `None` at the
    /// others. All ranks make it behind an epoch, without a word before it.
    pub fn validate(&self, asked: &Asked, answers: &Answers) -> Result<Option<Predictions>> {
        asked.answer_together(None, answers, &self.ranks)
    }

    /// The same of test faces, behind the last epoch. `None` also where rank 0 makes no test.
    pub fn test(&mut self, asked: &Asked, answers: &Answers) -> Result<Option<Predictions>> {
        self.restart_clock();
        match self.meet(Word::Ready)? {
            Word::Ready => asked.answer_together(Some("testing"), answers, &self.ranks),
            _ => Ok(None),
        }
    }

    /// Tells the other ranks that no further step is made, if they wait for one.
    pub fn stop(&mut self) -> Result<()> {
        if self.going {
            self.meet(Word::Stop)?;
        }
        Ok(())
    }

    /// From here on the time counts as that of the next step.
    pub fn restart_clock(&mut self) {
        self.clock = WorkClock::start(&self.ranks);
    }

    /// Tells all ranks this one's word, and gives what they have come to.
    fn meet(&mut self, word: Word) -> Result<Word> {
        if self.ranks.size() == 1 {
            return Ok(word);
        }
        let mut said = [0; BYTES];
        said[0] = word as u8;
        said[1..].copy_from_slice(&self.clock.seconds(&self.ranks).to_le_bytes());
        let all = self.ranks.all_gather(&said, &vec![BYTES; self.ranks.size()])?;
        self.clock = WorkClock::start(&self.ranks);
        self.name_slow_ranks(&all);
        let words = all.iter().map(|said| Word::of(said.first()));
        let word = words.clone().find(|word| *word == Word::Failed);
        let word = word.or_else(|| words.clone().find(|word| *word == Word::Stop));
        self.going = word.is_none();
        Ok(word.unwrap_or(Word::Ready))
    }

    fn name_slow_ranks(&mut self, all: &[Vec<u8>]) {
        let seconds = |said: &Vec<u8>| {
            let bytes = said.get(1..BYTES).and_then(|bytes| bytes.try_into().ok());
            bytes.map_or(0., f64::from_le_bytes)
        };
        let (slow, median) = self.slow.watch(&all.iter().map(seconds).collect::<Vec<_>>());
        for (number, seconds) in slow.into_iter().filter(|_| self.ranks.rank() == 0) {
            tracing::warn!(
                "rank {number} is slow: it takes {seconds:.2} s for a step, where the median is \
                 {median:.2} s"
            );
        }
    }

    /// The error of a step that this rank, or another, could not make.
    fn failed(&self, own: Option<anyhow::Error>) -> anyhow::Error {
        let agreed = ranks::agree(own.map_or(Ok(()), Err));
        agreed.err().unwrap_or_else(|| anyhow!("a rank has failed and did not say why"))
    }
}

/// Refuses GPUs that would have nothing to do. A rank on CPUs may have other work, such as
/// validation.
fn check_all_work(ranks: usize, micro_batches: usize, device: &Device) -> Result<()> {
    match device.is_cpu() || ranks <= micro_batches {
        true => Ok(()),
        false => Err(input(format!(
            "{ranks} ranks with a GPU each share the {micro_batches} micro-batches of a batch: \
             start no more ranks than that, or set a smaller train.gpu_micro_batch"
        ))),
    }
}

fn not_cut(ranks: usize, device: &Device) -> anyhow::Error {
    let (key, such_as) = match device.is_cpu() {
        true => ("train.micro_batch", 8),
        false => ("train.gpu_micro_batch", 32),
    };
    input(format!(
        "{ranks} ranks share the micro-batches of a batch, but {key} is 0: set it, such as --set \
         {key}={such_as}"
    ))
}

/// What this process worked, without waiting for the others.
struct WorkClock {
    started: Instant,
    waited: Duration,
}

impl WorkClock {
    fn start(ranks: &World) -> Self {
        Self { started: Instant::now(), waited: ranks.waited() }
    }

    fn seconds(&self, ranks: &World) -> f64 {
        let waited = ranks.waited().saturating_sub(self.waited);
        self.started.elapsed().saturating_sub(waited).as_secs_f64()
    }
}

/// Names ranks that make the others wait.
#[derive(Default)]
struct SlowRanks {
    /// Of each rank: seconds of steps since the last look.
    sums: Vec<f64>,
    steps: usize,
}

/// Steps from one look to the next.
const LOOK_EVERY: usize = 100;
/// A rank that takes so many times as long as the median is slow.
const SLOW: f64 = 1.5;

impl SlowRanks {
    /// Adds up what all ranks said of their last step. Every so many steps, those that are slow:
    /// their numbers with the seconds that they work on a step, and the median of all.
    fn watch(&mut self, seconds: &[f64]) -> (Vec<(usize, f64)>, f64) {
        self.sums.resize(seconds.len(), 0.);
        self.sums.iter_mut().zip(seconds).for_each(|(sum, seconds)| *sum += seconds);
        self.steps += 1;
        if self.steps < LOOK_EVERY {
            return (vec![], 0.);
        }
        self.steps = 0;
        let means: Vec<f64> = self.sums.drain(..).map(|sum| sum / LOOK_EVERY as f64).collect();
        let mut sorted = means.clone();
        sorted.sort_by(f64::total_cmp);
        let median = sorted[(sorted.len() - 1) / 2];
        let slow = means.into_iter().enumerate().filter(|(_, mean)| *mean > SLOW * median);
        (slow.collect(), median)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rank_that_makes_the_others_wait_is_named() {
        let mut slow = SlowRanks::default();
        for _ in 1..LOOK_EVERY {
            assert!(slow.watch(&[1., 1.2, 2.]).0.is_empty());
        }
        let (named, median) = slow.watch(&[1., 1.2, 2.]);
        assert_eq!(named.len(), 1);
        assert!(named[0].0 == 2 && (named[0].1 - 2.).abs() < 1e-9 && (median - 1.2).abs() < 1e-9);
        // Counting begins anew; of two ranks one can be slow too.
        for _ in 1..LOOK_EVERY {
            assert!(slow.watch(&[1., 3.]).0.is_empty());
        }
        assert_eq!(slow.watch(&[1., 3.]).0.len(), 1);
    }
}
