//! Sums of vectors over all ranks, along a [`Plan`].

use std::convert::Infallible;
use std::ops::Range;

use crate::bytes::{bytes_of, singles};
use crate::communicator::{Communicator, check_lengths};
use crate::error::Result;
use crate::plan::{Message, Plan};
use crate::tree::{Node, fold, root};

/// What this rank knows of some of the values.
struct Stripe {
    values: Range<usize>,
    known: Vec<(Node, Vec<f32>)>,
}

impl Stripe {
    fn of(&self, node: Node) -> Option<&Vec<f32>> {
        self.known.iter().find(|(known, _)| *known == node).map(|(_, sum)| sum)
    }

    /// The sum of a node's micro-batches, of which all parts are known.
    fn sum(&mut self, node: Node, count: usize) -> &[f32] {
        if self.of(node).is_none() {
            let mut leaf = |node| Ok::<_, Infallible>(self.of(node).cloned());
            let Ok(sum) = fold(node, count, &mut leaf, &mut add);
            let zeros = || vec![0.; self.values.len()];
            let sum = sum.unwrap_or_else(zeros);
            self.known.push((node, sum));
        }
        self.of(node).map_or(&[], Vec::as_slice)
    }
}

/// The sum of the micro-batches of all ranks, of which there are `count`, at every rank. `own` are
/// the sums of this rank's nodes, `length` values each.
///
/// # Errors
/// If a rank has failed.
pub(crate) fn sum_of_ranks(
    ranks: &dyn Communicator,
    plan: &Plan,
    count: usize,
    length: usize,
    own: &[(Node, Vec<f32>)],
) -> Result<Vec<f32>> {
    let stripe = |at: usize| {
        let place = |at: usize| at * length / plan.stripes.len();
        let values = place(at)..place(at + 1);
        let of_node = |(node, sum): &(Node, Vec<f32>)| (*node, sum[values.clone()].to_vec());
        Stripe { known: own.iter().map(of_node).collect(), values }
    };
    let mut stripes: Vec<Stripe> = (0..plan.stripes.len()).map(stripe).collect();
    for round in 0..plan.rounds {
        meet(ranks, plan, count, round, &mut stripes)?;
    }
    Ok(stripes.iter_mut().flat_map(|stripe| stripe.sum(root(count), count).to_vec()).collect())
}

/// Sends and receives the messages of a round.
fn meet(
    ranks: &dyn Communicator,
    plan: &Plan,
    count: usize,
    round: usize,
    stripes: &mut [Stripe],
) -> Result<()> {
    let each = |stripe: (usize, &Vec<Message>)| {
        let (at, messages) = stripe;
        messages.iter().map(move |message| (at, *message)).collect::<Vec<_>>()
    };
    let messages: Vec<(usize, Message)> = plan.stripes.iter().enumerate().flat_map(each).collect();
    let messages = || messages.iter().filter(|(_, message)| message.round == round);
    let own = ranks.rank();
    let mut to = vec![vec![]; ranks.size()];
    for (at, message) in messages().filter(|(_, message)| message.from == own) {
        to[message.to].extend(bytes_of(stripes[*at].sum(message.node, count)));
    }
    let mut lengths = vec![0; ranks.size()];
    for (at, message) in messages().filter(|(_, message)| message.to == own) {
        lengths[message.from] += 4 * stripes[*at].values.len();
    }
    let received = ranks.exchange(&to, &lengths)?;
    check_lengths(&received, &lengths)?;
    let mut rest: Vec<&[u8]> = received.iter().map(Vec::as_slice).collect();
    for (at, message) in messages().filter(|(_, message)| message.to == own) {
        let stripe = &mut stripes[*at];
        let (sum, others) = rest[message.from].split_at(4 * stripe.values.len());
        stripe.known.push((message.node, singles(sum).collect()));
        rest[message.from] = others;
    }
    Ok(())
}

/// Adds a vector to a sum.
pub(crate) fn add(
    mut sum: Vec<f32>,
    values: Vec<f32>,
) -> std::result::Result<Vec<f32>, Infallible> {
    sum.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
    Ok(sum)
}
