//! The page that people see.

use maud::{DOCTYPE, Markup, html};

use super::design::Design;

pub(super) const STYLE: &str = include_str!("assets/study.css");
pub(super) const SCRIPT: &str = include_str!("assets/study.js");
/// jsPsych, whose licence and version are beside it.
pub(super) const JSPSYCH: &str = include_str!("assets/jspsych/jspsych.js");
pub(super) const JSPSYCH_STYLE: &str = include_str!("assets/jspsych/jspsych.css");

pub(super) fn page(design: &Design) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (design.choices.title) }
                link rel="stylesheet" href="/jspsych.css";
                link rel="stylesheet" href="/study.css";
                script src="/jspsych.js" defer {}
                script src="/study.js" defer {}
            }
            body {
                main #study {}
                noscript { p { "This page needs JavaScript." } }
            }
        }
    }
}
