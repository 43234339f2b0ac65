//! Ranks that are threads of one process, for tests and for trying out.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::communicator::{Communicator, check_lengths};
use crate::error::{Error, Result};

/// How long a rank waits for the others.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs a program on `count` ranks that are threads of this process, and gives what each came to,
/// in the order of the ranks. A rank that stops taking part lets the others fail after a minute.
///
/// # Panics
/// If the program panics on a rank, or `count` is 0.
pub fn on_threads<T: Send>(
    count: usize,
    program: impl Fn(&dyn Communicator) -> T + Sync,
) -> Vec<T> {
    assert!(count > 0, "there is at least one rank");
    let board = Board::default();
    let run = |rank: usize| program(&Threads { rank, size: count, board: &board });
    std::thread::scope(|scope| {
        let run = &run;
        let ranks: Vec<_> = (0..count).map(|rank| scope.spawn(move || run(rank))).collect();
        let results = ranks.into_iter().map(|rank| rank.join());
        results.map(|result| result.unwrap_or_else(|e| std::panic::resume_unwind(e))).collect()
    })
}

/// Where ranks leave messages for each other, round by round.
#[derive(Default)]
struct Board {
    round: Mutex<Round>,
    changed: Condvar,
}

#[derive(Default)]
struct Round {
    /// What each rank sends to each, of the ranks that are here.
    messages: Vec<(usize, Vec<Vec<u8>>)>,
    /// Ranks that have read their messages, once all are here.
    left: usize,
}

struct Threads<'a> {
    rank: usize,
    size: usize,
    board: &'a Board,
}

impl Threads<'_> {
    /// Leaves messages for all, and reads one's own when all ranks have left theirs.
    fn meet(&self, to: Vec<Vec<u8>>) -> Result<Vec<Vec<u8>>> {
        // The last round is over when all have read.
        let mut round = self.wait(self.lock(), |round| round.left == 0)?;
        round.messages.push((self.rank, to));
        self.board.changed.notify_all();
        let mut round = self.wait(round, |round| round.messages.len() == self.size)?;
        let mut received = vec![vec![]; self.size];
        for (from, to) in &round.messages {
            received[*from] = to[self.rank].clone();
        }
        round.left += 1;
        if round.left == self.size {
            *round = Round::default();
        }
        self.board.changed.notify_all();
        Ok(received)
    }

    fn lock(&self) -> MutexGuard<'_, Round> {
        self.board.round.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(
        &self,
        round: MutexGuard<'a, Round>,
        until: impl Fn(&Round) -> bool,
    ) -> Result<MutexGuard<'a, Round>> {
        let waiting = |round: &mut Round| !until(round);
        let waited = self.board.changed.wait_timeout_while(round, PATIENCE, waiting);
        let (round, time) = waited.unwrap_or_else(PoisonError::into_inner);
        let Self { rank, size, .. } = *self;
        match time.timed_out() {
            true => Err(Error::Waited { rank, size, seconds: PATIENCE.as_secs() }),
            false => Ok(round),
        }
    }
}

impl Communicator for Threads<'_> {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.size
    }

    fn all_gather(&self, sent: &[u8], lengths: &[usize]) -> Result<Vec<Vec<u8>>> {
        let received = self.meet(vec![sent.to_vec(); self.size])?;
        check_lengths(&received, lengths)?;
        Ok(received)
    }

    fn exchange(&self, to: &[Vec<u8>], lengths: &[usize]) -> Result<Vec<Vec<u8>>> {
        let received = self.meet(to.to_vec())?;
        check_lengths(&received, lengths)?;
        Ok(received)
    }
}
