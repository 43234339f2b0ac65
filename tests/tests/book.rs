//! Every link of the book and of the READMEs leads somewhere. (`cargo xtask book` also checks the
//! commands.)

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

type AnyResult<T = ()> = Result<T, Box<dyn std::error::Error>>;

/// A page, parsed.
struct Page {
    path: PathBuf,
    links: Vec<String>,
    /// Headings as anchors.
    anchors: BTreeSet<String>,
}

impl Page {
    fn read(path: &Path) -> AnyResult<Self> {
        let text = std::fs::read_to_string(path)?;
        let mut page = Self { path: path.into(), links: vec![], anchors: BTreeSet::new() };
        let mut heading: Option<String> = None;
        for event in Parser::new_ext(&text, Options::all()) {
            match event {
                Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                    page.links.push(dest_url.into_string());
                }
                Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
                Event::End(TagEnd::Heading(_)) => {
                    page.anchors.extend(heading.take().map(|title| anchor(&title)));
                }
                Event::Text(text) | Event::Code(text) => {
                    heading.iter_mut().for_each(|title| title.push_str(&text));
                }
                _ => {}
            }
        }
        Ok(page)
    }

    fn broken_links(&self) -> AnyResult<Vec<String>> {
        let mut broken = vec![];
        for link in self.links.iter().filter(|link| !link.contains("://")) {
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let folder = self.path.parent().unwrap_or(Path::new("."));
            let target = if file.is_empty() { self.path.clone() } else { folder.join(file) };
            let is_page = target.extension().is_some_and(|extension| extension == "md");
            let leads_somewhere = target.exists()
                && (heading.is_empty()
                    || !is_page
                    || Self::read(&target)?.anchors.contains(heading));
            if !leads_somewhere {
                broken.push(format!("{}: {link}", self.path.display()));
            }
        }
        Ok(broken)
    }
}

/// The anchor that mdbook and GitHub give a heading.
fn anchor(title: &str) -> String {
    let anchored = |c: char| match c {
        ' ' => Some('-'),
        c if c.is_alphanumeric() || "-_".contains(c) => Some(c),
        _ => None,
    };
    title.trim().to_lowercase().chars().filter_map(anchored).collect()
}

fn pages() -> AnyResult<Vec<PathBuf>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut pages: Vec<PathBuf> =
        ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "data/README.md"]
            .map(|file| root.join(file))
            .to_vec();
    for entry in std::fs::read_dir(root.join("docs/src"))? {
        pages.push(entry?.path());
    }
    for entry in std::fs::read_dir(root.join("crates"))? {
        pages.push(entry?.path().join("README.md"));
    }
    pages.retain(|page| page.extension().is_some_and(|extension| extension == "md"));
    Ok(pages)
}

#[test]
fn every_link_leads_somewhere() -> AnyResult {
    let mut broken = vec![];
    for path in pages()? {
        broken.extend(Page::read(&path)?.broken_links()?);
    }
    assert!(broken.is_empty(), "links that lead nowhere:\n{}", broken.join("\n"));
    Ok(())
}

#[test]
fn every_page_of_the_book_is_in_its_summary() -> AnyResult {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/src");
    let summary = Page::read(&folder.join("SUMMARY.md"))?;
    for entry in std::fs::read_dir(&folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let is_page = name.ends_with(".md") && name != "SUMMARY.md";
        assert!(!is_page || summary.links.contains(&name), "{name} is not in SUMMARY.md");
    }
    Ok(())
}
