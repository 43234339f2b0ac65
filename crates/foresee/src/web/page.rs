//! What every page begins with.

use maud::{DOCTYPE, Markup, html};

/// The style that all pages share, at `/page.css`.
pub(super) const STYLE: &str = include_str!("assets/page.css");

/// A page with these style sheets and scripts. `body` is the element with all that is seen.
pub(crate) fn page(title: &str, styles: &[&str], scripts: &[&str], body: Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                @for style in styles { link rel="stylesheet" href=(style); }
                @for script in scripts { script src=(script) defer {} }
            }
            (body)
        }
    }
}
