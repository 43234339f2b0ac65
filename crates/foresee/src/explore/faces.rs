//! The list of faces: filtered by a label, sorted, page by page.

use serde::Serialize;

use super::ranking::Ranking;
use super::view::{Listing, Sort};
use crate::error::Result;
use crate::operate::Opened;

/// Faces of a page.
const PAGE: usize = 24;

/// A page of faces.
#[derive(Serialize)]
pub(super) struct Faces {
    /// Faces that match.
    total: usize,
    page: usize,
    pages: usize,
    /// Faces whose answers are there, where it matters, and those that are waited for.
    answered: Option<[usize; 2]>,
    /// Why there will be no more of them.
    problem: Option<String>,
    faces: Vec<Listed>,
}

#[derive(Serialize)]
struct Listed {
    face: usize,
    image: String,
    /// What it is sorted by: log loss, or |logit|.
    value: Option<f64>,
}

/// The faces of a page.
pub(super) fn list(opened: &Opened, ranking: &Ranking, listing: &Listing) -> Result<Faces> {
    let data = opened.data()?;
    let (mut all, answered): (Vec<(usize, Option<f64>)>, _) = match listing.sort {
        Sort::Order => (opened.test.iter().map(|&face| (face, None)).collect(), None),
        sort => {
            let sorted = ranking.sorted(sort, listing.of);
            let answered = [sorted.len(), Ranking::expected(opened)];
            (sorted.into_iter().map(|(face, value)| (face, Some(value))).collect(), Some(answered))
        }
    };
    if let Some((attribute, has)) = listing.filter {
        all.retain(|(face, _)| data.labels(*face).has(attribute) == has);
    }
    let pages = all.len().div_ceil(PAGE).max(1);
    let page = listing.page.min(pages - 1);
    let listed = |&(face, value): &(usize, Option<f64>)| Listed {
        face,
        image: data.name(face).to_owned(),
        value,
    };
    let faces = all.iter().skip(page * PAGE).take(PAGE).map(listed).collect();
    let problem = answered.and(ranking.problem()).map(str::to_owned);
    Ok(Faces { total: all.len(), page, pages, answered, problem, faces })
}
