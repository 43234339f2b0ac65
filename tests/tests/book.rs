//! Every link of the book and of the READMEs leads somewhere, and the table of settings is that of
//! the profiles. (`cargo xtask book` also checks the commands.)

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

type AnyResult<T = ()> = Result<T, Box<dyn std::error::Error>>;

/// A page, parsed.
struct Page {
    path: PathBuf,
    links: Vec<String>,
    /// Code in the text, such as names of files.
    code: Vec<String>,
    /// Headings as anchors.
    anchors: BTreeSet<String>,
}

impl Page {
    fn read(path: &Path) -> AnyResult<Self> {
        let text = std::fs::read_to_string(path)?;
        let mut page =
            Self { path: path.into(), links: vec![], code: vec![], anchors: BTreeSet::new() };
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
                Event::Text(text) => {
                    heading.iter_mut().for_each(|title| title.push_str(&text));
                }
                Event::Code(text) => {
                    heading.iter_mut().for_each(|title| title.push_str(&text));
                    page.code.push(text.into_string());
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

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn pages() -> AnyResult<Vec<PathBuf>> {
    let root = root();
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
fn every_source_that_is_named_is_there() -> AnyResult {
    let mut named = 0;
    for page in pages()? {
        let page = Page::read(&page)?;
        for path in page.code.iter().filter(|code| code.starts_with("crates/")) {
            named += 1;
            let is_there = path.contains(['*', ' ', '…']) || root().join(path).exists();
            assert!(is_there, "{} names {path}", page.path.display());
        }
    }
    assert!(named > 0);
    Ok(())
}

#[test]
fn every_page_of_the_book_is_in_its_summary() -> AnyResult {
    let folder = root().join("docs/src");
    let summary = Page::read(&folder.join("SUMMARY.md"))?;
    for entry in std::fs::read_dir(&folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let is_page = name.ends_with(".md") && name != "SUMMARY.md";
        assert!(!is_page || summary.links.contains(&name), "{name} is not in SUMMARY.md");
    }
    Ok(())
}

/// `section.key` and value of a profile's settings.
fn settings(profile: &str) -> AnyResult<BTreeMap<String, toml::Value>> {
    let path = root().join(format!("data/profiles/{profile}.toml"));
    let sections: toml::Table = toml::from_str(&std::fs::read_to_string(path)?)?;
    let keys = sections.into_iter().flat_map(|(section, keys)| {
        let keys = keys.as_table().cloned().unwrap_or_default();
        keys.into_iter().map(move |(key, value)| (format!("{section}.{key}"), value))
    });
    Ok(keys.collect())
}

/// Whether a text of the table says a value: numbers may be written in another way, and lists in
/// words.
fn says(text: &str, value: &toml::Value) -> bool {
    let text = text.trim().trim_matches('`');
    match value {
        toml::Value::String(value) => text.trim_matches('"') == value,
        toml::Value::Boolean(value) => text == value.to_string(),
        toml::Value::Integer(value) => text.parse() == Ok(*value),
        toml::Value::Float(value) => text.parse() == Ok(*value),
        _ => !text.is_empty(),
    }
}

#[test]
fn the_table_of_settings_is_that_of_the_profiles() -> AnyResult {
    let [quick, small, paper] = ["quick", "small", "paper"].map(settings);
    let (quick, others) = (quick?, [("small", small?), ("paper", paper?)]);
    let text = std::fs::read_to_string(root().join("docs/src/settings.md"))?;
    let mut listed = BTreeSet::new();
    for line in text.lines().filter(|line| line.starts_with("| `") && line.contains('.')) {
        let cells: Vec<&str> = line.split(" | ").collect();
        let key = cells[0].trim_start_matches("| ").trim_matches('`');
        let Some(value) = quick.get(key) else { continue };
        assert!(says(cells[1], value), "{key}: `quick` has {value}, the table {}", cells[1]);
        let stated: Vec<&str> = cells[2].split(',').map(str::trim).collect();
        for (profile, settings) in &others {
            let stated = stated.iter().find_map(|text| text.strip_prefix(&format!("{profile} ")));
            let agree = match (stated, settings.get(key)) {
                (Some(text), Some(value)) => says(text, value),
                (None, value) => value.is_none_or(|value| Some(value) == quick.get(key)),
                (Some(_), None) => false,
            };
            assert!(agree, "{key} of `{profile}`: the table has {stated:?}");
        }
        listed.insert(key.to_owned());
    }
    assert_eq!(listed, quick.into_keys().collect::<BTreeSet<_>>());
    Ok(())
}

/// The Rust code of the page "Your CNN from PyTorch" is that of its example, which is compiled;
/// lines may be indented in another way.
#[test]
fn the_code_of_your_cnn_is_that_of_its_example() -> AnyResult {
    let trimmed = |text: &str| text.lines().map(|line| line.trim().to_owned()).collect::<Vec<_>>();
    let page = std::fs::read_to_string(root().join("docs/src/your_cnn.md"))?;
    let example = root().join("crates/attribution/examples/your_cnn.rs");
    let example = trimmed(&std::fs::read_to_string(example)?);
    let blocks: Vec<Vec<String>> = page
        .split("```rust,ignore\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .map(|block| trimmed(block.trim_end()))
        .collect();
    assert!(blocks.len() >= 8, "{} blocks", blocks.len());
    for block in blocks {
        let is_there = example.windows(block.len()).any(|lines| lines == block);
        assert!(is_there, "not in the example:\n{}", block.join("\n"));
    }
    Ok(())
}
