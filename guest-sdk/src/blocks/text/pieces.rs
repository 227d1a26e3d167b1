//! The runs of a text, joined to pieces: equal texts have equal pieces, however their runs are cut in memory.

use super::marks::Marks;
use super::run::Run;
use super::transition::CharId;

/// A run as long as possible.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Piece {
    pub(super) start: CharId,
    pub(super) length: u32,
    /// The characters and their marks; `None` if the characters are deleted.
    pub(super) content: Option<(String, Marks)>,
}

/// Joins runs in order.
pub(super) fn pieces<'a>(runs: impl Iterator<Item = &'a Run>) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    for run in runs {
        match pieces.last_mut() {
            Some(piece) if piece.continues_with(run) => piece.append(run),
            _ => pieces.push(Piece::new(run)),
        }
    }
    pieces
}

impl Piece {
    fn new(run: &Run) -> Self {
        let content = run.content.as_ref().map(|content| (content.text.to_string(), content.marks.clone()));
        Self { start: run.start(), length: run.length, content }
    }

    fn continues_with(&self, run: &Run) -> bool {
        let marks = self.content.as_ref().map(|(_, marks)| marks);
        self.start.id == run.id && self.start.offset + self.length == run.offset && marks == run.marks()
    }

    fn append(&mut self, run: &Run) {
        self.length += run.length;
        if let Some((text, _)) = &mut self.content {
            text.push_str(run.text());
        }
    }
}
