//! The query of a log request: the events to return, the form, and whether to follow.

use reapply_sync::{Author, Event, Input, Seq, Timestamp};

use crate::clock::parse_rfc3339;

/// The error of a query, which says how to write it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct QueryError(String);

/// A query. [`Query::parse`] documents its form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Query {
    /// The event before the first one; by default the log's beginning.
    pub(super) after: Option<Seq>,
    /// The maximum number of events.
    pub(super) limit: Option<u64>,
    /// The filter of events.
    pub(super) filter: Filter,
    /// The form of the answer.
    pub(super) format: Format,
    /// Whether to continue with new events.
    pub(super) follow: bool,
}

/// A filter of events: an event must satisfy all parts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Filter {
    /// One of these authors; any author if the list is empty.
    authors: Vec<Author>,
    /// At or after this time.
    from: Option<Timestamp>,
    /// Before this time.
    to: Option<Timestamp>,
    /// One of these kinds; any kind if the list is empty.
    kinds: Vec<Kind>,
}

/// The form of the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Format {
    /// A JSON object on each line.
    #[default]
    JsonLines,
    /// Comma-separated values, with a header.
    Csv,
}

/// A kind of event: the `kind` of an event, perhaps with the variant of its transition.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Kind {
    name: &'static str,
    variant: Option<String>,
}

/// The maximum number of authors that one query names.
const AUTHORS_MAX: usize = 100;

/// The names of all kinds.
const KINDS: [&str; 7] = ["transition", "alarm", "joined", "left", "upgraded", "checkpoint", "forked"];

impl Query {
    /// Parses a query such as `author=ann&kind=alarm&kind=transition:Increment&from=2026-11-23T09:00:00Z&format=csv`. `author` and `kind`
    /// may be repeated; then an event must match one of them.
    ///
    /// # Errors
    ///
    /// A part is unknown or malformed; the error says how to write it. An unknown parameter is an error too: otherwise a misspelt filter
    /// would return the whole log.
    pub(super) fn parse(parameters: &[(String, String)]) -> Result<Self, QueryError> {
        let mut query = Self::default();
        for (name, value) in parameters {
            match name.as_str() {
                "after" => query.after = Some(Seq(number(name, value)?)),
                "limit" => query.limit = Some(number(name, value)?),
                "author" => query.filter.push_author(value)?,
                "from" => query.filter.from = Some(time(name, value)?),
                "to" => query.filter.to = Some(time(name, value)?),
                "kind" => query.filter.kinds.push(Kind::parse(value)?),
                "format" => query.format = Format::parse(value)?,
                "follow" => query.follow = flag(name, value)?,
                _ => {
                    let known = "after, limit, author, from, to, kind, format and follow";
                    return Err(QueryError(format!("a log knows no `{name}`, only {known}")));
                }
            }
        }
        Ok(query)
    }
}

impl Filter {
    /// Adds an author, if the filter does not have it yet.
    fn push_author(&mut self, name: &str) -> Result<(), QueryError> {
        if self.authors.iter().any(|author| &*author.0 == name) {
            return Ok(());
        }
        if self.authors.len() == AUTHORS_MAX {
            return Err(QueryError(format!(
                "a request names {AUTHORS_MAX} authors at most: search for the others in another one"
            )));
        }
        self.authors.push(Author(name.into()));
        Ok(())
    }

    /// Returns the authors of whom one must have caused an event; none if any author matches.
    #[must_use]
    pub(super) fn authors(&self) -> &[Author] {
        &self.authors
    }

    /// Returns whether the event may match, as far as is known before its transition is decoded.
    #[must_use]
    pub(super) fn admits(&self, event: &Event) -> bool {
        let by_author = || event.input.author().is_some_and(|author| self.authors.contains(author));
        let name = kind_name(&event.input);
        let in_time = self.from.is_none_or(|from| from <= event.time) && !self.is_over(event.time);
        in_time
            && (self.authors.is_empty() || by_author())
            && (self.kinds.is_empty() || self.kinds.iter().any(|kind| kind.name == name))
    }

    /// Returns whether an admitted event matches, with its transition's variant known.
    #[must_use]
    pub(super) fn admits_variant(&self, input: &Input, variant: Option<&str>) -> bool {
        let name = kind_name(input);
        let is_wanted =
            |kind: &Kind| kind.name == name && (kind.variant.is_none() || kind.variant.as_deref() == variant);
        self.kinds.is_empty() || self.kinds.iter().any(is_wanted)
    }

    /// Returns the last time before the wanted events, if the query has one.
    #[must_use]
    pub(super) fn begins_after(&self) -> Option<Timestamp> {
        self.from.map(|from| Timestamp(from.0.saturating_sub(1)))
    }

    /// Returns whether no event at or after this time can match.
    #[must_use]
    pub(super) fn is_over(&self, time: Timestamp) -> bool {
        self.to.is_some_and(|to| to <= time)
    }
}

impl Format {
    /// Parses `jsonl` or `csv`.
    ///
    /// # Errors
    ///
    /// The text is neither.
    pub(super) fn parse(text: &str) -> Result<Self, QueryError> {
        match text {
            "jsonl" => Ok(Self::JsonLines),
            "csv" => Ok(Self::Csv),
            _ => Err(QueryError(format!("{text:?} is not a format: use jsonl or csv"))),
        }
    }

    /// Returns the media type of the form.
    #[must_use]
    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::JsonLines => "application/x-ndjson",
            Self::Csv => "text/csv; charset=utf-8",
        }
    }
}

impl Kind {
    fn parse(text: &str) -> Result<Self, QueryError> {
        let (name, variant) = text.split_once(':').map_or((text, None), |(name, variant)| (name, Some(variant)));
        let Some(name) = KINDS.into_iter().find(|kind| *kind == name) else {
            let kinds = KINDS.join(", ");
            let what = format!(
                "{text:?} is not a kind of event: use one of {kinds}, or a transition's name as in transition:Increment"
            );
            return Err(QueryError(what));
        };
        if variant.is_some_and(str::is_empty) || (variant.is_some() && !["transition", "alarm"].contains(&name)) {
            let what = format!(
                "{text:?} is not a kind of event: only a transition or an alarm has a name, as in transition:Increment"
            );
            return Err(QueryError(what));
        }
        Ok(Self { name, variant: variant.map(str::to_owned) })
    }
}

/// Returns the `kind` of an event.
pub(super) fn kind_name(input: &Input) -> &'static str {
    match input {
        Input::Transition { .. } => "transition",
        Input::Alarm(_) => "alarm",
        Input::Joined(_) => "joined",
        Input::Left(_) => "left",
        Input::Upgraded(_) => "upgraded",
        Input::Checkpoint { .. } => "checkpoint",
        Input::Forked { .. } => "forked",
    }
}

fn number(name: &str, value: &str) -> Result<u64, QueryError> {
    value.parse().map_err(|_| QueryError(format!("{name}: {value:?} is not a whole number")))
}

fn flag(name: &str, value: &str) -> Result<bool, QueryError> {
    value.parse().map_err(|_| QueryError(format!("{name}: use true or false, not {value:?}")))
}

/// Parses a time in RFC 3339, or only its date.
fn time(name: &str, value: &str) -> Result<Timestamp, QueryError> {
    parse_rfc3339(value).ok_or_else(|| {
        let what = "is not a time: write it in UTC, as in 2026-11-23T09:00:00Z or 2026-11-23";
        QueryError(format!("{name}: {value:?} {what}"))
    })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use reapply_sync::{ClientId, Number};

    use super::*;

    fn parse(query: &[(&str, &str)]) -> Result<Query, String> {
        let parameters: Vec<_> = query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Query::parse(&parameters).map_err(|error| error.to_string())
    }

    fn event(author: &str, time: u64) -> Event {
        let input = Input::Transition {
            author: Author(author.into()),
            client: ClientId([0; 16]),
            number: Number(1),
            transition: Bytes::new(),
        };
        Event { seq: Seq(1), time: Timestamp(time), entropy: 0, input }
    }

    #[test]
    fn times_are_read_as_dates_and_to_the_microsecond() {
        for (text, micros) in [
            ("1970-01-02", 86_400_000_000),
            ("1970-01-01T00:00:01Z", 1_000_000),
            ("1970-01-01 00:00:01", 1_000_000),
            ("1970-01-01T00:00:00.000001Z", 1),
        ] {
            assert_eq!(parse(&[("from", text)]).unwrap().filter.from, Some(Timestamp(micros)), "{text}");
        }
        for text in
            ["", "yesterday", "2026-13-01", "1969-12-31", "2026-11-23T09:00", "2026-11-23T09:00:00+02:00", "２０２６"]
        {
            let error = parse(&[("to", text)]).unwrap_err();
            assert!(error.starts_with("to: ") && error.contains("2026-11-23T09:00:00Z"), "{text}: {error}");
        }
    }

    #[test]
    fn a_query_names_so_many_authors_at_most() {
        let names: Vec<_> = (0..=AUTHORS_MAX).map(|index| format!("author {index}")).collect();
        let query: Vec<_> = names.iter().map(|name| ("author", name.as_str())).collect();
        let twice = [&query[1..], &query[1..]].concat();
        assert_eq!(parse(&twice).unwrap().filter.authors.len(), AUTHORS_MAX);
        assert!(parse(&query).unwrap_err().contains("100 authors at most"));
    }

    #[test]
    fn what_is_misspelled_is_named() {
        for (name, value, says) in [
            ("kinds", "alarm", "`kinds`"),
            ("kind", "alarms", "\"alarms\" is not a kind"),
            ("kind", "Increment", "transition:Increment"),
            ("kind", "joined:Increment", "only a transition or an alarm"),
            ("kind", "transition:", "only a transition or an alarm"),
            ("format", "xml", "jsonl or csv"),
            ("follow", "yes", "true or false"),
            ("limit", "-1", "not a whole number"),
        ] {
            let error = parse(&[(name, value)]).unwrap_err();
            assert!(error.contains(says), "{name}={value}: {error}");
        }
    }

    #[test]
    fn a_filter_admits_what_satisfies_all_of_it() {
        let query =
            [("author", "ann"), ("author", "bob"), ("from", "1970-01-01T00:00:01Z"), ("to", "1970-01-01T00:00:02Z")];
        let filter = parse(&query).unwrap().filter;
        assert!(filter.admits(&event("ann", 1_000_000)));
        assert!(filter.admits(&event("bob", 1_999_999)));
        assert!(!filter.admits(&event("cleo", 1_500_000)));
        assert!(!filter.admits(&event("ann", 999_999)));
        assert!(!filter.admits(&event("ann", 2_000_000)));
        let alarm = Event { input: Input::Alarm(Bytes::new()), ..event("", 1_500_000) };
        assert!(!filter.admits(&alarm), "an alarm is nobody's");
    }

    #[test]
    fn kinds_may_ask_for_a_variant() {
        let filter = parse(&[("kind", "alarm"), ("kind", "transition:Add")]).unwrap().filter;
        let (add, alarm) = (event("ann", 0), Event { input: Input::Alarm(Bytes::new()), ..event("", 0) });
        assert!(filter.admits(&add) && filter.admits(&alarm));
        assert!(filter.admits_variant(&add.input, Some("Add")));
        assert!(!filter.admits_variant(&add.input, Some("Remove")));
        assert!(!filter.admits_variant(&add.input, None));
        assert!(filter.admits_variant(&alarm.input, Some("Ring")));
        let left = Event { input: Input::Left(Author("ann".into())), ..event("", 0) };
        assert!(!filter.admits(&left));
    }
}
