//! A figure for each layer, and the page of all.

use std::path::Path;

use foresee_perturb::{GroupRule, PruneRule, Takeover};
use foresee_report::{
    Curve, Figure, Level, LineStyle, Panel, Section, Source, Style, Table, curves,
};

use super::rows::{CostPoint, OutputAccuracy, PrunePoint};
use super::{COST_PART, PART, by_output, cost_file, data_file};
use crate::distinct::distinct;
use crate::error::Result;
use crate::networks::calibration::Images;
use crate::networks::folder::{Folder, file_name, read_rows};
use crate::networks::page::{Content, Page, about};
use crate::provenance::percent;

/// The page.
pub(crate) const PAGE: &str = "prune.html";
const FORMAT: u32 = 6;
const BASELINE: &str = "majority-class baseline";

const TEXT: &str = "Channels of one layer at a time are pruned, together with all that depends \
     on them, and without any training. Colours are the orders in which they go: by the paper's \
     rule (of the most correlated pair one goes), by the norm of their filters, by their \
     first-order effect on the loss (Taylor), or by chance (the mean, the lowest and the highest \
     of three orders). Lines show what the kept channels do: nothing (solid), or take over the \
     role of the pruned ones in closed form, by least squares (dashed) or by the partner of the \
     pair (dotted). A line ends where nothing would be left of a part of the layer, such as one \
     that a split gives to another. The second panel shows what the network costs then, in the \
     order of the filter norms. Channels are measured on the other images.";

/// Draws the figures and writes the page, unless they are there.
pub(super) fn write(images: &Images, folder: &mut Folder, layers: &[&str]) -> Result<()> {
    let parts =
        layers.iter().flat_map(|layer| [format!("{PART}{layer}"), format!("{COST_PART}{layer}")]);
    let parts: Vec<String> = parts.chain([by_output::PART.to_owned()]).collect();
    let (title, observed) = ("Pruning, layer by layer", images.observed().len());
    let page = Page { file: PAGE, format: FORMAT, title, of: &parts, images: observed };
    page.write(images.task(), folder, |folder, source| content(source, folder, layers))
}

fn content(source: &Source, folder: &Path, layers: &[&str]) -> Result<Content> {
    let mut all: Vec<PrunePoint> = vec![];
    let mut of_layers = vec![];
    for layer in layers {
        let points: Vec<PrunePoint> = read_rows(&folder.join(data_file(layer)))?;
        let costs: Vec<CostPoint> = read_rows(&folder.join(cost_file(layer)))?;
        let title = points.first().map_or(*layer, |point| &point.title);
        of_layers.push(Section::Heading(title.into()));
        of_layers.push(Section::Figure(figure(source, (layer, title), &points, &costs)?));
        of_layers.push(Section::Table(cost_table((layer, title), &costs)));
        all.extend(points);
    }
    let by_output: Vec<OutputAccuracy> = read_rows(&folder.join(by_output::FILE))?;
    let unpruned = all.iter().find(|point| point.pruned == 0);
    let of = |value: fn(&PrunePoint) -> f64| unpruned.map_or(f64::NAN, value);
    let share = |name: &str, value: f64| (name.to_owned(), format!("{} %", percent(value)));
    let mut summary = vec![share("accuracy, unpruned", of(|point| point.accuracy))];
    let top5 = of(|point| point.top5_accuracy);
    if top5.is_finite() {
        summary.push(share("top-5 accuracy, unpruned", top5));
    }
    summary.push(share(BASELINE, of(|point| point.majority_accuracy)));
    let images = unpruned.map_or(0, |point| point.images);
    summary.push(("images used for accuracy".into(), images.to_string()));
    summary.push(("layers".into(), layers.len().to_string()));
    let mut sections = vec![Section::Text(TEXT.into()), Section::Table(table(&all))];
    sections.extend(of_layers);
    sections.push(Section::Heading("Accuracy of each output, unpruned".into()));
    sections.push(Section::Table(output_table(&by_output)));
    Ok(Content { summary, sections })
}

fn figure(
    source: &Source,
    (layer, title): (&str, &str),
    points: &[PrunePoint],
    costs: &[CostPoint],
) -> Result<Figure> {
    let majority = points.first().map_or(f64::NAN, |point| point.majority_accuracy);
    let accuracy = Panel {
        title: title.into(),
        x: "pruned channels [%]".into(),
        y: "accuracy [%]".into(),
        curves: accuracy_curves(points),
        levels: vec![Level { name: BASELINE.into(), y: 100. * majority }],
    };
    let cost = Panel {
        title: "cost of the network, by filter norm".into(),
        x: "pruned channels [%]".into(),
        y: "of the unpruned network [%]".into(),
        curves: cost_curves(costs),
        levels: vec![],
    };
    let name = format!("pruning_{}", file_name(layer));
    let figure = curves(&name, &[accuracy, cost], source, &Style::default())?;
    let caption = format!("Channels of {title} are pruned.");
    Ok(about(figure, &caption, vec![data_file(layer), cost_file(layer)]))
}

fn share(pruned: usize, channels: usize) -> f64 {
    100. * pruned as f64 / channels.max(1) as f64
}

/// A colour for each rule, a line style for each takeover; of random orders the mean, and the
/// lowest and the highest.
fn accuracy_curves(points: &[PrunePoint]) -> Vec<Curve> {
    let rules = distinct(points.iter().map(|point| point.rule));
    let mut curves = vec![];
    for (colour, &rule) in rules.iter().enumerate() {
        for takeover in distinct(points.iter().map(|point| point.takeover)) {
            let own = || points.iter().filter(|p| (p.rule, p.takeover) == (rule, takeover));
            let at = |pruned: usize| -> Vec<f64> {
                own().filter(|p| p.pruned == pruned).map(|p| 100. * p.accuracy).collect()
            };
            let mean = |pruned: usize| {
                let here = at(pruned);
                here.iter().sum::<f64>() / here.len() as f64
            };
            let ends = |pruned: usize| {
                let here = at(pruned);
                let end = |start: f64, choose: fn(f64, f64) -> f64| {
                    here.iter().copied().fold(start, choose)
                };
                (end(f64::INFINITY, f64::min), end(f64::NEG_INFINITY, f64::max))
            };
            let channels = points.first().map_or(1, |point| point.channels);
            let mut counts = distinct(own().map(|point| point.pruned));
            counts.sort_unstable();
            // A mean is of all random orders, or there is none.
            let orders = distinct(own().map(|point| point.seed)).len();
            counts.retain(|&pruned| at(pruned).len() == orders);
            let line = counts.iter().map(|&n| (share(n, channels), mean(n))).collect();
            let is_random = rule == GroupRule::Of(PruneRule::Random);
            let spread = counts.iter().filter(|_| is_random).map(|&n| ends(n)).collect();
            let style = match takeover {
                Takeover::Nothing => LineStyle::Solid,
                Takeover::LeastSquares => LineStyle::Dashed,
                Takeover::Partner | Takeover::Mean => LineStyle::Dotted,
            };
            let name = match takeover {
                Takeover::Nothing => rule.title().to_owned(),
                Takeover::LeastSquares => format!("{}, all kept take over", rule.title()),
                Takeover::Partner => format!("{}, partner takes over", rule.title()),
                Takeover::Mean => format!("{}, mean takes over", rule.title()),
            };
            curves.push(Curve { spread, ..Curve::new(name, line, colour, style) });
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

fn cost_table((layer, title): (&str, &str), costs: &[CostPoint]) -> Table {
    let header = ["pruned", "MACs", "parameters", "milliseconds an image"];
    let name = format!("pruning_cost_{}", file_name(layer));
    let caption = format!(
        "What the network costs without the channels of {title} that have the lowest filter norms."
    );
    let mut table = Table::new(&name, &caption, &header);
    table.rows.extend(costs.iter().map(|cost| {
        vec![
            format!("{} of {}", cost.pruned, cost.channels),
            cost.macs.to_string(),
            cost.parameters.to_string(),
            format!("{:.2}", cost.milliseconds),
        ]
    }));
    if let Some(CostPoint { batch, threads, .. }) = costs.first() {
        table.notes.push(format!("Time: batches of {batch} images, {threads} threads."));
    }
    table
}

fn output_table(rows: &[OutputAccuracy]) -> Table {
    let header = ["output", "images", "accuracy [%]", "majority-class baseline [%]"];
    let caption = "Accuracy of the unpruned network. Where each image has one class, it is the \
                   share of the images of the class that are classified correctly.";
    let mut table = Table::new("accuracy_by_output", caption, &header);
    table.rows.extend(rows.iter().map(|row| {
        vec![
            row.output.clone(),
            row.images.to_string(),
            percent(row.accuracy),
            percent(row.majority_accuracy),
        ]
    }));
    table
}

/// For every layer and number of pruned channels: the accuracy without pruning, and by the paper's
/// rule, the filter norm and Taylor, without and with takeover by all kept channels.
pub(crate) fn table(points: &[PrunePoint]) -> Table {
    let rules = [
        (GroupRule::Of(PruneRule::Lower), "semantic"),
        (GroupRule::Of(PruneRule::FilterNorm), "filter norm"),
        (GroupRule::Taylor, "Taylor"),
    ];
    let ways = rules.map(|(rule, name)| {
        [
            (rule, Takeover::Nothing, format!("{name} [%]")),
            (rule, Takeover::LeastSquares, format!("{name}, taken over [%]")),
        ]
    });
    let ways = ways.concat();
    let names = ways.iter().map(|way| way.2.as_str());
    let header: Vec<&str> = ["layer", "pruned", "unpruned [%]"]
        .into_iter()
        .chain(names)
        .chain(["± s.e. of the row, largest"])
        .collect();
    let caption = "Accuracy after pruning one layer, without training. Taken over: all kept \
                   channels take over the role of the pruned ones by least squares.";
    let mut table = Table::new("pruning", caption, &header);
    let places = distinct(points.iter().map(|p| (&p.layer, &p.title, p.pruned, p.channels)));
    for (layer, title, pruned, channels) in places.into_iter().filter(|place| place.2 > 0) {
        let own = || points.iter().filter(|point| point.layer == *layer);
        let shown: Vec<Option<&PrunePoint>> = ways
            .iter()
            .map(|way| own().find(|p| (p.pruned, p.rule, p.takeover) == (pruned, way.0, way.1)))
            .collect();
        let accuracy = |point: Option<&PrunePoint>| percent(point.map_or(f64::NAN, |p| p.accuracy));
        let mut row = vec![title.clone(), format!("{pruned} of {channels}")];
        row.push(accuracy(own().find(|point| point.pruned == 0)));
        row.extend(shown.iter().map(|point| accuracy(*point)));
        let errors = shown.iter().flatten().map(|point| point.standard_error);
        row.push(percent(errors.fold(f64::NAN, f64::max)));
        table.rows.push(row);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_of_the_orders_that_a_row_shows() {
        let point = |rule, pruned, standard_error| PrunePoint {
            layer: "node".into(),
            title: "conv1".into(),
            rule,
            seed: None,
            takeover: Takeover::Nothing,
            channels: 8,
            pruned,
            images: 4,
            accuracy: 0.5,
            standard_error,
            top5_accuracy: f64::NAN,
            majority_accuracy: 0.25,
        };
        let (shown, other) = (GroupRule::Taylor, GroupRule::Of(PruneRule::Random));
        let points = [point(shown, 0, 0.), point(shown, 2, 0.1), point(other, 2, 0.2)];
        let rows = table(&points).rows;
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0][..3], ["conv1", "2 of 8", "50.00"]);
        assert_eq!(rows[0].last().map(String::as_str), Some("10.00"));
    }
}
