//! The page. `assets/label.js` fills it.

use foresee_celeba::{ATTRIBUTES, display_name};
use maud::{Markup, html};

use super::labeller::Labeller;
use crate::web;

/// The page's style.
pub(super) const STYLE: &str = include_str!("assets/label.css");
/// The page's script.
pub(super) const SCRIPT: &str = include_str!("assets/label.js");

pub(super) fn page(labeller: &Labeller) -> Markup {
    let synthetic = labeller.data.is_synthetic();
    let body = html! {
        body {
            header {
                h1 { "Label faces" }
                @if synthetic {
                    p.synthetic { "These faces are synthetic (drawn)." }
                }
                noscript { p.error { "This page needs JavaScript." } }
                p.error #error role="alert" hidden {}
            }
            main {
                img #face alt="The face that is asked about";
                p #question aria-live="polite" {}
                div.keys {
                    button #yes type="button" { "yes " kbd { "Y" } }
                    button #no type="button" { "no " kbd { "N" } }
                    button #skip type="button" { "cannot tell " kbd { "S" } }
                    button #undo type="button" { "undo " kbd { "U" } }
                }
                progress #progress max="1" value="0" aria-label="faces that are labelled" {}
                p #counts {}
                p #learning role="status" {}
            }
            footer.soft {
                "Asked: "
                (labeller.attributes.iter().map(|&k| display_name(ATTRIBUTES[k]))
                    .collect::<Vec<_>>().join(", "))
                ". Every answer is kept as you give it. "
                a href="/labels.csv" { "labels.csv" }
            }
        }
    };
    web::page("Foresee: label faces", &["/page.css", "/label.css"], &["/label.js"], body)
}
