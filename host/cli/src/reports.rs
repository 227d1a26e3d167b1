//! The operator's log: one line for each report, whatever its text, and a limited number of each kind.
//!
//! ```text
//!  warn!(..) ──▶ Reports ── at most REPORTS_MAX of a kind in REPORTS_WINDOW ──▶ standard error
//!                   │ the rest is counted
//!                   └────── tell_left_out, every REPORTS_WINDOW ──────────────▶
//! ```
//!
//! A kind is a place in the code. Text from machines, clients and requests is escaped here, since every report passes through here.

use std::collections::HashMap;
use std::fmt::{self, Debug};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracing::callsite::Identifier;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber, warn};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::MakeExt;
use tracing_subscriber::fmt::format::{Format, Writer, debug_fn};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::registry::LookupSpan;

use reapply_host::foreign;

/// The number of reports of one kind that are written within [`REPORTS_WINDOW`].
const REPORTS_MAX: u32 = 20;

/// The time over which reports are counted, and after which the number left out is written.
pub(super) const REPORTS_WINDOW: Duration = Duration::from_secs(10);

/// The maximum number of characters in one field of a report.
const FIELD_CHARS_MAX: usize = 4_000;

/// The counters that decide which reports are written. Debugging output is not limited, since it is only written on request.
#[derive(Clone, Debug, Default)]
pub(super) struct Reports(Arc<Mutex<HashMap<Identifier, Kind>>>);

#[derive(Debug)]
struct Kind {
    /// The message of the first report that was left out.
    message: String,
    since: Instant,
    told: u32,
    left_out: u64,
}

impl Reports {
    /// Returns a subscriber that writes these reports to `writer`, filtered, in colours or without.
    pub(super) fn subscriber<W>(&self, filter: EnvFilter, colours: bool, writer: W) -> impl Subscriber + Send + Sync
    where
        W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
    {
        let fields = debug_fn(|writer: &mut Writer<'_>, field: &Field, value: &dyn Debug| {
            let value = format!("{value:?}");
            let (end, _) = value.char_indices().nth(FIELD_CHARS_MAX).unwrap_or((value.len(), ' '));
            let cut = if end < value.len() { ".." } else { "" };
            let text = foreign::one_line(&value[..end]);
            match field.name() {
                "message" => write!(writer, "{text}{cut}"),
                name => write!(writer, "{name}={text}{cut}"),
            }
        });
        tracing_subscriber::fmt()
            // A report that cannot be written is lost. Otherwise the thread that made it would panic.
            .log_internal_errors(false)
            .with_env_filter(filter)
            .with_ansi(colours)
            // A report of an error while writing to a full standard error would panic.
            .log_internal_errors(false)
            .fmt_fields(fields.delimited(" "))
            .event_format(Limited { reports: self.clone(), format: Format::default() })
            .with_writer(writer)
            .finish()
    }

    /// Writes the number of reports of each kind that were left out since the last call.
    pub(super) fn tell_left_out(&self) {
        let kinds: Vec<(String, u64)> = {
            let mut kinds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let left_out = kinds.values_mut().filter(|kind| kind.left_out > 0);
            left_out.map(|kind| (kind.message.clone(), std::mem::take(&mut kind.left_out))).collect()
        };
        for (kind, count) in kinds {
            warn!(count, kind, "more reports of one kind came than are told");
        }
    }

    /// Returns whether a report is written. Otherwise it is counted.
    fn admits(&self, event: &Event<'_>) -> bool {
        if *event.metadata().level() > Level::INFO {
            return true;
        }
        let now = Instant::now();
        let mut kinds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let kind = kinds.entry(event.metadata().callsite()).or_insert_with(|| Kind {
            message: String::new(),
            since: now,
            told: 0,
            left_out: 0,
        });
        if now.duration_since(kind.since) >= REPORTS_WINDOW {
            (kind.since, kind.told) = (now, 0);
        }
        if kind.told < REPORTS_MAX {
            kind.told += 1;
            return true;
        }
        if kind.left_out == 0 {
            kind.message.clear();
            event.record(&mut Message(&mut kind.message));
        }
        kind.left_out += 1;
        false
    }
}

/// The usual format, for the reports that are written.
struct Limited {
    reports: Reports,
    format: Format,
}

impl<S, N> FormatEvent<S, N> for Limited
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        if self.reports.admits(event) { self.format.format_event(context, writer, event) } else { Ok(()) }
    }
}

/// A visitor that records the message of an event.
struct Message<'a>(&'a mut String);

impl Visit for Message<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            let message = format!("{value:?}");
            self.0.extend(message.chars().take(FIELD_CHARS_MAX));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use tracing::{debug, error};

    use super::*;

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl Log {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(colours: bool, reporting: impl FnOnce(&Reports)) -> String {
        let (reports, log) = (Reports::default(), Log::default());
        let writer = log.clone();
        let subscriber = reports.subscriber(EnvFilter::new("trace"), colours, move || writer.clone());
        tracing::subscriber::with_default(subscriber, || reporting(&reports));
        log.text()
    }

    #[test]
    fn foreign_text_stays_in_its_line() {
        let text = "it\n2026-01-01T00:00:00Z ERROR forged\r\u{1b}[2J\u{9b}0m\u{202e}";
        for colours in [false, true] {
            let log = logged(colours, |_| {
                warn!(%text, room = text, other = ?Some(text), "{text}");
                error!("{}", text);
            });
            assert_eq!(log.lines().count(), 2, "{log}");
            assert!(log.matches("\\n2026").count() == 5, "{log}");
            for unfit in ["\r", "\u{1b}[2J", "\u{9b}", "\u{202e}"] {
                assert!(!log.contains(unfit), "{unfit:?}: {log:?}");
            }
        }
    }

    #[test]
    fn a_long_field_is_cut() {
        let log = logged(false, |_| warn!(text = %"é".repeat(1_000_000), "long"));
        assert!(log.len() < 3 * FIELD_CHARS_MAX && log.trim_end().ends_with(".."), "{}", log.len());
    }

    #[test]
    fn a_flood_of_one_kind_is_counted_and_hides_no_other() {
        let log = logged(false, |reports| {
            for number in 0..1_000 {
                warn!(number, "a flood");
                debug!("all of it");
            }
            error!("something else");
            reports.tell_left_out();
            reports.tell_left_out();
        });
        assert_eq!(log.matches(" a flood").count(), REPORTS_MAX as usize, "{log}");
        assert_eq!(log.matches("all of it").count(), 1_000);
        assert_eq!(log.matches("something else").count(), 1);
        let told: Vec<&str> = log.lines().filter(|line| line.contains("more reports of one kind")).collect();
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].contains("count=980") && told[0].contains("a flood"), "{told:?}");
    }
}
