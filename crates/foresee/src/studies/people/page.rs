//! The page that people see.

use maud::{Markup, html};

use super::design::Design;
use crate::web;

pub(super) const STYLE: &str = include_str!("assets/study.css");
pub(super) const SCRIPT: &str = include_str!("assets/study.js");
/// jsPsych, whose licence and version are beside it.
pub(super) const JSPSYCH: &str = include_str!("assets/jspsych/jspsych.js");
pub(super) const JSPSYCH_STYLE: &str = include_str!("assets/jspsych/jspsych.css");

pub(super) fn page(design: &Design) -> Markup {
    let body = html! {
        body {
            main #study {}
            noscript { p { "This page needs JavaScript." } }
        }
    };
    let styles = ["/jspsych.css", "/page.css", "/study.css"];
    web::page(&design.choices.title, &styles, &["/jspsych.js", "/study.js"], body)
}
