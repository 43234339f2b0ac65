//! The page. Its controls hold the state of the link; `assets/explore.js` reads it from them.

use foresee_celeba::{ATTRIBUTES, display_name};
use foresee_perturb::{PruneRule, Takeover};
use maud::{Markup, html};

use super::masks;
use super::view::{MOST_PEOPLE, MaskMeasure, Sort, View};
use crate::error::Result;
use crate::operate::{Opened, Operation, Pruning, Tone};
use crate::provenance::source;
use crate::seen::Seen;
use crate::web;

/// The page's style.
pub(super) const STYLE: &str = include_str!("assets/explore.css");
/// The page's script.
pub(super) const SCRIPT: &str = include_str!("assets/explore.js");

/// The page of a view. `problem` says what is wrong with a link that could not be read.
pub(super) fn page(opened: &Opened, view: &View, problem: Option<&str>) -> Result<Markup> {
    let source = source(&opened.run, "");
    let face = view.face.as_ref().map_or(opened.test[0].to_string(), ToString::to_string);
    let body = html! {
        body data-face=(face) data-attribute=(view.attribute)
            data-channels=(opened.channels()) data-page=(view.listing.page)
            data-run=(opened.key)
            data-masks=(if opened.has_masks() { "yes" } else { "no" }) {
            header {
                h1 { "Explore a trained network" }
                p.soft { (source.data) }
                @if source.synthetic {
                    p.synthetic {
                        "These faces are synthetic (drawn). What you see here says nothing \
                         about CelebA."
                    }
                } @else {
                    p.soft { "These faces are photographs of the data set CelebA." }
                }
                @if let Some(file) = &opened.run.manifest.model_file {
                    p.soft {
                        "They are of the data set's own test split."
                        @if file.seen != Seen::No {
                            " The network was trained on another list of faces, or its file does \
                             not say on which, so it may have seen them."
                        }
                    }
                }
                @if let Some(compaction) = compaction(opened) {
                    p.synthetic {
                        "This network was " (compaction)
                        ". What was left out hardly varied on clean faces. Under noise, tone \
                         curves and pruning the network it was made from may answer otherwise."
                    }
                }
                @if let Some(problem) = problem {
                    p.error role="alert" {
                        "This link cannot be shown: " (problem) ". You see the first face."
                    }
                }
                p.error #error role="alert" hidden {}
                noscript { p.error { "This page needs JavaScript." } }
            }
            main {
                (faces(view))
                (operation(view, opened.channels()))
                (answers(view))
                (masks_section(opened, view))
            }
            footer.soft {
                p {
                    "The address of this page holds all of it but the rounds: copy it to come \
                     back while this server runs."
                }
            }
        }
    };
    let title = "Foresee: explore a trained network";
    Ok(web::page(title, &["/page.css", "/explore.css"], &["/explore.js"], body))
}

/// What was left out of the heads of a model file, if anything was.
fn compaction(opened: &Opened) -> Option<&str> {
    opened.run.manifest.model_file.as_ref()?.compaction.as_deref()
}

/// A choice of one thing. The first option has no value: nothing is chosen.
fn select(id: &str, label: &str, none: Option<&str>, options: &[(String, String, bool)]) -> Markup {
    html! {
        label for=(id) { (label) }
        select id=(id) {
            @if let Some(none) = none { option value="" { (none) } }
            @for (value, title, chosen) in options {
                option value=(value) selected[*chosen] { (title) }
            }
        }
    }
}

/// All attributes, of which one may be chosen.
fn attributes(chosen: Option<usize>) -> Vec<(String, String, bool)> {
    let option = |k: usize| (k.to_string(), display_name(ATTRIBUTES[k]), chosen == Some(k));
    (0..ATTRIBUTES.len()).map(option).collect()
}

fn faces(view: &View) -> Markup {
    let listing = &view.listing;
    let sorts = Sort::ALL.map(|sort| (sort.id().into(), sort.title().into(), sort == listing.sort));
    let has = listing.filter.is_none_or(|(_, has)| has);
    let wants = [("yes", "with it", has), ("no", "without it", !has)];
    let wants = wants.map(|(id, title, chosen)| (id.to_owned(), title.to_owned(), chosen));
    let filter = attributes(listing.filter.map(|(k, _)| k));
    html! {
        section aria-labelledby="faces-title" {
            h2 #faces-title { "1. Choose a face" }
            div.controls {
                div { (select("filter", "Attribute", Some("any"), &filter)) }
                div { (select("has", "Faces", None, &wants)) }
                div { (select("sort", "Sort", None, &sorts)) }
                div { (select("of", "Sort by", Some("all attributes"), &attributes(listing.of))) }
            }
            p #faces-note .soft aria-live="polite" {}
            div #faces .faces role="group" aria-label="Test faces" {}
            div.controls {
                button #previous type="button" { "Previous page" }
                span #page-note {}
                button #next type="button" { "Next page" }
                div {
                    label for="upload" { "Or your own JPEG or PNG" }
                    input #upload type="file" accept="image/jpeg,image/png";
                }
            }
            div.chosen {
                img #portrait width="224" height="224" alt="";
                p #face-name aria-live="polite" {}
            }
        }
    }
}

fn answers(view: &View) -> Markup {
    html! {
        section aria-labelledby="answers-title" {
            h2 #answers-title { "3. All 40 answers, before and after" }
            p #outcome-note .soft aria-live="polite" {}
            div #challenge hidden[view.challenge.is_none()] {
                p {
                    "Say first by how much each of these logits moves. Then you see what happens, \
                     beside what rules forecast."
                }
                div #sliders {}
                div.controls {
                    button #judge type="button" { "Show what happens" }
                    button #next-round type="button" hidden { "Next round" }
                    button #forget type="button" { "Forget all rounds" }
                }
                div #judged aria-live="polite" {}
            }
            div.scroll {
                table #answers role="table" {
                    thead role="rowgroup" {
                        tr role="row" {
                            th scope="col" role="columnheader" { "attribute" }
                            th scope="col" role="columnheader" { "label" }
                            th scope="col" role="columnheader" { "probability" }
                            th scope="col" role="columnheader" { "logit" }
                            th.after scope="col" role="columnheader" { "after" }
                            th.after scope="col" role="columnheader" { "Δ logit" }
                            th.after scope="col" role="columnheader" { "flips" }
                        }
                    }
                    tbody role="rowgroup" {}
                }
            }
            h3 { "On many test faces" }
            div.controls {
                div {
                    label for="people" { "Faces" }
                    input #people type="number" min="1" max=(MOST_PEOPLE) value=(view.people);
                }
            }
            p #population aria-live="polite" {}
            h3 { "Save" }
            p.controls #save {
                a data-save="/save/figure?format=svg" download { "Figure (SVG)" }
                a data-save="/save/figure?format=pdf" download { "Figure (PDF)" }
                a data-save="/save/figure?format=png" download { "Figure (PNG)" }
                a data-save="/save/numbers.csv?" download { "Numbers (CSV)" }
            }
        }
    }
}

fn masks_section(opened: &Opened, view: &View) -> Markup {
    let by = MaskMeasure::ALL.map(|by| (by.id().into(), by.title().into(), by == view.by));
    let methods: Vec<(String, String, bool)> = masks::available(opened)
        .into_iter()
        .map(|method| {
            let long = if method.runs_many_passes() { " (takes long)" } else { "" };
            let title = format!("{}{long}", method.title());
            (method.id().into(), title, view.method == Some(method))
        })
        .collect();
    html! {
        section aria-labelledby="masks-title" {
            h2 #masks-title { "4. Where an answer comes from" }
            p.soft {
                "The unchanged network on the chosen face. Each picture has its own scale of \
                 colours. Red speaks for the attribute, blue against it; one colour: how strong."
            }
            div.controls {
                div { (select("attribute", "Attribute", None, &attributes(Some(view.attribute)))) }
                div { (select("by", "Strongest by", None, &by)) }
                div { (select("method", "Attribution method", Some("none"), &methods)) }
            }
            div #attribution .pictures {}
            div #masks .pictures {}
        }
    }
}

fn number(id: &str, label: &str, value: &str, range: [&str; 3]) -> Markup {
    let [min, max, step] = range;
    html! {
        div {
            label for=(id) { (label) }
            input id=(id) type="number" min=(min) max=(max) step=(step) value=(value);
        }
    }
}

fn operation(view: &View, channels: usize) -> Markup {
    let Operation { tone, sigma, noise_seed, pruning, takeover } = &view.operation;
    let Tone { n, beta } = tone.unwrap_or(Tone { n: 2., beta: 0. });
    let (rule, seed, count) = match pruning {
        Pruning::Order { rule, seed, count } => (Some(*rule), *seed, *count),
        Pruning::Channels(_) => (None, 0, 0),
    };
    let clicked = match pruning {
        Pruning::Channels(list) => list.iter().map(usize::to_string).collect::<Vec<_>>().join(","),
        Pruning::Order { .. } => String::new(),
    };
    let rules = PruneRule::ALL.map(|r| (r.id().to_owned(), r.title().to_owned(), rule == Some(r)));
    let takeovers =
        Takeover::ALL.map(|t| (t.id().to_owned(), t.title().to_owned(), *takeover == t));
    html! {
        section aria-labelledby="operation-title" {
            h2 #operation-title { "2. Change the network or the image" }
            div.operations {
                fieldset {
                    legend { "Tone curve on the masks" }
                    label {
                        input #tone type="checkbox" checked[tone.is_some()];
                        " transform the masks"
                    }
                    div #curve .curve {}
                    div.controls {
                        (number("n", "n", &n.to_string(), ["0", "1000", "any"]))
                        (number("beta", "β", &beta.to_string(), ["-10", "10", "any"]))
                    }
                    p.soft { "Drag the two dots, or move them with the arrow keys." }
                }
                fieldset {
                    legend { "Noise on the image" }
                    label for="sigma" { "σ " output #sigma-value { (sigma) } }
                    input #sigma type="range" min="0" max=(sigma.max(1.)) step="any" value=(sigma);
                    div.controls {
                        (number("noise_seed", "Seed", &noise_seed.to_string(), ["0", "", "1"]))
                    }
                }
                fieldset {
                    legend { "Pruning of channels" }
                    div.controls {
                        div { (select("rule", "Order", Some("my own choice"), &rules)) }
                        (number("order_seed", "Seed", &seed.to_string(), ["0", "", "1"]))
                    }
                    label for="count" { "Channels pruned: " output #count-value { (count) } }
                    input #count type="range" min="0" max=(channels - 1) step="1" value=(count);
                    div.controls { div { (select("takeover", "The others", None, &takeovers)) } }
                    details open[!clicked.is_empty()] {
                        summary { "Choose channels one by one" }
                        div #channels .channels role="group" aria-label="Channels"
                            data-pruned=(clicked) {}
                    }
                }
                fieldset {
                    legend { "Forecast first" }
                    label {
                        input #forecast type="checkbox" checked[view.challenge.is_some()];
                        " hide the result until I enter my forecast"
                    }
                    div.controls {
                        (number(
                            "seed",
                            "Seed",
                            &view.challenge.unwrap_or(0).to_string(),
                            ["0", "", "1"],
                        ))
                    }
                    button #reset type="button" { "Change nothing" }
                }
            }
        }
    }
}
