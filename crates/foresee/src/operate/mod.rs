//! A trained network, opened to be operated on: its faces, operations on the network and on their
//! images, and what becomes of the logits. `explore` shows it on a page, and studies with people
//! are made from it.
//!
//! `opened` is the network with its faces and what is kept between calls (`recent`, `uploads`),
//! `face_id` names a face, `operation` says what is done, `prepared` does it to a face, `rules` are
//! forecasts for one face, and `picture` makes pictures of it.

mod face_id;
mod opened;
mod operation;
mod picture;
mod prepared;
mod recent;
mod rules;
mod uploads;

pub(crate) use self::face_id::FaceId;
pub use self::opened::Opened;
pub(crate) use self::opened::{MAP_SIDE, Seen};
pub(crate) use self::operation::{Operation, Pruning, Tone};
pub(crate) use self::picture::{in_colour, under_map};
pub(crate) use self::prepared::Prepared;
pub(crate) use self::rules::{contribution, explanation, first_order};
