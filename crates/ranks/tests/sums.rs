//! Sums have the same bits on any number of ranks.

use foresee_ranks::{
    Alone, Communicator, Counted, Result, Shares, gather_any, gather_at_first, on_threads, pack,
    unpack,
};
use proptest::prelude::*;

/// Values of a micro-batch whose sum depends on the order.
fn part(seed: u64, micro_batch: usize, length: usize) -> Vec<f32> {
    let value = |i: usize| {
        let bits =
            (seed ^ (micro_batch as u64) << 32 ^ i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let exponent = (bits >> 60) as i32 - 8;
        ((bits >> 20) as u32 as f32 / u32::MAX as f32 - 0.5) * 2f32.powi(2 * exponent)
    };
    (0..length).map(value).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_number_of_ranks_has_the_bits_of_one(
        seed in any::<u64>(),
        count in 1usize..12,
        length in 0usize..40,
        ranks in 1usize..9,
    ) {
        let of = |ranks: &dyn Communicator| {
            let shares = Shares::new(ranks, count);
            let own = shares.own().map(|i| part(seed, i, length)).collect();
            shares.sum(length, own)
        };
        let alone = of(&Alone).unwrap();
        for sum in on_threads(ranks, of) {
            let (sum, alone) = (sum.unwrap(), &alone);
            prop_assert_eq!(bits(&sum), bits(alone));
        }
        let exact = |i: usize| -> f64 {
            (0..count).map(|m| f64::from(part(seed, m, length)[i])).sum()
        };
        for (i, found) in alone.iter().enumerate() {
            let size: f64 = (0..count).map(|m| f64::from(part(seed, m, length)[i]).abs()).sum();
            prop_assert!((f64::from(*found) - exact(i)).abs() <= 1e-5 * size);
        }
    }

    #[test]
    fn shares_are_neighbours_and_none_has_more_than_it_must(
        count in 0usize..70,
        ranks in 1usize..20,
    ) {
        let shares = on_threads(ranks, |ranks| Shares::new(ranks, count).own());
        let all: Vec<usize> = shares.iter().cloned().flatten().collect();
        prop_assert_eq!(all, (0..count).collect::<Vec<_>>());
        for share in shares {
            prop_assert!(share.len() <= count.div_ceil(ranks));
            prop_assert!(count < ranks || !share.is_empty());
        }
    }

    #[test]
    fn what_is_joined_has_the_bits_of_one_rank(
        seed in any::<u64>(),
        count in 1usize..12,
        ranks in 1usize..9,
    ) {
        let of = |ranks: &dyn Communicator| {
            let shares = Shares::new(ranks, count);
            // The order shows: (a, b) joins to a/2 + b.
            let join = |a: f64, b: f64| Ok::<f64, foresee_ranks::Error>(a / 2. + b);
            let own = shares.fold_own(|i| Ok(f64::from(part(seed, i, 1)[0])), join)?;
            let all = gather_at_first(ranks, &pack(&own))?;
            shares.fold_all(all.iter().flat_map(|of_rank| unpack(of_rank)), join)
        };
        let alone = of(&Alone).unwrap();
        let first = on_threads(ranks, of).swap_remove(0).unwrap();
        prop_assert_eq!(first.map(f64::to_bits), alone.map(f64::to_bits));
    }

    #[test]
    fn rows_are_those_of_all_micro_batches_in_order(
        count in 1usize..12,
        width in 0usize..4,
        ranks in 1usize..9,
    ) {
        let row = |i: usize| vec![i as f64 + 0.5; width];
        let gathered = on_threads(ranks, |ranks| {
            let shares = Shares::new(ranks, count);
            let own: Vec<Vec<f64>> = shares.own().map(row).collect();
            shares.gather(width, &own)
        });
        for all in gathered {
            let all = all.unwrap();
            if width > 0 {
                prop_assert_eq!(all, (0..count).map(row).collect::<Vec<_>>());
            }
        }
    }
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

/// What is sent: shares of three ranks end at the branches of the tree.
#[test]
fn shares_end_at_branches_of_the_tree() {
    let of = |ranks, count| on_threads(ranks, |ranks| Shares::new(ranks, count).own());
    assert_eq!(of(3, 16), [0..4, 4..10, 10..16]);
    assert_eq!(of(5, 16), [0..4, 4..8, 8..12, 12..14, 14..16]);
    assert_eq!(of(4, 16), [0..4, 4..8, 8..12, 12..16]);
}

/// No rank sends more than twice the vector.
#[test]
fn few_bytes_are_sent() -> Result<()> {
    const LENGTH: usize = 6400;
    for (size, most) in [(2, 1.), (3, 1.68), (4, 1.5), (5, 1.62), (6, 2.), (7, 1.87), (8, 1.75)] {
        let sent = on_threads(size, |ranks| {
            let counted = Counted::new(ranks);
            let shares = Shares::new(&counted, 16);
            shares.sum(LENGTH, vec![vec![1.; LENGTH]; shares.own().len()])?;
            Ok(counted.sent() as f64 / (4 * LENGTH) as f64)
        });
        for sent in sent.into_iter().collect::<Result<Vec<_>>>()? {
            assert!(sent <= most, "{size} ranks: {sent}");
        }
    }
    Ok(())
}

#[test]
fn messages_of_unknown_lengths_arrive_whole() -> Result<()> {
    let of = |rank: usize| vec![rank as u8; 3 * rank];
    for gathered in on_threads(4, |ranks| gather_any(ranks, &of(ranks.rank()))) {
        assert_eq!(gathered?, (0..4).map(of).collect::<Vec<_>>());
    }
    let at_first = on_threads(4, |ranks| gather_at_first(ranks, &of(ranks.rank())));
    for (rank, gathered) in at_first.into_iter().enumerate() {
        let expected = if rank == 0 { (0..4).map(of).collect() } else { vec![] };
        assert_eq!(gathered?, expected);
    }
    Ok(())
}

#[test]
fn ranks_that_do_not_do_the_same_are_told_so() {
    let results = on_threads(2, |ranks| {
        let sent = vec![0; 1 + ranks.rank()];
        ranks.all_gather(&sent, &[1, 1])
    });
    for result in results {
        let message = result.unwrap_err().to_string();
        assert!(message.contains("rank 1 sent 2 bytes where 1 were expected"), "{message}");
    }
}
