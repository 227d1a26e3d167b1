//! The book as HTML: without warnings, with every chapter, and with links that resolve.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use pulldown_cmark::{Event, Tag};
use reapply_book::{CHAPTERS, build, root};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::util::SubscriberInitExt;

use crate::blocks::{chapter, events};

#[test]
fn the_book_is_rendered_without_a_warning_and_every_link_leads_somewhere() {
    let warnings = Warnings::default();
    let written = warnings.clone();
    let subscriber = tracing_subscriber::fmt().with_max_level(LevelFilter::WARN).with_writer(move || written.clone());
    let _guard = subscriber.finish().set_default();

    let html = tempfile::tempdir().unwrap();
    let page = build(html.path()).unwrap();
    assert!(page.is_file());
    assert_eq!(warnings.text(), "");

    let broken: Vec<String> = CHAPTERS
        .iter()
        .flat_map(|file| links(&chapter(file)).into_iter().map(move |link| (*file, link)))
        .filter_map(|(file, link)| {
            trouble(html.path(), file, &link).map(|trouble| format!("{file}: {link}: {trouble}"))
        })
        .collect();
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn every_chapter_is_tested_and_in_the_summary() {
    let files =
        fs::read_dir(root().join("src")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut files: BTreeSet<String> = files.collect();
    assert!(files.remove("SUMMARY.md"));
    let tested: BTreeSet<String> = CHAPTERS.iter().map(|file| (*file).to_owned()).collect();
    assert_eq!(files, tested);
    let summary: BTreeSet<String> = links(&chapter("SUMMARY.md")).into_iter().collect();
    assert_eq!(files, summary);
}

/// Returns the targets of a chapter's links.
fn links(markdown: &str) -> Vec<String> {
    let links = events(markdown).filter_map(|event| match event {
        Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => Some(dest_url.into_string()),
        _ => None,
    });
    links.collect()
}

/// Returns the problem with a link.
fn trouble(html: &Path, file: &str, link: &str) -> Option<&'static str> {
    let (path, place) = link.split_once('#').unwrap_or((link, ""));
    if path.starts_with("https://") || path.starts_with("http://localhost:8080") {
        return None;
    }
    if path.starts_with("../") {
        // The file of a page is looked up under the name with `.html`.
        let leads = root().join("src").join(path).exists() && !path.ends_with(".md");
        return (!leads).then_some("the repository has no such file, or it is a chapter of no book");
    }
    let target = if path.is_empty() { file } else { path };
    if !CHAPTERS.contains(&target) {
        return Some("there is no such chapter");
    }
    let page = fs::read_to_string(html.join(target).with_extension("html")).unwrap_or_default();
    let has_place = place.is_empty() || page.contains(&format!("id=\"{place}\""));
    (!has_place).then_some("that chapter has no such heading")
}

/// The warnings of mdBook.
#[derive(Clone, Debug, Default)]
struct Warnings(Arc<Mutex<Vec<u8>>>);

impl Warnings {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}

impl Write for Warnings {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_broken_link_is_found() {
    let html = tempfile::tempdir().unwrap();
    fs::write(html.path().join("text.html"), "<h2 id=\"there\">").unwrap();
    let works = |link| trouble(html.path(), "text.md", link).is_none();
    assert!(works("text.md") && works("#there") && works("text.md#there") && works("../../guests/"));
    assert!(!works("nowhere.md") && !works("text.md#nowhere") && !works("../../nowhere") && !works("../../README.md"));
}
