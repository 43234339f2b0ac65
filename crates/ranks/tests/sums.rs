//! Sums have the same bits on any number of ranks.

use foresee_ranks::{Alone, Communicator, Result, Shares, gather_any, on_threads};
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

#[test]
fn messages_of_unknown_lengths_arrive_whole() -> Result<()> {
    let of = |rank: usize| vec![rank as u8; 3 * rank];
    for gathered in on_threads(4, |ranks| gather_any(ranks, &of(ranks.rank()))) {
        assert_eq!(gathered?, (0..4).map(of).collect::<Vec<_>>());
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
