//! Curves as LaTeX with pgfplots, so that a paper's own fonts are used.

use plotters::style::RGBColor;

use crate::latex::escaped;
use crate::line_style::LineStyle;
use crate::panel::{Band, Curve, Entry, Panel, legend_entries};
use crate::source::Source;
use crate::style::Style;

/// What a document needs in its preamble.
const NEEDS: &str = "% In the preamble:\n\
    %   \\usepackage{pgfplots}\n\
    %   \\pgfplotsset{compat=1.17}\n\
    %   \\usepgfplotslibrary{groupplots,fillbetween}\n";
/// Narrowest panel beside another, in millimetres.
const NARROWEST: f64 = 52.;

/// The panels as groupplots in a tikzpicture of the style's width, with one legend below them.
pub(crate) fn tikz(name: &str, panels: &[Panel], source: &Source, style: &Style) -> String {
    let columns = ((style.width / NARROWEST) as usize).clamp(1, panels.len().max(1));
    let rows = panels.len().div_ceil(columns);
    let width = style.width / columns as f64;
    // Of its own in a document with several figures.
    let legend_name = format!("legend-{}", name.replace('_', "-"));
    let mut text = NEEDS.to_owned();
    text += "\\begin{tikzpicture}\n";
    text += &colours(panels, style);
    text += &format!(
        "\\begin{{groupplot}}[\n  group style={{group size={columns} by {rows}, \
         horizontal sep=14mm, vertical sep=24mm}},\n  width={:.1}mm, height={:.1}mm,\n  \
         grid=major, grid style={{black!12}}, tick align=outside, tick pos=left,\n  \
         scaled ticks=false, title style={{align=center, text width={:.1}mm}}, ylabel \
         style={{align=center, text width={:.1}mm}},\n  \
         legend columns={}, legend cell align=left,\n  legend style={{draw=none, /tikz/every even \
         column/.append style={{column sep=2mm}}}}]\n",
        width - 14. * (columns as f64 - 1.) / columns as f64,
        0.75 * width,
        width - 16.,
        0.6 * width,
        if columns == 1 { 1 } else { 2 },
    );
    for (i, panel) in panels.iter().enumerate() {
        text += &format!(
            "\\nextgroupplot[title={{{}}}, xlabel={{{}}}, ylabel={{{}}}{}]\n",
            escaped(&panel.title),
            escaped(&panel.x),
            escaped(&panel.y),
            if i == 0 { format!(", legend to name={legend_name}") } else { String::new() }
        );
        text += &plots(panel);
        if i == 0 {
            text += &legend(panels);
        }
    }
    text += &format!(
        "\\end{{groupplot}}\n\\node[anchor=north] at (current bounding box.south) \
         {{\\pgfplotslegendfromname{{{legend_name}}}}};\n"
    );
    if style.note {
        text += &format!(
            "\\node[anchor=north west, font=\\scriptsize, text width={:.1}mm] at (current bounding \
             box.south west) {{{}}};\n",
            style.width - 4.,
            escaped(&source.note())
        );
    }
    text += "\\end{tikzpicture}\n";
    text
}

fn colours(panels: &[Panel], style: &Style) -> String {
    let mut used: Vec<usize> =
        panels.iter().flat_map(|panel| panel.curves.iter().map(|curve| curve.colour)).collect();
    used.sort_unstable();
    used.dedup();
    let define = |i: usize| {
        let RGBColor(red, green, blue) = style.palette.curve(i);
        format!("\\definecolor{{curve{i}}}{{RGB}}{{{red},{green},{blue}}}\n")
    };
    used.into_iter().map(define).collect()
}

fn plots(panel: &Panel) -> String {
    let mut text = String::new();
    for level in panel.levels.iter().filter(|level| level.y.is_finite()) {
        let (left, right) = ends(panel);
        text += &format!(
            "\\addplot[{LEVEL}, forget plot] coordinates {{({left},{y}) ({right},{y})}};\n",
            y = level.y
        );
    }
    for (i, curve) in panel.curves.iter().enumerate() {
        text += &band(i, curve);
        text += &format!(
            "\\addplot[{}, forget plot{}]\n  coordinates {{{}}};\n",
            look(curve),
            if curve.band == Band::Bars && !curve.spread.is_empty() { BARS } else { "" },
            coordinates(curve)
        );
    }
    text
}

const LEVEL: &str = "black!55, dash pattern=on 1.5pt off 2pt";
const BARS: &str = ", error bars/.cd, y dir=both, y explicit";

/// The least and greatest x of a panel.
fn ends(panel: &Panel) -> (f64, f64) {
    let xs = panel.curves.iter().flat_map(|curve| curve.defined_points().map(|p| p.0));
    xs.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| (low.min(x), high.max(x)))
}

fn look(curve: &Curve) -> String {
    let line = match curve.style {
        LineStyle::Solid => "solid, mark=*",
        LineStyle::Dashed => "dashed, mark=triangle*",
        LineStyle::Dotted => "densely dotted, mark=x",
        LineStyle::Points => "only marks, mark=*",
    };
    let size = if curve.has_markers() { "1.2pt" } else { "0pt" };
    format!("curve{}, thick, {line}, mark size={size}, mark options={{solid}}", curve.colour)
}

/// The area between the ends of a filled spread.
fn band(i: usize, curve: &Curve) -> String {
    let spread: Vec<_> = curve.defined_spread().collect();
    if curve.band != Band::Filled || spread.is_empty() {
        return String::new();
    }
    let path = |name: &str, end: fn((f64, f64)) -> f64| {
        let points: String =
            spread.iter().map(|&(x, _, ends)| format!("({x},{})", end(ends))).collect();
        format!(
            "\\addplot[draw=none, forget plot, name path={name}{i}] coordinates {{{points}}};\n"
        )
    };
    let fill = format!(
        "\\addplot[curve{}, fill opacity=0.18, draw=none, forget plot] fill between[of=low{i} and \
         high{i}];\n",
        curve.colour
    );
    path("low", |ends| ends.0) + &path("high", |ends| ends.1) + &fill
}

/// The points, with the lengths of their bars where there are such.
fn coordinates(curve: &Curve) -> String {
    let bars: Vec<_> = match curve.band {
        Band::Bars => curve.defined_spread().collect(),
        Band::Filled => vec![],
    };
    let point = |&(x, y): &(f64, f64)| {
        let bar = bars.iter().find(|bar| bar.0 == x && bar.1 == y);
        let bar = bar.map_or(String::new(), |&(_, _, (low, high))| {
            format!(" += (0,{}) -= (0,{})", high - y, y - low)
        });
        format!("({x},{y}){bar} ")
    };
    curve.defined_points().map(point).collect::<String>().trim_end().to_owned()
}

/// Images and names of all panels' entries.
fn legend(panels: &[Panel]) -> String {
    let image = |entry: &Entry| {
        let look = match entry {
            Entry::Curve(curve) => look(curve),
            Entry::Level(_) => LEVEL.into(),
        };
        let name = escaped(entry.name());
        format!("\\addlegendimage{{{look}}}\n\\addlegendentry{{{name}}}\n")
    };
    legend_entries(panels).iter().map(image).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::panel::Level;

    #[test]
    fn curves_bars_and_levels_are_written() {
        let nan = f64::NAN;
        let points = vec![(0., 85.), (32., nan), (64., 80.)];
        let mut curve = Curve::new("50 % & σ", points, 1, LineStyle::Dashed);
        curve.spread = vec![(84., 87.), (nan, nan), (79., 81.)];
        curve.band = Band::Bars;
        let panel = Panel {
            title: String::new(),
            x: "pruned channels".into(),
            y: "accuracy [%]".into(),
            curves: vec![curve],
            levels: vec![Level { name: "majority".into(), y: 80.5 }],
        };
        let source = Source { data: "40 drawn".into(), synthetic: true };
        let latex = tikz("fig_7", &[panel], &source, &Style::default());
        for expected in [
            "\\definecolor{curve1}{RGB}{213,94,0}",
            "ylabel={accuracy {[}\\%{]}}",
            "coordinates {(0,85) += (0,2) -= (0,1) (64,80) += (0,1) -= (0,1)}",
            "coordinates {(0,80.5) (64,80.5)}",
            "\\addlegendentry{50 \\% \\& $\\sigma$}",
            "\\addlegendentry{majority}",
            "\\pgfplotslegendfromname{legend-fig-7}",
            "{SYNTHETIC FACES, not CelebA: 40 drawn}",
        ] {
            assert!(latex.contains(expected), "{expected}: {latex}");
        }
        assert!(!latex.contains("NaN"), "{latex}");
    }
}
