//! The figures, tables and the page of a scored study.

use foresee_people::PeopleScore;
use foresee_report::{
    About, Curve, Dot, Figure, Forest, LineStyle, Panel, Report, Section, Source, Style, Table,
    curves, forest,
};
use foresee_stats::LEVEL;

use super::analysis::{Analysis, CalibrationRow, ContrastRow, EVERYBODY, RULE, ScoreRow};
use crate::artifacts::Row;
use crate::distinct::distinct;
use crate::error::Result;
use crate::provenance::number;

/// How the page's title begins.
const TITLE: &str = "A study with people";

/// Scores of the figure: those that are higher for better forecasts.
const FIGURE: [PeopleScore; 4] =
    [PeopleScore::Skill, PeopleScore::RankOfOutputs, PeopleScore::Locality, PeopleScore::Direction];

/// Answers of a point of the figure of calibration, at least.
const FEWEST: usize = 10;

/// Writes figures, tables and report.html.
pub(crate) fn write_report(analysis: &Analysis) -> Result<()> {
    let source = source(analysis);
    let style = Style::default();
    let (figures, tables) = (analysis.folder.join("figures"), analysis.folder.join("tables"));
    let mut sections = vec![Section::Heading("Scores".into())];
    for figure in [
        scores_figure(&analysis.scores, &source, &style)?,
        calibration_figure(&analysis.calibration, &source, &style)?,
    ] {
        figure.save(&figures)?;
        sections.push(Section::Figure(figure));
    }
    for table in [scores_table(&analysis.scores), contrasts_table(&analysis.contrasts)] {
        let table = table.measured_on(&source);
        table.save(&tables)?;
        sections.push(Section::Table(table));
    }
    sections.insert(2, Section::Heading("Do people know how much they know?".into()));
    sections.insert(4, Section::Heading("Numbers".into()));
    sections.push(Section::Heading("Design".into()));
    sections.push(Section::Plain(operations_table(analysis)));
    let report = Report {
        title: match analysis.simulated {
            true => format!("{TITLE} (SIMULATED PEOPLE): {}", analysis.design.choices.title),
            false => format!("{TITLE}: {}", analysis.design.choices.title),
        },
        source,
        summary: summary(analysis),
        sections,
    };
    Ok(report.save(&analysis.folder.join("report.html"))?)
}

fn source(analysis: &Analysis) -> Source {
    let people = match analysis.simulated {
        true => "SIMULATED PEOPLE: no person has answered",
        false => "people's forecasts",
    };
    Source {
        data: format!("{people}; {}", analysis.design.data),
        synthetic: analysis.design.synthetic,
    }
}

fn summary(analysis: &Analysis) -> Vec<(String, String)> {
    let counted = analysis.scores.iter().find(|row| row.group == EVERYBODY);
    let mut all = vec![
        ("people who agreed".to_owned(), analysis.admitted.to_string()),
        ("who count".to_owned(), counted.map_or(0, |row| row.people).to_string()),
        ("withdrawn".to_owned(), analysis.withdrawn.to_string()),
    ];
    let left_out = analysis.excluded.iter().filter(|(_, count)| *count > 0);
    all.extend(left_out.map(|(id, count)| (format!("left out: {id}"), count.to_string())));
    all.push(("design".to_owned(), analysis.design_sha256[..16].to_owned()));
    all
}

fn about(caption: &str, data: &str) -> About {
    About {
        caption: caption.into(),
        data: vec![data.into()],
        command: "foresee study score".into(),
    }
}

fn scores_figure(rows: &[ScoreRow], source: &Source, style: &Style) -> Result<Figure> {
    let group = |title: &str, is_rule: bool| {
        let names = distinct(
            rows.iter()
                .filter(|row| row.group.starts_with(RULE) == is_rule)
                .map(|row| (&row.group, &row.title)),
        );
        let line = |(group, title): (&String, &String)| {
            (title.clone(), FIGURE.iter().map(|score| dot(rows, group, *score)).collect())
        };
        Forest { title: title.into(), rows: names.into_iter().map(line).collect() }
    };
    let groups = [group("people, by what they were shown", false), group("rules", true)];
    let columns = FIGURE.map(PeopleScore::title);
    let drawn = forest("people_scores", &columns, &groups, LEVEL, source, style)?;
    Ok(drawn.about(about(
        "How well people forecast what operations on the network change, by what they were shown, \
         beside rules. Intervals are over people and faces. The hollow mark is the same people's \
         answers exchanged at random, which is chance.",
        ScoreRow::PATH,
    )))
}

fn dot(rows: &[ScoreRow], group: &str, score: PeopleScore) -> Dot {
    let unknown = f64::NAN;
    match rows.iter().find(|row| row.group == group && row.score == score) {
        Some(row) => Dot {
            value: row.estimate,
            interval: (row.low, row.high),
            controls: [row.chance, unknown],
        },
        None => Dot { value: unknown, interval: (unknown, unknown), controls: [unknown; 2] },
    }
}

fn calibration_figure(rows: &[CalibrationRow], source: &Source, style: &Style) -> Result<Figure> {
    let groups = distinct(rows.iter().map(|row| &row.group));
    let curve = |(i, group): (usize, &String)| {
        let counts = |row: &&CalibrationRow| row.group == *group && row.answers >= FEWEST;
        let points = rows.iter().filter(counts);
        let points = points.map(|row| (row.confidence, row.right)).collect();
        Curve::new(group.clone(), points, i % 7, LineStyle::Solid)
    };
    let mut all: Vec<Curve> = groups.into_iter().enumerate().map(curve).collect();
    let diagonal = vec![(0., 0.), (1., 1.)];
    all.push(Curve::new("who knows how much they know", diagonal, 6, LineStyle::Dotted));
    let panel = Panel {
        title: String::new(),
        x: "confidence that the largest change is named".into(),
        y: "share in which it is".into(),
        curves: all,
        levels: vec![],
    };
    let drawn = curves("people_calibration", &[panel], source, style)?;
    let caption = format!(
        "How often people named the attribute that changes most, over how sure they were of it. \
         Points of fewer than {FEWEST} answers are left out; data/calibration.csv has them."
    );
    Ok(drawn.about(about(&caption, CalibrationRow::PATH)))
}

fn interval(estimate: f64, low: f64, high: f64) -> String {
    match low.is_finite() {
        _ if !estimate.is_finite() => number(estimate, 3),
        true => format!("{} [{}, {}]", number(estimate, 3), number(low, 3), number(high, 3)),
        false => format!("{} (the spread is not known)", number(estimate, 3)),
    }
}

fn scores_table(rows: &[ScoreRow]) -> Table {
    let caption = format!(
        "Scores with intervals of {:.0} % over people and faces; in brackets behind them the score \
         by chance.",
        100. * LEVEL
    );
    let mut header = vec!["forecast by", "people"];
    header.extend(PeopleScore::ALL.map(PeopleScore::title));
    let mut table = Table::new("people_scores", &caption, &header);
    for group in distinct(rows.iter().map(|row| &row.group)) {
        let of_group = || rows.iter().filter(|row| row.group == *group);
        let Some(first) = of_group().next() else { continue };
        let cell = |score: PeopleScore| match of_group().find(|row| row.score == score) {
            Some(row) => {
                let value = interval(row.estimate, row.low, row.high);
                match row.chance.is_finite() {
                    true => format!("{value} ({})", number(row.chance, 3)),
                    false => value,
                }
            }
            None => "–".into(),
        };
        let mut cells = vec![first.title.clone(), first.people.to_string()];
        cells.extend(PeopleScore::ALL.map(cell));
        table.rows.push(cells);
    }
    table.notes.push(
        "Each score is of changes in percentage points of the probability. Rules answer in \
         everybody's place: the same faces, drawn with the same people."
            .into(),
    );
    table
}

fn contrasts_table(rows: &[ContrastRow]) -> Table {
    let header = ["forecast by", "against", "score", "difference"];
    let caption = "Differences between groups, with intervals over people and faces.";
    let mut table = Table::new("people_contrasts", caption, &header);
    for row in rows {
        table.rows.push(vec![
            row.group.clone(),
            row.against.clone(),
            row.score.title().to_owned(),
            interval(row.difference, row.low, row.high),
        ]);
    }
    table.notes.push(
        "Many differences are shown, and none is corrected for the others: a difference that was \
         not named beforehand is a hint."
            .into(),
    );
    table
}

fn operations_table(analysis: &Analysis) -> Table {
    let choices = &analysis.design.choices;
    let header = ["", ""];
    let mut table = Table::new("people_design", "What was asked.", &header);
    let mut add = |name: &str, value: String| table.rows.push(vec![name.into(), value]);
    let control = choices.control();
    for (i, (arm, agreed, counted)) in analysis.arms.iter().enumerate() {
        let role = if control == Some(i) { "control" } else { "arm" };
        add(role, format!("{}: {agreed} agreed, {counted} count", arm.title()));
    }
    match control {
        None => add("control", "none: no arm is shuffled or shows nothing".into()),
        Some(i) if analysis.arms[i].2 == 0 => {
            add("control", "nobody of it counts: arms are not compared with it".into());
        }
        _ => {}
    }
    let rules = &choices.exclusion;
    add(
        "left out",
        format!(
            "who did not finish; failed more than {} of {} attention checks; took less than {} s \
             in the median; forecast no change in more than {} of the trials",
            rules.most_failed_checks,
            choices.checks,
            rules.least_median_seconds,
            rules.most_unmoved
        ),
    );
    for operation in &choices.operations {
        add("operation", operation.title());
    }
    add("attributes", analysis.design.asked_attributes.join(", "));
    add("faces", choices.faces.to_string());
    add("trials a person", choices.trials.to_string());
    add("a change has a direction from", format!("{} percentage points", choices.least_change));
    table
}
