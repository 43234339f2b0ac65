//! Channels that go together.

use super::Reason;
use super::layout::{Atom, Axis, Layout, Part};

/// Atoms in classes: those of a class can only be removed together. A class can be fixed.
#[derive(Debug, Default)]
pub(super) struct Atoms {
    parent: Vec<Atom>,
    fixed: Vec<Option<Reason>>,
}

impl Atoms {
    /// So many atoms, each in a class of its own.
    pub(super) fn fresh(&mut self, count: usize) -> Vec<Atom> {
        let first = self.parent.len();
        self.parent.extend(first..first + count);
        self.fixed.resize(first + count, None);
        (first..first + count).collect()
    }

    /// The first atom of an atom's class.
    pub(super) fn class(&self, mut atom: Atom) -> Atom {
        while self.parent[atom] != atom {
            atom = self.parent[atom];
        }
        atom
    }

    /// Joins the classes of two atoms.
    pub(super) fn unite(&mut self, a: Atom, b: Atom) {
        let classes = (self.class(a), self.class(b));
        let (first, other) = (classes.0.min(classes.1), classes.0.max(classes.1));
        // Short ways to the first of a class.
        (self.parent[a], self.parent[b]) = (first, first);
        if first != other {
            self.parent[other] = first;
            if let Some(reason) = self.fixed[other].take() {
                self.fixed[first].get_or_insert(reason);
            }
        }
    }

    /// Joins the classes of the atoms at the same places.
    pub(super) fn unite_all(&mut self, a: &[Atom], b: &[Atom]) {
        a.iter().zip(b).for_each(|(&a, &b)| self.unite(a, b));
    }

    /// Joins all classes of a list.
    pub(super) fn unite_each(&mut self, atoms: &[Atom]) {
        atoms.windows(2).for_each(|pair| self.unite(pair[0], pair[1]));
    }

    /// Why the channels of a class cannot be removed.
    pub(super) fn fixed(&self, atom: Atom) -> Option<&Reason> {
        self.fixed[self.class(atom)].as_ref()
    }

    /// The channels of these classes cannot be removed.
    pub(super) fn fix(&mut self, atoms: &[Atom], reason: &Reason) {
        for &atom in atoms {
            let class = self.class(atom);
            self.fixed[class].get_or_insert_with(|| reason.clone());
        }
    }

    /// No channel of an axis can be removed.
    pub(super) fn fix_axis(&mut self, axis: &Axis, reason: &Reason) {
        for part in &axis.0 {
            if let Part::Channels(atoms) = part {
                self.fix(atoms, reason);
            }
        }
    }

    /// No channel of these axes can be removed.
    pub(super) fn fix_layout(&mut self, layout: &[Axis], reason: &Reason) {
        layout.iter().for_each(|axis| self.fix_axis(axis, reason));
    }

    /// The atom of each place of an axis; `None` if it has no channels. Places that are one channel
    /// at several positions have the same atom; those that are several channels which go together
    /// have atoms of their own.
    pub(super) fn flat(&mut self, axis: &Axis, mixed: &Reason) -> Option<Vec<Atom>> {
        let channels = axis.0.iter().filter(|part| matches!(part, Part::Channels(_))).count();
        if channels != 1 {
            self.fix_axis(axis, mixed);
            return None;
        }
        let folds: usize = axis.0.iter().filter_map(Part::fold).product();
        let atoms = axis.0.iter().find_map(Part::atoms)?.to_vec();
        let mut copies = vec![atoms.clone()];
        for _ in 1..folds {
            let copy = self.fresh(atoms.len());
            self.unite_all(&atoms, &copy);
            copies.push(copy);
        }
        Some((0..axis.size()).map(|place| at(axis, place, &copies)).collect())
    }

    /// The channels at the same places of two axes of one size go together. What is joined to an
    /// axis without channels cannot be removed.
    pub(super) fn unite_axes(&mut self, a: &Axis, b: &Axis, joined: &Reason) {
        if a.is_alike(b) {
            for (a, b) in a.0.iter().zip(&b.0) {
                if let (Some(a), Some(b)) = (a.atoms(), b.atoms()) {
                    self.unite_all(a, b);
                }
            }
            return;
        }
        match (self.flat(a, joined), self.flat(b, joined)) {
            (Some(a), Some(b)) => self.unite_all(&a, &b),
            (Some(atoms), None) | (None, Some(atoms)) => self.fix(&atoms, joined),
            (None, None) => {}
        }
    }

    /// What a function of elements of values with these layouts gives, which are broadcast to each
    /// other.
    pub(super) fn broadcast(&mut self, layouts: &[Layout], joined: &Reason) -> Layout {
        let rank = layouts.iter().map(Vec::len).max().unwrap_or(0);
        (0..rank).map(|axis| self.broadcast_axis(layouts, rank - axis, joined)).collect()
    }

    /// The axis that has so many from it to the last.
    fn broadcast_axis(&mut self, layouts: &[Layout], from_back: usize, joined: &Reason) -> Axis {
        let axes: Vec<&Axis> = layouts
            .iter()
            .filter_map(|layout| layout.len().checked_sub(from_back).map(|axis| &layout[axis]))
            .filter(|axis| axis.size() != 1)
            .collect();
        let Some(&first) = axes.iter().find(|axis| axis.has_channels()).or(axes.first()) else {
            return Axis::default();
        };
        axes.iter().for_each(|axis| self.unite_axes(first, axis, joined));
        first.clone()
    }
}

/// The atom at a place of an axis, of whose channels there is a copy for each fold.
fn at(axis: &Axis, place: usize, copies: &[Vec<Atom>]) -> Atom {
    let (mut left, mut fold, mut folds, mut channel) = (place, 0, 1, 0);
    for part in axis.0.iter().rev() {
        let index = left % part.size();
        left /= part.size();
        match part {
            Part::Channels(_) => channel = index,
            Part::Folded(size) => {
                fold += index * folds;
                folds *= size;
            }
            Part::Plain(_) => {}
        }
    }
    copies[fold][channel]
}
