//! What the map leaves: `data/`, `tables/`, `figures/` and `report.html` in its folder.

use foresee_celeba::ATTRIBUTES;
use foresee_perturb::{Norm, Reading, ReadingCorrelation, ReadingNorm, Takeover, Victim};
use foresee_report::{
    About, Figure, MapColumn, MarkedMap, Record, Report, Section, Source, Style, Table, frame,
    marked_maps,
};
use foresee_stats::{AgainstChance, LEVEL, MARGIN, SEEDS_NEEDED};

use super::analysis::{Training, rows, shut_rows, trainings};
use super::curves::TAKEOVERS;
use super::{Request, StudiedRun, TITLE};
use crate::artifacts::{ReadingRow, Row, ShutRows};
use crate::error::Result;
use crate::provenance::{number, percent};
use crate::run::{Lock, REPORT};

/// Analyses the runs that are measured. Says whether there were any.
pub(crate) fn write(request: &Request, runs: &[StudiedRun]) -> Result<bool> {
    let trainings = trainings(runs)?;
    let Some(first) = trainings.first() else { return Ok(false) };
    let out = request.out;
    // Two analyses at once would mix their files.
    let _lock = Lock::wait(out)?;
    let data = &first.runs[0].manifest.data;
    let done: usize = trainings.iter().map(|training| training.runs.len()).sum();
    let source = Source {
        data: format!("{}; {done} of {} networks of the study", data.noted(), runs.len()),
        synthetic: data.synthetic,
    };
    let rows = rows(&trainings)?;
    frame::write_csv(&out.join(<ReadingRow as Row>::PATH), &ReadingRow::to_frame(&rows)?)?;
    let figure = figure(&trainings, &rows, &source)?;
    figure.save(&out.join("figures"))?;
    let tables = [table(&trainings, &rows, &source), shut_table(&trainings, &source)];
    for table in &tables {
        table.save(&out.join("tables"))?;
    }
    let [readings, shut] = tables;
    let report = Report {
        title: TITLE.into(),
        source,
        summary: vec![
            ("networks".into(), format!("{done} of {}", runs.len())),
            ("trainings".into(), trainings.len().to_string()),
        ],
        sections: vec![
            Section::Text(how(&rows)),
            Section::Figure(figure),
            Section::Heading("Rows that are shut".into()),
            Section::Table(shut),
            Section::Heading("All readings".into()),
            Section::Table(readings),
        ],
    };
    report.save(&out.join(REPORT))?;
    tracing::info!("open {}", out.join(REPORT).display());
    Ok(true)
}

/// How the numbers are made.
fn how(rows: &[ReadingRow]) -> String {
    let tests = rows.iter().filter(|row| row.p.is_finite()).count();
    format!(
        "Each reading is an order in which channels are pruned. Its gain is its accuracy less that \
         of random orders, the mean over all numbers of pruned channels. Intervals are of {:.0} %: \
         test images by a bootstrap, seeds by Student's t, both added as squares. p-values take \
         the spread over seeds from all trainings of a reading, and are corrected for {tests} \
         tests (Holm). A reading holds if it is better than chance at a corrected p of 0.05 with \
         every seed, in part if some seeds say otherwise, and is worse if it is below chance at \
         that p. Else it does not hold if its interval, which is not corrected, lies below \
         {MARGIN} points. With fewer than {SEEDS_NEEDED} seeds nothing is decided.",
        100. * LEVEL
    )
}

/// The mark of a verdict in the figure, and what it means.
const MARKS: [(AgainstChance, &str); 5] = [
    (AgainstChance::Better, "+"),
    (AgainstChance::InPart, "±"),
    (AgainstChance::NotBetter, "o"),
    (AgainstChance::Worse, "–"),
    (AgainstChance::NotDecided, ""),
];

fn mark(verdict: AgainstChance) -> &'static str {
    MARKS.iter().find(|(of, _)| *of == verdict).map_or("", |(_, mark)| mark)
}

/// The whole map: trainings below each other, readings beside each other, colour for the gain.
fn figure(trainings: &[Training], rows: &[ReadingRow], source: &Source) -> Result<Figure> {
    let readings: Vec<Reading> =
        Reading::all().into_iter().filter(|reading| *reading != Reading::Random).collect();
    let map = |takeover: Takeover| {
        let cell = |variant: &str, reading: Reading| {
            let own = |row: &&ReadingRow| {
                (row.variant.as_str(), row.reading, row.takeover) == (variant, reading, takeover)
            };
            let found = rows.iter().find(own);
            found.map_or((f64::NAN, ""), |row| (row.gain, mark(row.verdict)))
        };
        let cells = |training: &Training| {
            readings.iter().map(|reading| cell(&training.variant, *reading)).collect()
        };
        MarkedMap {
            title: format!("When a channel is pruned, {}", takeover.title()),
            rows: trainings.iter().map(title).collect(),
            cells: trainings.iter().map(cells).collect(),
        }
    };
    let columns: Vec<MapColumn> = readings.iter().map(|reading| column(*reading)).collect();
    let scale = "Accuracy less that of random orders with the same takeover [points], mean over \
                 numbers of pruned channels";
    let marks = "Better than chance: + holds, ± in part, o does not hold, – does not hold: worse; \
                 no mark: not decided.";
    let figure = marked_maps(
        "readings",
        &TAKEOVERS.map(map),
        &columns,
        scale,
        marks,
        source,
        &Style::default(),
    )?;
    Ok(figure.about(About {
        caption: "The map of readings: every cheap reading of the paper's channel pruning, on \
                  every training, against chance."
            .into(),
        data: vec![<ReadingRow as Row>::PATH.into()],
        command: "foresee readings".into(),
    }))
}

/// A training with its number of seeds.
fn title(training: &Training) -> String {
    let seeds = training.runs.len();
    format!("{}, {seeds} seed{}", training.variant, if seeds == 1 { "" } else { "s" })
}

fn column(reading: Reading) -> MapColumn {
    match reading {
        Reading::Semantic { victim, norm, correlation, absolute } => MapColumn {
            groups: [victim_title(victim).into(), norm_title(norm).into()],
            name: format!("{}, {}", correlation_title(correlation), ranking(absolute)),
        },
        Reading::Lowest(norm) => MapColumn {
            groups: ["no pairs".into(), String::new()],
            name: format!("least {}", norm_title(norm)),
        },
        Reading::Random => MapColumn { groups: Default::default(), name: "chance".into() },
    }
}

fn victim_title(victim: Victim) -> &'static str {
    match victim {
        Victim::Lower => "of a pair, the lower norm goes",
        Victim::Higher => "of a pair, the higher norm goes",
    }
}

fn norm_title(norm: ReadingNorm) -> &'static str {
    match norm {
        ReadingNorm::Of(Norm::Filter) => "filter",
        ReadingNorm::Of(Norm::Readout) => "readout",
        ReadingNorm::Contribution => "contribution",
    }
}

fn correlation_title(correlation: ReadingCorrelation) -> &'static str {
    correlation.id()
}

fn ranking(absolute: bool) -> &'static str {
    if absolute { "|ρ|" } else { "ρ" }
}

/// A reading in four cells: what goes, by which norm, by which correlation, ranked by what.
fn parts(reading: Reading) -> [&'static str; 4] {
    match reading {
        Reading::Semantic { victim, norm, correlation, absolute } => {
            let goes = match victim {
                Victim::Lower => "lower of a pair",
                Victim::Higher => "higher of a pair",
            };
            [goes, norm_title(norm), correlation_title(correlation), ranking(absolute)]
        }
        Reading::Lowest(norm) => ["lowest first", norm_title(norm), "–", "–"],
        Reading::Random => ["random", "–", "–", "–"],
    }
}

fn table(trainings: &[Training], rows: &[ReadingRow], source: &Source) -> Table {
    let header = [
        "training",
        "seeds",
        "goes",
        "norm",
        "correlation",
        "ranked by",
        "takes over",
        "gain [points]",
        "interval",
        "p, corrected",
        "better than chance",
        "gain over chance without takeover",
        "gain at half",
        "gain at three quarters",
        "lost at half",
    ];
    let caption = "Every reading of channel pruning against random orders. Where a training has \
                   one seed, intervals are over test images and random orders.";
    let mut table = Table::new("readings", caption, &header);
    let of_training = |training: &Training| {
        let seeds = training.runs.len();
        rows.iter()
            .filter(|row| row.variant == training.variant)
            .map(move |row| cells(row, seeds))
            .collect::<Vec<_>>()
    };
    table.rows = trainings.iter().flat_map(of_training).collect();
    table.measured_on(source)
}

fn cells(row: &ReadingRow, seeds: usize) -> Vec<String> {
    let points = |value: f64| number(value, 2);
    let interval = |low: f64, high: f64| match low.is_finite() {
        true => format!("{} to {}", points(low), points(high)),
        false => "–".into(),
    };
    let is_chance = row.reading == Reading::Random;
    let mut cells = vec![row.variant.clone(), seeds.to_string()];
    cells.extend(parts(row.reading).map(String::from));
    cells.extend([
        row.takeover.id().to_owned(),
        points(row.gain),
        interval(row.low, row.high),
        p_text(row.corrected_p),
        if is_chance { "–" } else { row.verdict.title() }.into(),
        format!("{} ({})", points(row.gain_without), interval(row.low_without, row.high_without)),
        points(row.gain_at_half),
        points(row.gain_at_three_quarters),
        points(row.lost_at_half),
    ]);
    cells
}

fn p_text(p: f64) -> String {
    match p < 0.001 {
        true => "< 0.001".into(),
        false => number(p, 3),
    }
}

fn shut_table(trainings: &[Training], source: &Source) -> Table {
    let header = [
        "training",
        "rows left out [%]",
        "accuracy [%]",
        "answers that flip [%]",
        "mean change of a logit",
        "greatest",
        "foretold",
    ];
    let caption = "Rows of the heads whose contribution varies least are left out. What that \
                   changes is foretold to be next to nothing: a bound on the standard deviation of \
                   a logit's change, the mean over attributes.";
    let mut table = Table::new("shut_rows", caption, &header);
    for training in trainings {
        for row in shut_rows(training) {
            table.rows.push(shut_cells(&training.variant, &row));
        }
    }
    table.measured_on(source)
}

fn shut_cells(variant: &str, row: &ShutRows) -> Vec<String> {
    let answers = (row.images * ATTRIBUTES.len()) as f64;
    let change = |value: f64| format!("{value:.1e}");
    vec![
        variant.into(),
        percent(row.gone as f64 / row.rows as f64),
        percent(row.correct as f64 / answers),
        percent(row.flipped as f64 / answers),
        change(row.mean_change),
        change(row.greatest_change),
        change(row.foretold_change),
    ]
}
