//! Which faces to show as examples of some attributes.

use crate::attributes::Labels;
use crate::dataset::CelebA;

impl CelebA {
    /// Chooses `count` of the `candidates` as examples of some attributes, by index, greedily: the
    /// next face is the one with the largest gain, and the first of these if several have it.
    ///
    /// A face gains ⌊100 / (1 + 9n)⌋ for each of the attributes that it has, where n is the number
    /// of faces with this attribute that were chosen before. So an attribute that no chosen face
    /// has counts ten times as much as one that a single face has. Fewer faces are returned if
    /// there are not as many candidates.
    pub fn faces_showing(
        &self,
        attributes: &[usize],
        candidates: &[usize],
        count: usize,
    ) -> Vec<usize> {
        greedy_examples(|face| self.labels(face), attributes, candidates, count)
    }
}

fn greedy_examples(
    labels: impl Fn(usize) -> Labels,
    attributes: &[usize],
    candidates: &[usize],
    count: usize,
) -> Vec<usize> {
    let mut chosen: Vec<usize> = vec![];
    while chosen.len() < count {
        let shown = |k: usize| chosen.iter().filter(|&&face| labels(face).has(k)).count();
        let gain = |face: usize| -> usize {
            let present = attributes.iter().filter(|&&k| labels(face).has(k));
            present.map(|&k| 100 / (1 + 9 * shown(k))).sum()
        };
        let remaining = candidates.iter().copied().filter(|face| !chosen.contains(face));
        // `max_by_key` takes the last of equals, which is the first candidate from behind.
        let Some(best) = remaining.rev().max_by_key(|&face| gain(face)) else { break };
        chosen.push(best);
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_face_adds_most_of_what_is_not_shown_yet() {
        // Faces with attributes {0}, {0, 1}, {1, 2}, {2}.
        let present: [&[usize]; 4] = [&[0], &[0, 1], &[1, 2], &[2]];
        let labels = |face: usize| (0..40).map(|k| present[face].contains(&k)).collect::<Labels>();
        let examples = |count| greedy_examples(labels, &[0, 1, 2], &[0, 1, 2, 3], count);
        // Gains 100, 200, 200, 100; then 10, -, 110, 100; then 10, -, -, 10.
        assert_eq!(examples(3), [1, 2, 0]);
        assert_eq!(examples(9), [1, 2, 0, 3]);
        assert_eq!(examples(0), [0; 0]);
        // Gains 100 and 100, in the order of the candidates; then ⌊100 / 10⌋.
        assert_eq!(greedy_examples(labels, &[2], &[3, 2, 3], 5), [3, 2]);
        assert_eq!(greedy_examples(labels, &[], &[], 1), [0; 0]);
    }
}
