//! A face and all answers to it.

use foresee_celeba::{ATTRIBUTES, display_name};
use foresee_stats::sigmoid;
use serde::Serialize;

use super::view::View;
use crate::error::Result;
use crate::operate::{FaceId, Opened};

/// A face, as the page shows it.
#[derive(Serialize)]
pub(super) struct Answers {
    face: String,
    /// The name of its image; an upload has none.
    image: Option<String>,
    attributes: Vec<Answer>,
}

#[derive(Serialize)]
struct Answer {
    attribute: &'static str,
    name: String,
    label: Option<bool>,
    logit: f32,
    probability: f64,
}

/// The answers to the view's face.
pub(super) fn answers(opened: &Opened, view: &View) -> Result<Answers> {
    let seen = opened.face(view.face.as_ref())?;
    let data = opened.data()?;
    let (image, labels) = match &seen.id {
        FaceId::Test(face) => (Some(data.name(*face).to_owned()), Some(data.labels(*face))),
        FaceId::Upload(_) => (None, None),
    };
    let answer = |(k, &logit): (usize, &f32)| Answer {
        attribute: ATTRIBUTES[k],
        name: display_name(ATTRIBUTES[k]),
        label: labels.map(|labels| labels.has(k)),
        logit,
        probability: sigmoid(logit.into()),
    };
    let attributes = seen.logits.iter().enumerate().map(answer).collect();
    Ok(Answers { face: seen.id.to_string(), image, attributes })
}
