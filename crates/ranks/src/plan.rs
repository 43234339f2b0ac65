//! Which rank sends which sums to which, so that all have the sum of all micro-batches, and none
//! sends much more than the others.
//!
//! The values are cut into stripes. For each stripe every node of the tree is given a rank, which
//! adds it up; where a node and its parent have different ranks, the node is sent. The ranks are
//! those that cost least, where a message has a price that grows with what its sender has sent of
//! the stripes before. So the load spreads.

use std::cell::RefCell;
use std::ops::Range;
use std::rc::Rc;

use crate::tree::{Node, root};

/// Stripes of the values at least.
const STRIPES: usize = 64;

/// A node's sum that a rank sends to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Message {
    pub node: Node,
    pub from: usize,
    pub to: usize,
    /// The meeting of all ranks in which it is sent.
    pub round: usize,
}

/// How the sum of all micro-batches comes to all ranks.
#[derive(Default)]
pub(crate) struct Plan {
    /// The messages of each stripe.
    pub stripes: Vec<Vec<Message>>,
    /// Meetings of all ranks.
    pub rounds: usize,
}

thread_local! {
    /// The shares that were asked about last, and their plan: a training has the same at each step.
    static LAST: RefCell<(Vec<Range<usize>>, Rc<Plan>)> = RefCell::default();
}

impl Plan {
    /// As [`new`](Self::new), which is only called for other shares than the last time.
    pub fn of(shares: Vec<Range<usize>>) -> Rc<Self> {
        LAST.with_borrow_mut(|last| {
            if last.0 != shares {
                let plan = Rc::new(Self::new(&shares));
                *last = (shares, plan);
            }
            last.1.clone()
        })
    }

    /// For the micro-batches of each rank, which follow one another. A rank that has added up a
    /// stripe sends it to all others itself, unless less is sent by the one who sends most if
    /// another rank can pass it on.
    pub fn new(shares: &[Range<usize>]) -> Self {
        let [direct, passed_on] = [false, true].map(|pass_on| Planner::new(shares, pass_on).plan());
        if passed_on.1 < direct.1 { passed_on.0 } else { direct.0 }
    }
}

struct Planner {
    /// The rank of each micro-batch.
    owners: Vec<usize>,
    /// Messages that each rank has sent.
    sent: Vec<u64>,
    pass_on: bool,
}

/// The cost of what cannot be.
const NEVER: u64 = u64::MAX / 4;

/// A node, with the least cost at which each rank comes to its sum.
struct Costs {
    node: Node,
    of_rank: Vec<u64>,
    /// None if one rank has all micro-batches of the node.
    children: Vec<Costs>,
}

/// A node with the rank that adds it up.
struct Placed {
    node: Node,
    rank: usize,
    children: Vec<Placed>,
}

impl Planner {
    fn new(shares: &[Range<usize>], pass_on: bool) -> Self {
        let of_rank = |(rank, share): (usize, &Range<usize>)| share.clone().map(move |_| rank);
        let owners = shares.iter().enumerate().flat_map(of_rank).collect();
        Self { owners, sent: vec![0; shares.len()], pass_on }
    }

    /// The plan, and the messages of the rank that sends most.
    fn plan(mut self) -> (Plan, u64) {
        // Each rank can add up one.
        let stripes = STRIPES.max(self.sent.len());
        let stripes: Vec<Vec<Message>> = (0..stripes).map(|_| self.stripe()).collect();
        let rounds = stripes.iter().flatten().map(|message| message.round + 1).max();
        let most = self.sent.into_iter().max().unwrap_or_default();
        (Plan { stripes, rounds: rounds.unwrap_or_default() }, most)
    }

    fn stripe(&mut self) -> Vec<Message> {
        let Some(costs) = self.costs(root(self.owners.len())) else { return vec![] };
        let all = 0..self.sent.len();
        let cost = |&rank: &usize| costs.of_rank[rank] + self.cost_of_spreading(rank);
        let rank = all.min_by_key(cost).unwrap_or_default();
        let placed = self.placed(&costs, rank).gathered(rank);
        let mut messages = vec![];
        let round = placed.collect(&mut messages);
        self.spread(placed.node, rank, round, &mut messages);
        for message in &messages {
            self.sent[message.from] += 1;
        }
        messages
    }

    fn price(&self, rank: usize) -> u64 {
        1 + self.sent[rank]
    }

    /// `None` if no micro-batch of the node exists.
    fn costs(&self, node: Node) -> Option<Costs> {
        let all = self.owners.len();
        let own = self.owners.get(node.first..all.min(node.first + node.size))?;
        let first = *own.first()?;
        if own.iter().all(|&owner| owner == first) {
            let mut of_rank = vec![NEVER; self.sent.len()];
            of_rank[first] = 0;
            return Some(Costs { node, of_rank, children: vec![] });
        }
        let children: Vec<Costs> =
            node.children().into_iter().filter_map(|child| self.costs(child)).collect();
        let mut of_rank = vec![0; self.sent.len()];
        for child in &children {
            let (_, sent) = self.cheapest(child);
            of_rank.iter_mut().zip(&child.of_rank).for_each(|(sum, &own)| *sum += own.min(sent));
        }
        Some(Costs { node, of_rank, children })
    }

    /// The rank that comes to a sum and sends it at the least cost, and that cost.
    fn cheapest(&self, costs: &Costs) -> (usize, u64) {
        let each = costs.of_rank.iter().enumerate();
        let sent = each.map(|(rank, cost)| (rank, cost + self.price(rank)));
        sent.min_by_key(|&(_, cost)| cost).unwrap_or((0, NEVER))
    }

    fn placed(&self, costs: &Costs, rank: usize) -> Placed {
        let place = |child: &Costs| {
            let (other, sent) = self.cheapest(child);
            self.placed(child, if child.of_rank[rank] <= sent { rank } else { other })
        };
        Placed { node: costs.node, rank, children: costs.children.iter().map(place).collect() }
    }

    /// The cost of sending a sum from a rank to all others.
    fn cost_of_spreading(&self, rank: usize) -> u64 {
        let others = self.sent.len() as u64 - 1;
        match self.passes_on(rank) {
            Some(other) => self.price(rank) + (others - 1) * self.price(other),
            None => others * self.price(rank),
        }
    }

    /// The rank that passes a sum on to the others, if that is cheaper.
    fn passes_on(&self, rank: usize) -> Option<usize> {
        if !self.pass_on || self.sent.len() < 3 {
            return None;
        }
        let others = (0..self.sent.len()).filter(|&other| other != rank);
        let other = others.min_by_key(|&other| self.price(other));
        other.filter(|&other| self.price(other) < self.price(rank))
    }

    /// Adds the messages that bring a sum from its rank to all others, from a round on.
    fn spread(&self, node: Node, rank: usize, round: usize, messages: &mut Vec<Message>) {
        let other = self.passes_on(rank);
        messages.extend(other.map(|to| Message { node, from: rank, to, round }));
        let (from, round) = other.map_or((rank, round), |other| (other, round + 1));
        let to = (0..self.sent.len()).filter(|&to| to != rank && to != from);
        messages.extend(to.map(|to| Message { node, from, to, round }));
    }
}

impl Placed {
    /// The same with fewer meetings: what two ranks add up for a third goes to it at once, which is
    /// as many messages of each.
    fn gathered(self, parent: usize) -> Self {
        let Self { node, rank, children } = self;
        let differ = children.iter().any(|child| child.rank != children[0].rank);
        let rank = if differ { parent } else { rank };
        let children = children.into_iter().map(|child| child.gathered(rank)).collect();
        Self { node, rank, children }
    }

    /// Adds the messages that bring the node's sum to its rank. They are over when this many rounds
    /// are.
    fn collect(&self, messages: &mut Vec<Message>) -> usize {
        let mut over = 0;
        for child in &self.children {
            let mut round = child.collect(messages);
            if child.rank != self.rank {
                let (node, from, to) = (child.node, child.rank, self.rank);
                messages.push(Message { node, from, to, round });
                round += 1;
            }
            over = over.max(round);
        }
        over
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Messages of the rank that sends most, over stripes.
    fn most(shares: &[Range<usize>]) -> f64 {
        let plan = Plan::new(shares);
        let of = |rank: usize| {
            let all = plan.stripes.iter().flatten();
            all.filter(|message| message.from == rank).count() as f64
        };
        (0..shares.len()).map(of).fold(0., f64::max) / plan.stripes.len() as f64
    }

    /// The messages that add up, one more for each branch that a rank has beside its first at the
    /// least, and those that spread the sum: (3 + 2)/3 for three ranks, (7 + 5)/6 for six.
    #[test]
    fn what_is_sent_is_near_the_least_that_can_be() {
        assert_eq!(most(&[0..8, 8..16]), 1.);
        assert_eq!(most(&[0..4, 4..8, 8..12, 12..16]), 1.5);
        let three = most(&[0..4, 4..10, 10..16]);
        assert!((5. / 3. ..1.68).contains(&three), "{three}");
        assert_eq!(most(&[0..2, 2..4, 4..7, 7..10, 10..13, 13..16]), 2.);
        let seven = most(&[0..2, 2..4, 4..6, 6..8, 8..11, 11..14, 14..16]);
        assert!((13. / 7. ..1.87).contains(&seven), "{seven}");
    }

    #[test]
    fn one_node_a_rank_needs_two_rounds() {
        assert_eq!(Plan::new(&[0..2, 2..4, 4..6, 6..8]).rounds, 2);
        // Who has all spreads it.
        assert_eq!(Plan::new(&[0..1, 1..1]).rounds, 1);
        assert_eq!(Plan::new(&[0..0, 0..0]).rounds, 0);
    }
}
