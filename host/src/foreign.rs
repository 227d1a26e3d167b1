//! Foreign text, made safe for a line of a terminal or a log.

use std::borrow::Cow;
use std::fmt::{self, Write};

/// Escapes control characters, line separators and changes of direction, so that the text is one line, in order, without terminal commands.
#[must_use]
pub fn one_line(text: &str) -> Cow<'_, str> {
    escaped(text, is_unfit, |char, to| write!(to, "{}", char.escape_default()))
}

/// Escapes text of several lines, like [`one_line`], but keeps line breaks and tabs.
#[must_use]
pub fn lines(text: &str) -> Cow<'_, str> {
    escaped(
        text,
        |char| is_unfit(char) && !matches!(char, '\n' | '\t'),
        |char, to| write!(to, "{}", char.escape_default()),
    )
}

/// Escapes JSON as JSON does, so that it keeps its meaning. Line breaks and tabs stay. The text may hold several values, or rows of CSV with JSON in them.
#[must_use]
pub fn json(text: &str) -> Cow<'_, str> {
    escaped(
        text,
        |char| is_unfit(char) && !matches!(char, '\n' | '\t'),
        |char, to| match char {
            // In JSON it stands between tokens only.
            '\r' => to.write_char(' '),
            _ => write!(to, "\\u{:04x}", u32::from(char)),
        },
    )
}

fn escaped(
    text: &str,
    is_unfit: impl Fn(char) -> bool,
    escape: impl Fn(char, &mut String) -> fmt::Result,
) -> Cow<'_, str> {
    if !text.contains(&is_unfit) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for char in text.chars() {
        if is_unfit(char) {
            // Writing to a string cannot fail.
            let _ = escape(char, &mut escaped);
        } else {
            escaped.push(char);
        }
    }
    Cow::Owned(escaped)
}

fn is_unfit(char: char) -> bool {
    char.is_control()
        || matches!(char, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_keeps_its_meaning() {
        let value =
            serde_json::json!({ "\u{9b}31m": ["a\r\n\u{1b}\u{7f}", "\u{61c}\u{202e}evil", "Käse, 東京 \\ 😀"] });
        for text in [value.to_string(), serde_json::to_string_pretty(&value).unwrap().replace('\n', "\r\n")] {
            let escaped = json(&text);
            assert_eq!(serde_json::from_str::<serde_json::Value>(&escaped).unwrap(), value);
            assert_eq!(lines(&escaped), escaped);
            assert!(escaped.contains("\\u009b31m") && escaped.contains("\\u202eevil"), "{escaped}");
        }
        assert!(matches!(json("{\n\t\"é\": 1\n}\n"), Cow::Borrowed(_)));
    }

    #[test]
    fn what_commands_a_terminal_is_written_out() {
        assert_eq!(one_line("Käse, 東京 \\ 😀"), "Käse, 東京 \\ 😀");
        assert_eq!(one_line("a\r\nERROR \u{1b}[2J\t\u{9b}0m\u{7f}"), "a\\r\\nERROR \\u{1b}[2J\\t\\u{9b}0m\\u{7f}");
        assert_eq!(one_line("\u{202e}evil\u{2028}\u{2066}"), "\\u{202e}evil\\u{2028}\\u{2066}");
        assert_eq!(lines("a\n\tb\r\u{1b}"), "a\n\tb\\r\\u{1b}");
    }
}
