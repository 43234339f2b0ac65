//! What the study leaves: data, a figure, a table and a page.

use std::path::Path;

use foresee_active::LearningCurve;
use foresee_report::{
    About, Band, Curve, LineStyle, Panel, Record, Report, Section, Source, Style, Table, curves,
    frame,
};
use foresee_stats::{Interval, LEVEL, mean, mean_over_seeds};

use super::{Choice, Work};
use crate::artifacts::{LearningPoint, LearningSummary, Row};
use crate::config::Config;
use crate::distinct::distinct;
use crate::error::Result;
use crate::program::command_line;
use crate::provenance::{number, percent};
use crate::run::REPORT;

/// The page's title.
pub(crate) const TITLE: &str = "Learning curves of active learning";

/// The points of one strategy, by seed.
fn by_seed<'a>(points: &'a [LearningPoint], strategy: &str) -> Vec<Vec<&'a LearningPoint>> {
    let own = || points.iter().filter(|point| point.strategy == strategy);
    let seeds = distinct(own().map(|point| point.seed));
    seeds.into_iter().map(|seed| own().filter(|point| point.seed == seed).collect()).collect()
}

fn strategies(points: &[LearningPoint]) -> Vec<Choice> {
    let present = |choice: &Choice| points.iter().any(|point| point.strategy == choice.id());
    Choice::all().filter(present).collect()
}

fn curve(points: &[&LearningPoint]) -> Result<LearningCurve> {
    let points: Vec<(f64, f64)> =
        points.iter().map(|point| (point.labels as f64, point.accuracy)).collect();
    Ok(LearningCurve::new(&points)?)
}

/// Each strategy over its seeds. The target is an accuracy, or else random's last one.
pub(crate) fn summaries(
    points: &[LearningPoint],
    target: Option<f64>,
) -> Result<Vec<LearningSummary>> {
    let random = by_seed(points, Choice::RANDOM.id());
    let last = |seeds: &[Vec<&LearningPoint>]| {
        mean(&seeds.iter().filter_map(|s| Some(s.last()?.accuracy)).collect::<Vec<_>>())
    };
    let target = target.unwrap_or_else(|| last(&random));
    let areas = |seeds: &[Vec<&LearningPoint>]| -> Result<Vec<f64>> {
        seeds.iter().map(|points| Ok(curve(points)?.mean_accuracy())).collect()
    };
    let of_random = areas(&random)?;
    let mut rows = vec![];
    for choice in strategies(points) {
        let seeds = by_seed(points, choice.id());
        let own = areas(&seeds)?;
        let pairs = own.iter().zip(&of_random).map(|(own, random)| own - random);
        let difference = match choice {
            Choice::RANDOM => Interval::point(f64::NAN),
            _ => mean_over_seeds(&pairs.collect::<Vec<_>>()),
        };
        let mut needed = vec![];
        for points in &seeds {
            needed.extend(curve(points)?.labels_for(target));
        }
        rows.push(LearningSummary {
            strategy: choice.id().into(),
            seeds: seeds.len(),
            last_accuracy: last(&seeds),
            mean_accuracy: mean(&own),
            difference: difference.estimate,
            difference_low: difference.low,
            difference_high: difference.high,
            target,
            labels_needed: mean(&needed),
            reached: needed.len(),
            data: points[0].data.clone(),
        });
    }
    Ok(rows)
}

/// Writes all that the study leaves.
pub(crate) fn write(out: &Path, work: &Work, config: &Config, target: Option<f64>) -> Result<()> {
    let points = &work.points;
    let summary = summaries(points, target)?;
    frame::write_csv(&out.join(<LearningPoint as Row>::PATH), &LearningPoint::to_frame(points)?)?;
    let path = out.join(<LearningSummary as Row>::PATH);
    frame::write_csv(&path, &LearningSummary::to_frame(&summary)?)?;
    let seeds = distinct(points.iter().map(|point| point.seed)).len();
    let source = source(work, config, seeds);
    let figure = curves("learning_curves", &panels(points), &source, &Style::default())?;
    let caption = format!(
        "Accuracy on test faces over the number of labelled faces, mean over {seeds} {}. {}",
        if seeds == 1 { "seed" } else { "seeds" },
        spread_words(seeds)
    );
    let figure = figure.about(About {
        caption,
        data: vec![<LearningPoint as Row>::PATH.into()],
        command: command_line(),
    });
    figure.save(&out.join("figures"))?;
    let table = table(&summary, seeds, &source);
    table.save(&out.join("tables"))?;
    let how = "Every strategy begins with the same random labels of a seed. A network is trained \
               from scratch on what is labelled, judged on the test faces, and asked which faces \
               to label next; the annotations answer.";
    let report = Report {
        title: TITLE.into(),
        source,
        summary: vec![
            ("rounds done".into(), format!("{} of {}", points.len(), work.rounds)),
            ("seeds".into(), seeds.to_string()),
        ],
        sections: vec![
            Section::Heading("Curves".into()),
            Section::Text(how.into()),
            Section::Figure(figure),
            Section::Heading("Against random choice".into()),
            Section::Table(table),
        ],
    };
    report.save(&out.join(REPORT))?;
    tracing::info!("open {}", out.join(REPORT).display());
    Ok(())
}

fn source(work: &Work, config: &Config, seeds: usize) -> Source {
    let data = format!(
        "{}; {} px, {} passes over the labelled faces, {}, {seeds} seed{}",
        work.data.noted(),
        config.data.image_size,
        config.train.trainer.epochs,
        config.training_title(),
        if seeds == 1 { "" } else { "s" }
    );
    Source { data, synthetic: work.data.synthetic }
}

fn spread_words(seeds: usize) -> String {
    match seeds {
        1 => "With one seed the spread is not known, and none is drawn.".into(),
        _ => format!(
            "Left: Student's interval of {:.0} % over seeds. Right: the difference from random \
             choice, paired by seed, with its interval.",
            100. * LEVEL
        ),
    }
}

/// The curves, and their differences from random's.
fn panels(points: &[LearningPoint]) -> Vec<Panel> {
    let random = by_seed(points, Choice::RANDOM.id());
    let styles = [LineStyle::Solid, LineStyle::Dashed, LineStyle::Dotted];
    let drawn = |(place, choice): (usize, Choice), of_random: bool| {
        let seeds = by_seed(points, choice.id());
        let rounds = seeds.iter().map(Vec::len).min().unwrap_or(0);
        let at = |round: usize| -> Interval {
            let value = |(seed, points): (usize, &Vec<&LearningPoint>)| {
                let own = points[round].accuracy;
                let base = random.get(seed).and_then(|points| points.get(round));
                let base = if of_random { base.map_or(f64::NAN, |p| p.accuracy) } else { 0. };
                100. * (own - base)
            };
            mean_over_seeds(&seeds.iter().enumerate().map(value).collect::<Vec<_>>())
        };
        let intervals: Vec<Interval> = (0..rounds).map(at).collect();
        let labels = (0..rounds).map(|round| seeds[0][round].labels as f64);
        let is_spread = seeds.len() > 1;
        // Random is black.
        let colour = if choice == Choice::RANDOM { 6 } else { (place + 5) % 6 };
        Curve {
            name: choice.title().into(),
            points: labels.zip(&intervals).map(|(x, i)| (x, i.estimate)).collect(),
            spread: intervals.iter().filter(|_| is_spread).map(|i| (i.low, i.high)).collect(),
            band: Band::Bars,
            colour,
            style: styles[place / 6 % 3],
        }
    };
    let choices = || strategies(points).into_iter().enumerate();
    let panel = |title: &str, y: &str, curves| Panel {
        title: title.into(),
        x: "labelled faces".into(),
        y: y.into(),
        curves,
        levels: vec![],
    };
    let mut panels =
        vec![panel("", "accuracy [%]", choices().map(|choice| drawn(choice, false)).collect())];
    let others: Vec<Curve> = choices()
        .filter(|(_, choice)| *choice != Choice::RANDOM)
        .map(|choice| drawn(choice, true))
        .collect();
    if !others.is_empty() && !random.is_empty() {
        panels.push(panel("", "accuracy less random's [percentage points]", others));
    }
    panels
}

fn table(rows: &[LearningSummary], seeds: usize, source: &Source) -> Table {
    let target = rows.first().map_or(f64::NAN, |row| row.target);
    let needed = format!("labels needed for {} % (seeds that reach it)", percent(target));
    let header = [
        "strategy",
        "accuracy with all labels [%]",
        "mean accuracy over the labels [%]",
        "less random's [points] (interval)",
        &needed,
    ];
    let mut table = Table::new("learning_curves", "Strategies beside random choice.", &header);
    for row in rows {
        let title = Choice::from_id(&row.strategy).map_or("", Choice::title);
        let [difference, low, high] = [row.difference, row.difference_low, row.difference_high]
            .map(|value| number(100. * value, 2));
        let difference = match row.difference_low.is_finite() {
            true => format!("{difference} ({low} to {high})"),
            false => difference,
        };
        table.rows.push(vec![
            title.into(),
            percent(row.last_accuracy),
            percent(row.mean_accuracy),
            difference,
            format!("{} ({} of {})", number(row.labels_needed, 0), row.reached, row.seeds),
        ]);
    }
    table.notes.push(match seeds {
        1 => "One seed: the spread is not known, so that no difference can be called one.".into(),
        _ => format!(
            "Differences are paired by seed: Student's intervals of {:.0} % over {seeds} seeds. \
             One that holds 0 shows no difference.",
            100. * LEVEL
        ),
    });
    table.measured_on(source)
}
