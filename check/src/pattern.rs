//! Texts that match a pattern.

use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Class, Hir, HirKind};

use crate::random::Random;

/// The maximum number of repetitions where a pattern sets none.
const REPEATED_MAX: u32 = 6;

/// Returns a random text that matches `pattern`, if the pattern can be read and describes the whole text.
pub(crate) fn matching(pattern: &str, random: &mut Random) -> Option<String> {
    // In JSON Schema `\d` means ten digits, and not those of every script.
    let hir = ParserBuilder::new().unicode(false).utf8(false).build().parse(pattern).ok()?;
    let mut bytes = Vec::new();
    write(&hir, random, &mut bytes);
    String::from_utf8(bytes).ok()
}

fn write(hir: &Hir, random: &mut Random, bytes: &mut Vec<u8>) {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => {}
        HirKind::Literal(literal) => bytes.extend_from_slice(&literal.0),
        HirKind::Class(class) => bytes.extend(one_of(class, random)),
        HirKind::Repetition(repetition) => {
            let most = repetition.max.unwrap_or(repetition.min.saturating_add(REPEATED_MAX));
            // A pattern may ask for a million repetitions; such a long value is useless here.
            let most = most.min(repetition.min.max(REPEATED_MAX));
            for _ in 0..random.between(repetition.min.into(), most.into()) {
                write(&repetition.sub, random, bytes);
            }
        }
        HirKind::Capture(capture) => write(&capture.sub, random, bytes),
        HirKind::Concat(parts) => parts.iter().for_each(|part| write(part, random, bytes)),
        HirKind::Alternation(branches) => {
            if let Some(branch) = random.pick(branches) {
                write(branch, random, bytes);
            }
        }
    }
}

/// Returns a printable byte of the class, if it has one.
fn one_of(class: &Class, random: &mut Random) -> Option<u8> {
    let Class::Bytes(class) = class else { return None };
    let bytes: Vec<u8> = class.ranges().iter().flat_map(|range| range.start()..=range.end()).collect();
    let printable: Vec<u8> = bytes.iter().copied().filter(|byte| byte.is_ascii_graphic() || *byte == b' ').collect();
    random.pick(&printable).or(bytes.first()).copied()
}

#[cfg(test)]
mod tests {
    use regex_lite::Regex;

    use super::*;

    #[test]
    fn texts_match_their_pattern() {
        let patterns = [r"^-?\d+$", "^#[0-9a-f]{6}$", r"^(Mon|Tues)day [^a-z]{2,3}\.?$", "^$", "^.+@.+$", "^é$"];
        for pattern in patterns {
            let regex = Regex::new(pattern).unwrap();
            for seed in 0..50 {
                let text = matching(pattern, &mut Random::new(seed, 0)).unwrap();
                assert!(regex.is_match(&text), "seed {seed}: {text:?} does not match {pattern}");
            }
        }
        assert_eq!(matching("(?=a)", &mut Random::new(0, 0)), None);
    }
}
