//! What a study leaves: `data/`, `tables/`, `figures/` and `report.html` in its folder.

use std::path::Path;

use foresee_report::{About, Figure, Report, Section, Source, Table, frame};
use foresee_stats::{Interval, LEVEL, MARGIN, SEEDS_NEEDED};

use super::variants::{self, Compared};
use super::{Claim, Group, Request, predictability, pruning, test_claims};
use crate::artifacts::{ClaimRow, PredictabilityOverSeeds, PruningOverSeeds, Row};
use crate::distinct::distinct;
use crate::error::Result;
use crate::provenance::number;
use crate::run::{Lock, REPORT, kind_of_faces};
use crate::studies::runs::{Outcome, State, StudyRun};

/// Variants whose pruning curves are drawn.
const PANELS: usize = 3;

pub(crate) fn write(request: &Request, groups: &[Group], outcome: &Outcome) -> Result<()> {
    let (out, with_claims) = (request.out, request.study.claims);
    let planned = request.runs().len();
    if groups.is_empty() {
        if outcome.failed.is_empty() {
            tracing::warn!(
                "no run is done: there is nothing to analyse; allow more time with --budget"
            );
        }
        return Ok(());
    }
    // Two analyses at once would mix their files.
    let _lock = Lock::wait(out)?;
    let page = Page { out, groups, source: source(groups, planned) };
    let mut sections = not_done(request, outcome);
    let mut claims = vec![];
    if with_claims {
        let tested = test_claims(groups)?;
        if !tested.regions.is_empty() {
            page.write(&tested.regions)?;
        }
        claims = tested.claims;
        sections.extend(page.claims(&claims)?);
    }
    sections.extend(page.variants(&claims, with_claims)?);
    if with_claims {
        sections.extend(page.pruning()?);
    }
    sections.extend(page.predictability()?);
    page.report(sections, planned, with_claims)
}

/// The page's title.
pub(crate) fn title(with_claims: bool) -> &'static str {
    match with_claims {
        true => "Do the claims of Kimura & Tanaka (2020) hold?",
        false => "What the settings change",
    }
}

/// The runs that are missing for a reason.
fn not_done(request: &Request, outcome: &Outcome) -> Vec<Section> {
    let mut sections = vec![];
    for (number, run) in request.runs().iter().enumerate() {
        let state = State::of(request.out, number, run, outcome);
        if !matches!(state, State::Done | State::New | State::Stopped) {
            let text = format!("Not done: {}: {}", run.title(), state.title());
            sections.push(Section::Text(text));
        }
    }
    sections
}

/// The faces of the whole study. It counts as synthetic only if no run had others: lines on drawn
/// faces say so themselves.
fn source(groups: &[Group], planned: usize) -> Source {
    let real = groups.iter().find(|group| !is_synthetic(group));
    let data = &real.unwrap_or(&groups[0]).runs[0].manifest.data;
    let done: usize = groups.iter().map(|group| group.runs.len()).sum();
    Source {
        data: format!("{}; {done} of {planned} runs of the study", data.noted()),
        synthetic: real.is_none(),
    }
}

fn is_synthetic(group: &Group) -> bool {
    group.runs[0].manifest.data.synthetic
}

/// The study's folder and what its figures and tables say of their data.
struct Page<'a> {
    out: &'a Path,
    groups: &'a [Group],
    source: Source,
}

impl Page<'_> {
    fn synthetic(&self, variant: &str) -> bool {
        self.groups.iter().any(|group| group.variant == variant && is_synthetic(group))
    }

    /// Saves a figure and shows it on the page.
    fn figure(&self, figure: Figure, caption: &str, data: &str) -> Result<Section> {
        let data = vec![data.into()];
        let command = "foresee fidelity --out .".into();
        let figure = figure.about(About { caption: caption.into(), data, command });
        figure.save(&self.out.join("figures"))?;
        Ok(Section::Figure(figure))
    }

    fn save_table(&self, table: &Table) -> Result<()> {
        table.save(&self.out.join("tables"))?;
        Ok(())
    }

    /// Writes a data file of the study.
    fn write<R: Row>(&self, rows: &[R]) -> Result<()> {
        Ok(frame::write_csv(&self.out.join(<R as Row>::PATH), &R::to_frame(rows)?)?)
    }

    fn claims(&self, claims: &[Claim]) -> Result<Vec<Section>> {
        let rows: Vec<ClaimRow> = claims.iter().map(|claim| self.claim_row(claim)).collect();
        self.write(&rows)?;
        let table = self.claims_table(claims);
        self.save_table(&table)?;
        let statistics = rows.iter().filter(|row| row.estimate.is_finite()).count();
        let how = format!(
            "Each claim is tested for every variant. Intervals are of {:.0} %: test images by a \
             bootstrap, seeds by Student's t, both added as squares; where a statistic has no \
             images, seeds alone; of one seed, images, and the random orders that something is \
             compared with. A claim of a gain holds if the interval and every seed lie on \
             its side, and does not hold if the whole interval lies below {MARGIN} points, a gain \
             that nobody would care for; other rules stand beside their statistic; with fewer \
             than {SEEDS_NEEDED} seeds nothing is decided. These are {statistics} statistics: \
             about one in twenty intervals misses its value by chance, so that a verdict counts \
             where the variants agree.",
            100. * LEVEL
        );
        Ok(vec![
            Section::Heading("The paper's claims".into()),
            Section::Text(how),
            Section::Table(table),
        ])
    }

    fn claim_row(&self, claim: &Claim) -> ClaimRow {
        let seeds: Vec<String> = claim.seeds.iter().map(ToString::to_string).collect();
        let Interval { estimate, low, high, .. } = claim.interval;
        ClaimRow {
            id: claim.kind.id(),
            claim: claim.kind.title(),
            variant: claim.variant.clone(),
            statistic: claim.statistic.clone(),
            estimate,
            low,
            high,
            seeds: seeds.join(" "),
            verdict: claim.verdict,
            why: claim.remark.clone(),
            data: kind_of_faces(self.synthetic(&claim.variant)).into(),
        }
    }

    /// Claim by claim, the variants below each other.
    fn claims_table(&self, claims: &[Claim]) -> Table {
        let header = [
            "claim",
            "variant",
            "faces",
            "statistic",
            "estimate",
            "interval",
            "by seed",
            "verdict",
            "remark",
        ];
        let mut table = Table::new("claims", "The paper's claims, tested.", &header);
        for kind in distinct(claims.iter().map(|claim| claim.kind)) {
            let of_kind = claims.iter().filter(|claim| claim.kind == kind);
            table.rows.extend(of_kind.map(|claim| self.claim_cells(claim)));
        }
        table.measured_on(&self.source)
    }

    fn claim_cells(&self, claim: &Claim) -> Vec<String> {
        let seeds: Vec<String> = claim.seeds.iter().map(|seed| number(*seed, 2)).collect();
        let Interval { estimate, low, high, .. } = claim.interval;
        vec![
            claim.kind.title(),
            claim.variant.clone(),
            if self.synthetic(&claim.variant) { "SYNTHETIC" } else { "CelebA" }.into(),
            claim.statistic.clone(),
            number(estimate, 2),
            if low.is_finite() {
                format!("{} to {}", number(low, 2), number(high, 2))
            } else {
                "–".into()
            },
            seeds.join(", "),
            claim.verdict.title().into(),
            claim.remark.clone(),
        ]
    }

    fn variants(&self, claims: &[Claim], with_claims: bool) -> Result<Vec<Section>> {
        let rows = self
            .groups
            .iter()
            .map(|group| Compared::new(group, claims))
            .collect::<Result<Vec<_>>>()?;
        let (name, caption) = match with_claims {
            true => {
                ("over_lambda", "What the sparsity of the masks changes: mean over seeds (range).")
            }
            false => ("variants", "What the settings change: mean over seeds (range)."),
        };
        let path = self.out.join(format!("data/{name}.csv"));
        frame::write_csv(&path, &variants::data(&rows).to_frame()?)?;
        let table = variants::table(name, caption, &rows, &self.source);
        self.save_table(&table)?;
        let mut sections = vec![Section::Heading(caption.into()), Section::Table(table)];
        if let Some(figure) = variants::figure(&rows, &self.source)?.filter(|_| with_claims) {
            let caption = "Accuracy, pruning and transformation over the mean of the masks.";
            sections.push(self.figure(figure, caption, &format!("data/{name}.csv"))?);
        }
        Ok(sections)
    }

    /// Figure 7 over the seeds of the first variants with masks, on real faces, or on drawn ones if
    /// there are no others.
    fn pruning(&self) -> Result<Vec<Section>> {
        let shown = |group: &&Group| {
            let manifest = &group.runs[0].manifest;
            manifest.config.model.attention && manifest.data.synthetic == self.source.synthetic
        };
        let mut points: Vec<PruningOverSeeds> = vec![];
        let mut titles = vec![];
        for group in self.groups.iter().filter(shown).take(PANELS) {
            let own = pruning::points(group)?;
            let title = group.runs[0].manifest.config.training_title();
            titles.extend((!own.is_empty()).then(|| (group.variant.clone(), title)));
            points.extend(own);
        }
        if points.is_empty() {
            return Ok(vec![]);
        }
        self.write(&points)?;
        let figure = pruning::figure(&points, &titles, &self.source)?;
        let caption = "Accuracy over pruned channels (Figure 7): mean over seeds; bars and the \
                       band from the lowest to the highest. Not shown: a single channel left.";
        Ok(vec![self.figure(figure, caption, <PruningOverSeeds as Row>::PATH)?])
    }

    fn predictability(&self) -> Result<Vec<Section>> {
        let mut rows: Vec<PredictabilityOverSeeds> = vec![];
        for group in self.groups {
            rows.extend(predictability::rows(group)?);
        }
        if rows.is_empty() {
            return Ok(vec![]);
        }
        self.write(&rows)?;
        let table = predictability::table(&rows, &self.source);
        self.save_table(&table)?;
        Ok(vec![Section::Heading("Human predictability".into()), Section::Table(table)])
    }

    fn report(&self, sections: Vec<Section>, planned: usize, with_claims: bool) -> Result<()> {
        let runs = || self.groups.iter().flat_map(|group| &group.runs);
        let seconds: f64 =
            runs().flat_map(|run| run.manifest.stages.values()).map(|s| s.wall_seconds).sum();
        let summary = [
            ("runs done", format!("{} of {planned}", runs().count())),
            ("variants", self.groups.len().to_string()),
            ("time of the runs", format!("{:.1} h", seconds / 3600.)),
        ];
        let report = Report {
            title: title(with_claims).into(),
            source: self.source.clone(),
            summary: summary.map(|(name, value)| (name.to_owned(), value)).to_vec(),
            sections,
        };
        let path = self.out.join(REPORT);
        report.save(&path)?;
        tracing::info!("open {}", path.display());
        Ok(())
    }
}
