//! The code blocks of a chapter, each with the marking comment before it: the files and commands for a reader.

use std::fs;

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

/// A code block.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Block {
    /// The language in the fence.
    pub(crate) language: String,
    /// The mark in the comment before it, as in `<!-- file: src/lib.rs -->`.
    pub(crate) mark: Mark,
    pub(crate) text: String,
}

/// The purpose of a block.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Mark {
    /// Only to read.
    #[default]
    None,
    /// The whole of a file.
    File(String),
    /// Commands, with their output.
    Run {
        /// Numbers are not compared.
        figures: bool,
        /// The last command fails.
        fails: bool,
    },
    /// The commands that start a host.
    Serve,
    /// The error message when something is missing.
    Error(String),
    /// The whole of a page's file, written in TypeScript.
    TypeScript(String),
    /// Commands that the test cannot run, since they build the programs that it runs.
    Setup,
}

impl Mark {
    fn parse(comment: &str) -> Option<Self> {
        let text = comment.trim().strip_prefix("<!--")?.strip_suffix("-->")?.trim();
        let (kind, value) = text.split_once(':').unwrap_or((text, ""));
        let value = value.trim();
        Some(match kind {
            "file" => Self::File(value.to_owned()),
            "run" => Self::Run { figures: value.contains("figures"), fails: value.contains("fails") },
            "serve" => Self::Serve,
            "error" => Self::Error(value.to_owned()),
            "typescript" => Self::TypeScript(value.to_owned()),
            "setup" => Self::Setup,
            _ => panic!("no block is marked {comment:?}"),
        })
    }
}

/// Returns a chapter's markdown.
pub(crate) fn chapter(file: &str) -> String {
    let path = reapply_book::root().join("src").join(file);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

pub(crate) fn events(markdown: &str) -> impl Iterator<Item = Event<'_>> {
    Parser::new_ext(markdown, Options::ENABLE_TABLES)
}

/// Returns a chapter's code blocks, in order.
pub(crate) fn blocks(markdown: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut mark = Mark::default();
    let mut open = None;
    for event in events(markdown) {
        match event {
            Event::Html(html) => mark = Mark::parse(&html).unwrap_or_default(),
            Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(language))) => {
                let block =
                    Block { language: language.into_string(), mark: std::mem::take(&mut mark), text: String::new() };
                open = Some(block);
            }
            Event::Text(text) => {
                if let Some(block) = &mut open {
                    block.text.push_str(&text);
                }
            }
            Event::End(TagEnd::CodeBlock) => blocks.extend(open.take()),
            _ => {}
        }
    }
    blocks
}

#[test]
fn a_comment_marks_the_block_that_follows() {
    let markdown = "<!-- file: a.rs -->\n```rust\none\ntwo\n```\n\nText.\n\n```json\n{}\n```\n<!-- run: fails -->\n```console\n$ ls\n```\n";
    let block = |language: &str, mark, text: &str| Block { language: language.into(), mark, text: text.into() };
    assert_eq!(
        blocks(markdown),
        [
            block("rust", Mark::File("a.rs".into()), "one\ntwo\n"),
            block("json", Mark::None, "{}\n"),
            block("console", Mark::Run { figures: false, fails: true }, "$ ls\n"),
        ]
    );
}
