//! The report of a run.

use foresee_report::{Figure, Report, Section, Table};
use foresee_stats::mean;

use super::regression;
use crate::artifacts::{Accuracy, GroupMember, MeanMasks};
use crate::error::Result;
use crate::provenance::{number, percent, source};
use crate::run::{REPORT, Run};

pub(crate) fn write(run: &Run, figures: &[Figure], tables: &[Table]) -> Result<()> {
    let mut sections = vec![];
    for &(heading, text, parts) in CHAPTERS {
        let shown: Vec<Section> =
            parts.iter().flat_map(|name| part_sections(name, figures, tables)).collect();
        if !shown.is_empty() {
            sections.extend([Section::Heading(heading.into()), Section::Text(text.into())]);
            sections.extend(shown);
        }
    }
    sections.extend(groups(run)?);
    sections.extend(others(figures, tables));
    sections.extend(made_with(run)?);
    let title = "Human-predictable networks: Kimura & Tanaka (2020), reproduced".to_owned();
    let report = Report { title, source: source(run, ""), summary: summary(run)?, sections };
    Ok(report.save(&run.path(REPORT))?)
}

/// The figure or table of a name, if the run has it.
fn part_sections(name: &str, figures: &[Figure], tables: &[Table]) -> Vec<Section> {
    let figure = figures.iter().find(|figure| figure.name() == name).cloned();
    let table = tables.iter().find(|table| table.name == name).cloned();
    figure.map(Section::Figure).into_iter().chain(table.map(Section::Table)).collect()
}

/// What no chapter names.
fn others(figures: &[Figure], tables: &[Table]) -> Vec<Section> {
    let is_named = |name: &str| CHAPTERS.iter().any(|(_, _, parts)| parts.contains(&name));
    let figures = figures.iter().filter(|figure| !is_named(figure.name())).cloned();
    let tables = tables.iter().filter(|table| !is_named(&table.name)).cloned();
    let others: Vec<Section> =
        figures.map(Section::Figure).chain(tables.map(Section::Table)).collect();
    let heading = (!others.is_empty()).then(|| Section::Heading("More".into()));
    heading.into_iter().chain(others).collect()
}

/// Heading, text, and the names of figures and tables.
type Chapter = (&'static str, &'static str, &'static [&'static str]);

const CHAPTERS: &[Chapter] = &[
    (
        "The network",
        "A dilated feature extractor, and for each attribute a binary classifier with an attention \
         mask of its own for every channel. Two operations act on the trained network: channels \
         are pruned, and masks are transformed. The paper asks whether one can say beforehand what \
         they will do.",
        &["fig2_architecture", "table1_extractor", "table2_classifier"],
    ),
    (
        "Training and accuracy",
        "Eq. 10: binary cross entropy summed over the attributes, plus λ times the L1 norm of the \
         masks. Accuracy is measured on faces that the network was not trained on.",
        &["training", "table3_accuracy", "table3_per_attribute"],
    ),
    (
        "What the masks look at",
        "The three most important channels of each attribute (by mean mask, unless \
         measure.importance says otherwise), on faces of the test split. Bright: the mask lets the \
         channel through there.",
        &["fig4_attention_masks", "fig5_mean_masks", "table4_attribute_correlation"],
    ),
    (
        "Correlated channels",
        "Pearson correlation between channels over the training images that were measured: over \
         all their positions, or over their averages if measure.correlation says so. The paper \
         assumes that highly correlated channels (deep red) play the same role.",
        &["fig6_channel_correlation"],
    ),
    (
        "Semantic channel pruning",
        "Pairs are scanned from the highest correlation down, and one member of each is pruned. \
         The paper says in one place that the member with the lower norm goes, in another the one \
         with the higher: both are drawn, beside chance and beside plain pruning by norm.",
        &["fig7_channel_pruning"],
    ),
    (
        "Beyond the paper: kept channels take over",
        "A pruned channel is missing in the masks' convolution and in the readout even if another \
         one is its duplicate. Here the kept channels take over its share in closed form, without \
         training: either its partner of the pair, by their regression, or all kept channels, by \
         least squares.",
        &["channel_pruning_takeover"],
    ),
    (
        "Intentional attention mask transformation",
        "g(M; n, β) of Eq. 11 and 12 on all masks, while Gaussian noise is added to the images. \
         The second panel shows what a setting gains over n = 1, β = 0 on the same noisy images. \
         A gain means nothing where the untransformed masks are below the majority-class \
         baseline. With β above 0 a closed mask becomes -β, so that closed channels are \
         subtracted.",
        &["fig8_mask_transformation"],
    ),
    (
        "Human predictability",
        "The paper defines human predictability as the easiness to predict the change of the \
         inference when the model is perturbed, and gives no measure; this one is ours. A forecast \
         is what a person would say who has seen an explanation, before the perturbed network is \
         run: how much each attribute's logit will change. Skill says how much less wrong it is \
         than expecting the mean change everywhere (1: perfect, 0: no better, below 0: \
         misleading). Rank agreement (Kendall's τ-b) says whether it orders the attributes, or the \
         perturbations, rightly. Locality says how much of the change lies where it was expected, \
         chance taken off. Beside each score stand two controls. For a hollow disc operations and \
         attributes of the explanation are exchanged at random: what lies near it knows nothing. \
         For a grey bar only operations are: it shows what is known of attributes whatever is \
         done.",
        &["predictability_scores", "predictability"],
    ),
    (
        "The masks beside other attribution methods",
        "What the paper sets its masks against: sensitivity analysis (Eq. 1), layer-wise relevance \
         propagation (Eq. 2), Grad-CAM and others, for the same logits of the same network. The \
         methods of a table share their faces; the figure may show others. Scores: a good map's \
         first pixels bring the logit down early when they are deleted, and up early when they are \
         inserted; on drawn faces it is known where an attribute is. Checks: a map should say what \
         taking squares of the face away does, stay as it is when the face hardly changes, and \
         change when the network's weights are drawn anew.",
        &[
            "attribution_comparison",
            "attribution_scores",
            "attribution_checks",
            "attribution_permutation",
            "attribution_surrogate",
        ],
    ),
    (
        "The paper's example: regression models (Eq. 3 to 7)",
        regression::TEXT,
        &[
            "predictability_regression_fits",
            "predictability_regression_changes",
            "predictability_regression_gram",
            "predictability_regression_cross_talk",
            "predictability_regression",
        ],
    ),
];

fn summary(run: &Run) -> Result<Vec<(String, String)>> {
    let accuracy: Accuracy = run.read_one()?;
    let masks = run.read::<MeanMasks>()?.0.rows.concat();
    let rows = [
        ("mean accuracy, unseen faces", format!("{} %", percent(accuracy.accuracy))),
        ("majority-class baseline", format!("{} %", percent(accuracy.majority_accuracy))),
        ("balanced accuracy", format!("{} %", percent(accuracy.balanced_accuracy))),
        ("area under the ROC curve", number(accuracy.auc, 3)),
        ("mean of the masks", number(mean(&masks), 3)),
        ("unseen faces", accuracy.images.to_string()),
    ];
    Ok(rows.map(|(name, value)| (name.to_owned(), value)).to_vec())
}

/// Attributes that the masks put together.
fn groups(run: &Run) -> Result<Vec<Section>> {
    let caption = format!(
        "Attributes whose mean masks correlate by more than {} on average.",
        GroupMember::ABOVE
    );
    let mut table = Table::new("attribute_groups", &caption, &["group", "attributes"]);
    let members: Vec<GroupMember> = run.read()?;
    for group in members.chunk_by(|a, b| a.group == b.group).filter(|group| group.len() > 1) {
        let names: Vec<String> =
            group.iter().map(|m| foresee_celeba::display_name(&m.attribute)).collect();
        table.rows.push(vec![group[0].group.to_string(), names.join(", ")]);
    }
    let text = "The paper groups highly correlated attributes. Groups of one are left out; \
                data/attribute_groups.csv has all.";
    Ok(vec![
        Section::Heading("Groups of attributes".into()),
        Section::Text(text.into()),
        Section::Plain(table),
    ])
}

/// What a reader needs to make this again.
fn made_with(run: &Run) -> Result<Vec<Section>> {
    let m = &run.manifest;
    let mut stages =
        Table::new("stages", "Stages so far.", &["stage", "seconds", "peak memory [GB]"]);
    for (name, record) in &m.stages {
        let memory =
            record.peak_memory_bytes.map_or("–".into(), |b| format!("{:.2}", b as f64 / 1e9));
        stages.rows.push(vec![name.to_string(), format!("{:.0}", record.wall_seconds), memory]);
    }
    let mut settings = Table::new("settings", "All settings.", &["key", "value"]);
    settings.rows.extend(m.config.keys()?.into_iter().map(|(key, value)| vec![key, value]));
    let text = format!(
        "Foresee {}, commit {}, seed {}, device {}. The numbers behind every figure are in data/, \
         and manifest.json has the hashes of all files.",
        m.program.foresee, m.program.git_commit, m.seed, m.device
    );
    Ok(vec![
        Section::Heading("How this was made".into()),
        Section::Text(text),
        Section::Plain(stages),
        Section::Plain(settings),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_chapter_names_is_shown_too() {
        let table = |name: &str| Table::new(name, "a caption", &["a column"]);
        assert!(others(&[], &[table("table1_extractor")]).is_empty());
        let shown = others(&[], &[table("table1_extractor"), table("new")]);
        assert!(
            matches!(&shown[..], [Section::Heading(_), Section::Table(of)] if of.name == "new")
        );
    }
}
