//! Table 4: which attributes have similar masks.

use foresee_celeba::{ATTRIBUTES, display_name};
use foresee_report::Table;

use super::published::{self, CitedNeighbour};
use crate::artifacts::AttributeNeighbour;
use crate::error::Result;
use crate::provenance::{measured_training_faces, number, source};
use crate::run::Run;

/// Neighbours listed for an attribute, as in the paper.
const NEIGHBOURS: usize = 5;

pub(super) fn attribute_correlation(run: &Run) -> Result<Table> {
    let ours: Vec<AttributeNeighbour> = run.read()?;
    let cited = published::table4()?;
    let header = [
        "attribute",
        "five highest correlated attributes, this run (ρ)",
        "the paper's five (cited)",
        "in both",
    ];
    let caption = "Table 4. Correlation among the attributes' mean masks.";
    let mut table = Table::new("table4_attribute_correlation", caption, &header);
    for name in attributes(&cited) {
        let own = |n: &&AttributeNeighbour| n.attribute == name && n.rank <= NEIGHBOURS;
        let own: Vec<&AttributeNeighbour> = ours.iter().filter(own).collect();
        let theirs: Vec<&str> = cited
            .iter()
            .filter(|cited| cited.attribute == name)
            .map(|cited| cited.neighbour.as_str())
            .collect();
        table.rows.push(row(name, &own, &theirs));
    }
    Ok(table.measured_on(&source(run, &measured_training_faces(run))))
}

/// The attributes that the paper lists first, then the others.
fn attributes(cited: &[CitedNeighbour]) -> Vec<&str> {
    let mut order: Vec<&str> = cited.iter().map(|cited| cited.attribute.as_str()).collect();
    order.dedup();
    let others: Vec<&str> =
        ATTRIBUTES.iter().copied().filter(|name| !order.contains(name)).collect();
    order.extend(others);
    order
}

fn row(name: &str, own: &[&AttributeNeighbour], theirs: &[&str]) -> Vec<String> {
    let listed = own
        .iter()
        .map(|n| format!("{} ({})", display_name(&n.neighbour), number(n.correlation, 2)));
    let shared = own.iter().filter(|n| theirs.contains(&n.neighbour.as_str())).count();
    let (paper, both) = match theirs {
        [] => ("–".into(), "–".into()),
        _ => {
            let names: Vec<String> = theirs.iter().map(|n| display_name(n)).collect();
            (names.join(", "), format!("{shared} of {}", theirs.len()))
        }
    };
    vec![display_name(name), listed.collect::<Vec<_>>().join(", "), paper, both]
}
