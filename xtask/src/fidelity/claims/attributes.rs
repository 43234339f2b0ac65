//! Table 4: which attributes have similar masks, and whether that means something.

use anyhow::Result;
use foresee_analysis::{
    Interval, Matrix, Verdict, cohesion, mantel, rank_of_pair, row_correlation, top_channels,
};
use foresee_celeba::{ATTRIBUTES, Split, attribute_index};
use foresee_report::frame;

use super::{Claim, RESAMPLES, or_told, over_seeds};
use crate::faces;
use crate::run::Run;

/// Channels of an attribute that are compared with another's.
const TOP: usize = 10;
/// A pair of attributes is close if at most this share of all pairs is as close, in percent.
const CLOSE: f64 = 5.;

/// What a person would put together.
const GROUPS: [(&str, &[&str]); 5] = [
    ("hair colour", &["Black_Hair", "Blond_Hair", "Brown_Hair", "Gray_Hair"]),
    ("beard", &["5_o_Clock_Shadow", "Goatee", "Mustache", "No_Beard", "Sideburns"]),
    ("make-up", &["Heavy_Makeup", "Wearing_Lipstick", "Rosy_Cheeks"]),
    ("mouth", &["Mouth_Slightly_Open", "Smiling", "High_Cheekbones", "Big_Lips"]),
    ("hair shape", &["Bald", "Bangs", "Receding_Hairline", "Straight_Hair", "Wavy_Hair"]),
];

pub fn claims(runs: &[&Run]) -> Vec<Claim> {
    let mut claims: Vec<Claim> = [("Black_Hair", "Blond_Hair"), ("Mouth_Slightly_Open", "Smiling")]
        .into_iter()
        .map(|(a, b)| or_told(&format!("{a} shares channels with {b}"), sharing(runs, a, b)))
        .collect();
    let together = "attributes with similar masks occur together (Table 4)";
    claims.push(or_told(together, neighbours(runs, together, |rho| rho)));
    let either = "attributes with similar masks occur together or exclude each other (Table 4)";
    claims.push(or_told(either, neighbours(runs, either, f64::abs)));
    let alike = "attributes of one kind have similar masks (Table 4)";
    claims.push(or_told(alike, groups(runs, alike)));
    claims
}

/// Mean masks [K, C] of Figure 5 and their correlation among attributes.
fn masks(run: &Run) -> Result<(Matrix, Matrix)> {
    let read = |file: &str| -> Result<Matrix> {
        Ok(Matrix::from_rows(&frame::rows(&run.read_csv(file)?, 1)?))
    };
    Ok((read("data/mean_masks.csv")?, read("data/attribute_correlation.csv")?))
}

/// How high a pair's correlation stands among all pairs, and how many of their first channels are
/// the same.
fn sharing(runs: &[&Run], a: &str, b: &str) -> Result<Claim> {
    let (i, j) = (attribute_index(a)?, attribute_index(b)?);
    let (mut shares, mut common) = (vec![], vec![]);
    for run in runs {
        let (masks, rho) = masks(run)?;
        shares.push(100. * rank_of_pair(&rho, i, j));
        let other = top_channels(&masks, j, TOP);
        common.push(
            top_channels(&masks, i, TOP).iter().filter(|c| other.contains(c)).count().to_string(),
        );
    }
    let verdict = Verdict::up_to(&shares, CLOSE);
    let chance = TOP as f64 * TOP as f64 / runs[0].manifest.config.model.channels as f64;
    let why = format!(
        "of the {TOP} channels with the highest mean masks, {} are the same (by chance {chance:.1})",
        common.join(", ")
    );
    let statistic = "share of all pairs whose mean masks correlate at least as much [%] (holds up to 5 with every seed)";
    let Interval { estimate, low, high } = over_seeds(&shares);
    let interval = Interval { estimate, low: low.clamp(0., 100.), high: high.clamp(0., 100.) };
    Ok(Claim::new(
        &format!("{a} shares channels with {b}"),
        statistic,
        interval,
        shares,
        verdict,
        why,
    ))
}

/// Do mean masks correlate as labels do?
fn neighbours(runs: &[&Run], text: &str, of_labels: fn(f64) -> f64) -> Result<Claim> {
    let mut tables = vec![];
    for run in runs {
        let data =
            faces::reopen(&run.manifest.data, &run.folder, run.manifest.config.data.split.into())?;
        let train = data.split(Split::Train)?;
        let labels: Vec<Vec<f64>> = (0..ATTRIBUTES.len())
            .map(|k| {
                train.iter().map(|&face| f64::from(u8::from(data.labels(face).has(k)))).collect()
            })
            .collect();
        let labels = row_correlation(&Matrix::from_rows(&labels))?.to_rows();
        let labels = Matrix::from_rows(
            &labels
                .into_iter()
                .map(|row| row.into_iter().map(of_labels).collect())
                .collect::<Vec<_>>(),
        );
        tables.push((masks(run)?.1, labels));
    }
    let agreement = mantel(&tables.iter().map(|(a, b)| (a, b)).collect::<Vec<_>>(), RESAMPLES, 0)?;
    let statistic = "rank correlation between mean masks' and labels' correlation over 780 pairs";
    let verdict = Verdict::of_test(agreement.p, &agreement.each);
    Ok(Claim::new(
        text,
        statistic,
        over_seeds(&agreement.each),
        agreement.each,
        verdict,
        p_value(agreement.p),
    ))
}

fn p_value(p: f64) -> String {
    format!("p of Mantel's test over all seeds: {p:.4}")
}

/// Is the correlation of mean masks higher inside of groups than between them?
fn groups(runs: &[&Run], text: &str) -> Result<Claim> {
    let members = GROUPS
        .iter()
        .enumerate()
        .flat_map(|(g, (_, names))| names.iter().map(move |name| (g, name)));
    let (group_of, named): (Vec<usize>, Vec<usize>) = members
        .map(|(g, name)| Ok((g, attribute_index(name)?)))
        .collect::<Result<Vec<_>>>()?
        .into_iter()
        .unzip();
    let same: Vec<Vec<f64>> = group_of
        .iter()
        .map(|a| group_of.iter().map(|b| f64::from(u8::from(a == b))).collect())
        .collect();
    let same = Matrix::from_rows(&same);
    let (mut all, mut tables, mut parts) = (vec![], vec![], vec![vec![]; GROUPS.len()]);
    for run in runs {
        let rho = masks(run)?.1;
        let table = Matrix::from_rows(
            &named
                .iter()
                .map(|&a| named.iter().map(|&b| rho.get(a, b)).collect())
                .collect::<Vec<_>>(),
        );
        let found = cohesion(&table, &group_of, GROUPS.len());
        all.push(found.all);
        parts.iter_mut().zip(found.groups).for_each(|(part, value)| part.push(value));
        tables.push(table);
    }
    let p = mantel(&tables.iter().map(|table| (table, &same)).collect::<Vec<_>>(), RESAMPLES, 0)?.p;
    let by_group: Vec<String> = GROUPS
        .iter()
        .zip(&parts)
        .map(|((name, _), values)| format!("{name} {:+.2}", over_seeds(values).estimate))
        .collect();
    let statistic = "correlation of mean masks inside of groups minus between them";
    let why = format!("{}; {}", by_group.join(", "), p_value(p));
    let verdict = Verdict::of_test(p, &all);
    Ok(Claim::new(text, statistic, over_seeds(&all), all, verdict, why))
}
