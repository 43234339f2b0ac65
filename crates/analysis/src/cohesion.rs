//! Are members of one group alike?

use foresee_stats::{Matrix, RESAMPLES, mantel};

use crate::error::Result;

/// How much more the members of one group correlate than members of different groups: the mean
/// correlation inside of groups minus the mean correlation between members of different groups.
#[derive(Debug, Clone, PartialEq)]
pub struct Cohesion {
    /// Over the pairs inside of any group.
    pub all: f64,
    /// Over the pairs inside of each group; NaN for a group of one.
    pub groups: Vec<f64>,
}

/// [`Cohesion`] of groups `0..groups`, given the group of each row of a correlation matrix.
///
/// ```
/// use foresee_analysis::{Matrix, cohesion};
///
/// let rho = Matrix::from_rows(&[
///     vec![1.0, 0.8, 0.1],
///     vec![0.8, 1.0, 0.2],
///     vec![0.1, 0.2, 1.0],
/// ]);
/// // Rows 0 and 1 are a group, and row 2 is another one.
/// let found = cohesion(&rho, &[0, 0, 1], 2);
/// assert!((found.all - (0.8 - 0.15)).abs() < 1e-12);
/// assert!(found.groups[1].is_nan());
/// ```
///
/// # Panics
/// If the matrix is smaller than `group_of`, or a group is not below `groups`.
pub fn cohesion(correlation: &Matrix, group_of: &[usize], groups: usize) -> Cohesion {
    let (mut inside, mut between) = (vec![(0., 0.); groups], (0., 0.));
    for (i, &a) in group_of.iter().enumerate() {
        for (j, &b) in group_of.iter().enumerate().skip(i + 1) {
            let part = if a == b { &mut inside[a] } else { &mut between };
            *part = (part.0 + correlation.get(i, j), part.1 + 1.);
        }
    }
    let outside = between.0 / between.1;
    let all = inside.iter().fold((0., 0.), |all, part| (all.0 + part.0, all.1 + part.1));
    Cohesion {
        all: all.0 / all.1 - outside,
        groups: inside.into_iter().map(|(sum, n)| sum / n - outside).collect(),
    }
}

/// [`Cohesion`] of the same groups in networks from several seeds, and how often chance does as
/// well.
#[derive(Debug, Clone, PartialEq)]
pub struct CohesionOverSeeds {
    /// [`Cohesion::all`] of each seed.
    pub all: Vec<f64>,
    /// [`Cohesion::groups`] of each seed, `[group][seed]`.
    pub groups: Vec<Vec<f64>>,
    /// p of [`mantel()`] between the correlations and "is in the same group", over all seeds
    /// together, with [`RESAMPLES`] permutations, whose own seed is 0.
    pub p: f64,
}

/// Tests the cohesion of `groups`, each a list of rows of the correlation matrices, one matrix for
/// each seed. Rows that belong to no group are left out.
///
/// # Errors
/// If there is no seed, or fewer than 3 members, or the correlations or the groups do not vary.
///
/// # Panics
/// If a matrix does not have a row that a group names.
pub fn cohesion_over_seeds(
    correlations: &[Matrix],
    groups: &[Vec<usize>],
) -> Result<CohesionOverSeeds> {
    let members: Vec<usize> = groups.concat();
    let group_of: Vec<usize> =
        groups.iter().enumerate().flat_map(|(g, rows)| vec![g; rows.len()]).collect();
    let n = members.len();
    let same = Matrix::from_fn(n, n, |i, j| f64::from(u8::from(group_of[i] == group_of[j])));
    let tables: Vec<Matrix> = correlations
        .iter()
        .map(|rho| Matrix::from_fn(n, n, |i, j| rho.get(members[i], members[j])))
        .collect();
    let each: Vec<Cohesion> =
        tables.iter().map(|table| cohesion(table, &group_of, groups.len())).collect();
    let pairs: Vec<(&Matrix, &Matrix)> = tables.iter().map(|table| (table, &same)).collect();
    Ok(CohesionOverSeeds {
        all: each.iter().map(|found| found.all).collect(),
        groups: (0..groups.len())
            .map(|g| each.iter().map(|found| found.groups[g]).collect())
            .collect(),
        p: mantel(&pairs, RESAMPLES, 0)?.p,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows 0 and 1 are alike, and so are rows 2 and 3.
    fn rho() -> Matrix {
        Matrix::from_rows(&[
            vec![1., 0.8, 0.1, 0.2],
            vec![0.8, 1., 0.3, 0.0],
            vec![0.1, 0.3, 1., 0.4],
            vec![0.2, 0.0, 0.4, 1.],
        ])
    }

    #[test]
    fn two_groups_by_hand() {
        let found = cohesion(&rho(), &[0, 0, 1, 1], 2);
        // Between: (0.1 + 0.2 + 0.3 + 0.0)/4 = 0.15.
        for (value, expected) in
            [(found.all, 0.6 - 0.15), (found.groups[0], 0.8 - 0.15), (found.groups[1], 0.4 - 0.15)]
        {
            assert!((value - expected).abs() < 1e-12);
        }
    }

    #[test]
    fn seeds_are_tested_together() -> Result<()> {
        let groups = [vec![2, 3], vec![0, 1]];
        let found = cohesion_over_seeds(&[rho(), rho()], &groups)?;
        assert!(found.all.iter().all(|v| (v - 0.45).abs() < 1e-12), "{found:?}");
        assert!((found.groups[0][1] - 0.25).abs() < 1e-12, "{found:?}");
        assert!((found.groups[1][0] - 0.65).abs() < 1e-12, "{found:?}");
        // Of the three ways to pair four rows, only this one correlates so well.
        assert!((found.p - 1. / 3.).abs() < 0.05, "{found:?}");
        assert!(cohesion_over_seeds(&[], &groups).is_err());
        Ok(())
    }
}
