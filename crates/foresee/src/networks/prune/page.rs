//! A figure for each layer, and the page of all.

use foresee_graph::ChannelGroup;
use foresee_perturb::{GroupRule, PruneRule, Takeover};
use foresee_report::{
    About, Curve, Figure, Level, LineStyle, Panel, Report, Section, Style, Table, curves,
};

use super::rows::{CostPoint, PrunePoint};
use super::{FORMAT, cost_file, data_file};
use crate::distinct::distinct;
use crate::error::Result;
use crate::networks::folder::{Folder, Part, PartFiles, file_name, read_rows};
use crate::networks::layers::title;
use crate::networks::subject::Subject;
use crate::provenance::percent;

/// The page.
pub(crate) const PAGE: &str = "prune.html";
const PAGE_PART: &str = "prune-page";
const TITLE: &str = "Pruning, layer by layer";

const TEXT: &str = "Channels of one layer at a time are pruned, together with all that depends on \
     them, and without any training. Colours are the orders in which they go: by the paper's rule \
     (of the most correlated pair one goes), by the norm of their filters, by their first-order \
     effect on the loss (Taylor), or by chance. Lines show what the kept channels do: nothing \
     (solid), or take over the role of the pruned ones in closed form, by least squares (dashed) \
     or by the partner of the pair (dotted). The second panel shows what the network costs then.";

/// Draws the figures and writes the page, unless they are there.
pub(super) fn write(
    subject: &Subject,
    folder: &mut Folder,
    groups: &[ChannelGroup],
    images: usize,
) -> Result<()> {
    let files = groups.iter().flat_map(|group| [data_file(&group.name), cost_file(&group.name)]);
    let hashes: Vec<(String, Option<String>)> = files
        .map(|file| {
            let mut parts = folder.manifest.stages.values();
            let hash = parts.find_map(|part| part.record.outputs.get(&file).cloned());
            (file, hash)
        })
        .collect();
    let part = Part { name: PAGE_PART, format: FORMAT, made_from: (subject.given(), hashes) };
    folder.part(&part, |files| draw(subject, groups, images, files))?;
    tracing::info!("open {}", folder.path(PAGE).display());
    Ok(())
}

fn draw(
    subject: &Subject,
    groups: &[ChannelGroup],
    images: usize,
    files: &mut PartFiles<'_>,
) -> Result<()> {
    let majority = subject.labels()?.majority_accuracy();
    let mut sections = vec![Section::Text(TEXT.into())];
    let mut all: Vec<PrunePoint> = vec![];
    let mut parts = vec![];
    for group in groups {
        let points: Vec<PrunePoint> = read_rows(&files.folder().join(data_file(&group.name)))?;
        let costs: Vec<CostPoint> = read_rows(&files.folder().join(cost_file(&group.name)))?;
        let figure = figure(subject, group, &points, &costs, majority)?;
        files.add_written(&figure.save(&files.folder().join("figures"))?);
        let name = title(&subject.network.graph, group);
        parts.extend([Section::Heading(name), Section::Figure(figure)]);
        parts.push(Section::Plain(cost_table(&costs)));
        all.extend(points);
    }
    sections.push(Section::Plain(table(&all)));
    sections.extend(parts);
    let unpruned = all.iter().find(|point| point.pruned == 0).map_or(f64::NAN, |p| p.accuracy);
    let report = Report {
        title: format!("{TITLE}: {}", subject.source().data),
        source: subject.source(),
        summary: vec![
            ("accuracy, unpruned".into(), format!("{} %", percent(unpruned))),
            ("always the majority".into(), format!("{} %", percent(majority))),
            ("images judged".into(), images.to_string()),
            ("layers".into(), groups.len().to_string()),
        ],
        sections,
    };
    let path = files.folder().join(PAGE);
    report.save(&path)?;
    files.add_written(&[path]);
    Ok(())
}

fn figure(
    subject: &Subject,
    group: &ChannelGroup,
    points: &[PrunePoint],
    costs: &[CostPoint],
    majority: f64,
) -> Result<Figure> {
    let accuracy = Panel {
        title: title(&subject.network.graph, group),
        x: "pruned channels [%]".into(),
        y: "accuracy [%]".into(),
        curves: accuracy_curves(points),
        levels: vec![Level { name: "always the majority".into(), y: 100. * majority }],
    };
    let cost = Panel {
        title: "cost of the network".into(),
        x: "pruned channels [%]".into(),
        y: "of the unpruned network [%]".into(),
        curves: cost_curves(costs),
        levels: vec![],
    };
    let name = format!("pruning_{}", file_name(&group.name));
    let figure = curves(&name, &[accuracy, cost], &subject.source(), &Style::default())?;
    Ok(figure.about(About {
        caption: format!("Channels of `{}` are pruned.", group.name),
        data: vec![data_file(&group.name), cost_file(&group.name)],
        command: format!("foresee prune --model {}", subject.network.file.display()),
    }))
}

fn share(pruned: usize, channels: usize) -> f64 {
    100. * pruned as f64 / channels.max(1) as f64
}

/// A colour for each rule, a line style for each takeover; the mean over random orders.
fn accuracy_curves(points: &[PrunePoint]) -> Vec<Curve> {
    let rules = distinct(points.iter().map(|point| point.rule));
    let mut curves = vec![];
    for (colour, &rule) in rules.iter().enumerate() {
        for takeover in distinct(points.iter().map(|point| point.takeover)) {
            let own = || points.iter().filter(|p| (p.rule, p.takeover) == (rule, takeover));
            let at = |pruned: usize| {
                let here: Vec<f64> =
                    own().filter(|p| p.pruned == pruned).map(|p| 100. * p.accuracy).collect();
                here.iter().sum::<f64>() / here.len() as f64
            };
            let channels = points.first().map_or(1, |point| point.channels);
            let mut counts = distinct(own().map(|point| point.pruned));
            counts.sort_unstable();
            let line = counts.into_iter().map(|n| (share(n, channels), at(n))).collect();
            let style = match takeover {
                Takeover::Nothing => LineStyle::Solid,
                Takeover::LeastSquares => LineStyle::Dashed,
                Takeover::Partner => LineStyle::Dotted,
            };
            let name = match takeover {
                Takeover::Nothing => rule.title().to_owned(),
                _ => format!("{}: {}", rule.title(), takeover.title()),
            };
            curves.push(Curve::new(name, line, colour, style));
        }
    }
    curves
}

fn cost_curves(costs: &[CostPoint]) -> Vec<Curve> {
    let Some(first) = costs.first() else { return vec![] };
    let line = |name: &str, colour: usize, of: fn(&CostPoint) -> f64| {
        let at =
            |cost: &CostPoint| (share(cost.pruned, cost.channels), 100. * of(cost) / of(first));
        Curve::new(name, costs.iter().map(at).collect(), colour, LineStyle::Solid)
    };
    vec![
        line("operations (MACs)", 4, |cost| cost.macs as f64),
        line("parameters", 5, |cost| cost.parameters as f64),
        line("time, measured", 6, |cost| cost.milliseconds),
    ]
}

fn cost_table(costs: &[CostPoint]) -> Table {
    let header = ["pruned", "MACs", "parameters", "milliseconds an image"];
    let mut table = Table::new("pruning_cost", "What the network costs.", &header);
    table.rows.extend(costs.iter().map(|cost| {
        vec![
            format!("{} of {}", cost.pruned, cost.channels),
            cost.macs.to_string(),
            cost.parameters.to_string(),
            format!("{:.2}", cost.milliseconds),
        ]
    }));
    table
}

/// For every layer and number of pruned channels: the accuracy by the paper's rule and by the
/// filter norm, without and with takeover by all kept channels.
pub(crate) fn table(points: &[PrunePoint]) -> Table {
    let ways = [
        (GroupRule::Of(PruneRule::Lower), Takeover::Nothing, "semantic [%]"),
        (GroupRule::Of(PruneRule::Lower), Takeover::LeastSquares, "semantic, taken over [%]"),
        (GroupRule::Of(PruneRule::FilterNorm), Takeover::Nothing, "filter norm [%]"),
        (
            GroupRule::Of(PruneRule::FilterNorm),
            Takeover::LeastSquares,
            "filter norm, taken over [%]",
        ),
        (GroupRule::Taylor, Takeover::Nothing, "Taylor [%]"),
        (GroupRule::Taylor, Takeover::LeastSquares, "Taylor, taken over [%]"),
    ];
    let header: Vec<&str> =
        ["layer", "pruned"].into_iter().chain(ways.iter().map(|way| way.2)).collect();
    let caption = "Accuracy after pruning one layer, without training. Taken over: all kept \
                   channels take over the role of the pruned ones by least squares.";
    let mut table = Table::new("pruning", caption, &header);
    let places = distinct(points.iter().map(|point| (&point.layer, point.pruned, point.channels)));
    for (layer, pruned, channels) in places.into_iter().filter(|place| place.1 > 0) {
        let mut row = vec![layer.clone(), format!("{pruned} of {channels}")];
        row.extend(ways.iter().map(|&(rule, takeover, _)| {
            let is_it = |p: &&PrunePoint| {
                (&p.layer, p.pruned, p.rule, p.takeover) == (layer, pruned, rule, takeover)
            };
            percent(points.iter().find(is_it).map_or(f64::NAN, |point| point.accuracy))
        }));
        table.rows.push(row);
    }
    table
}
