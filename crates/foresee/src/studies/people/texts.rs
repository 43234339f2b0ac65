//! What people read.

use serde::{Deserialize, Serialize};

/// What people read: paragraphs, which the design file holds and a researcher replaces.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Texts {
    /// Before anything else.
    pub consent: Vec<String>,
    /// Page by page.
    pub instructions: Vec<Vec<String>>,
    /// In the end.
    pub debriefing: Vec<String>,
}

fn paragraphs(texts: &[&str]) -> Vec<String> {
    texts.iter().map(ToString::to_string).collect()
}

impl Default for Texts {
    fn default() -> Self {
        Self {
            consent: paragraphs(&[
                "This is a study about how well people can say beforehand what a computer program \
                 will answer after it has been changed. You will see pictures of faces and what \
                 the program says about them, and you will move sliders. It takes about 15 \
                 minutes.",
                "Taking part is voluntary. You may stop at any time and withdraw, and your answers \
                 are then deleted.",
                "We keep your answers and how long they took. We do not keep your name, your \
                 address on the internet, or anything about your device. The answers may be \
                 published as research data.",
                "RESEARCHERS: replace this text in design.toml by the one that your ethics board \
                 approved, with your name and how to reach you.",
            ]),
            instructions: vec![
                paragraphs(&[
                    "A program looks at a picture of a face and says how likely it is that the \
                     face has some attribute: that it smiles, that it wears a hat.",
                    "Then the program, or the picture, is changed. You are told how.",
                ]),
                paragraphs(&[
                    "For each attribute you see what the program said before. Move the slider to \
                     what you think it will say after the change. If you think that the answer \
                     stays as it is, say so.",
                    "In some pictures you are shown something about how the program came to its \
                     answers. Use it if it helps.",
                ]),
                paragraphs(&[
                    "In the end of each picture, say how sure you are that the attribute you moved \
                     most is the one that changes most.",
                    "First come some pictures for practice: there you are told what happened.",
                ]),
            ],
            debriefing: paragraphs(&[
                "Thank you. We study whether explanations of a neural network help people to \
                 foresee what changes when the network is changed. People were shown different \
                 explanations, some of them deliberately wrong ones, so that we can tell what a \
                 right one is worth.",
            ]),
        }
    }
}
