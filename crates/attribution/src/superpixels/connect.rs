//! Segments that are connected, and neither tiny nor huge.

/// How many pixels a connected segment has.
pub(super) struct Sizes {
    /// Below this it joins a neighbour.
    pub least: usize,
    /// Of a larger one so many pixels are cut off.
    pub most: usize,
}

/// The connected parts of the segments of an image, numbered from 0 in the order of their first
/// pixels, row by row. A part that is too small joins a neighbour whose number is known by then.
pub(super) fn connect(segments: &[u32], h: usize, w: usize, sizes: &Sizes) -> Vec<u32> {
    let mut search = Search { segments, h, w, connected: vec![None; segments.len()] };
    let mut next = 0;
    for pixel in 0..segments.len() {
        if search.connected[pixel].is_some() {
            continue;
        }
        let (part, neighbour) = search.part_of(pixel, next, sizes.most);
        if part.len() < sizes.least {
            // Only the first part of all may have no neighbour: the number is then taken twice, by
            // two parts that touch.
            let joined = neighbour.unwrap_or(next);
            part.into_iter().for_each(|pixel| search.connected[pixel] = Some(joined));
        } else {
            next += 1;
        }
    }
    search.connected.into_iter().map(|number| number.unwrap_or(0)).collect()
}

struct Search<'a> {
    segments: &'a [u32],
    h: usize,
    w: usize,
    /// The new number of each pixel that has one.
    connected: Vec<Option<u32>>,
}

impl Search<'_> {
    /// Gives a number to the pixels, at most so many, of the same segment that are connected to
    /// this one. The last neighbour that was seen with another number, too.
    fn part_of(&mut self, pixel: usize, number: u32, most: usize) -> (Vec<usize>, Option<u32>) {
        let mut part = vec![pixel];
        let mut neighbour = None;
        self.connected[pixel] = Some(number);
        let mut visited = 0;
        while visited < part.len() && part.len() < most {
            for beside in self.beside(part[visited]) {
                match self.connected[beside] {
                    None if self.segments[beside] == self.segments[pixel] => {
                        self.connected[beside] = Some(number);
                        part.push(beside);
                        if part.len() >= most {
                            break;
                        }
                    }
                    Some(other) if other != number => neighbour = Some(other),
                    _ => {}
                }
            }
            visited += 1;
        }
        (part, neighbour)
    }

    /// The pixels to the right, to the left, below and above.
    fn beside(&self, pixel: usize) -> Vec<usize> {
        let (y, x) = (pixel / self.w, pixel % self.w);
        let mut beside = Vec::with_capacity(4);
        if x + 1 < self.w {
            beside.push(pixel + 1);
        }
        if x > 0 {
            beside.push(pixel - 1);
        }
        if y + 1 < self.h {
            beside.push(pixel + self.w);
        }
        if y > 0 {
            beside.push(pixel - self.w);
        }
        beside
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Both segments are in two parts. The part of a single pixel joins the neighbour above it.
    #[test]
    fn parts_become_segments_or_join_one() {
        let segments = [0, 0, 1, 0, 0, 1, 1, 1, 0];
        let sizes = Sizes { least: 2, most: 9 };
        assert_eq!(connect(&segments, 3, 3, &sizes), [0, 0, 1, 0, 0, 1, 2, 2, 1]);
        let all = Sizes { least: 1, most: 9 };
        assert_eq!(connect(&segments, 3, 3, &all), [0, 0, 1, 0, 0, 1, 2, 2, 3]);
        // Two pixels at once.
        let cut = Sizes { least: 1, most: 2 };
        assert_eq!(connect(&[0; 4], 1, 4, &cut), [0, 0, 1, 1]);
    }
}
