//! Markdown tables, and the medians that they hold.

use std::time::Duration;

/// A table that is printed row by row, so that a long run shows its progress.
pub(crate) struct Table {
    columns: usize,
}

impl Table {
    /// Begins a table.
    pub(crate) fn new(title: &str, headings: &[&str]) -> Self {
        println!("\n### {title}\n");
        println!("| {} |", headings.join(" | "));
        println!("|{}", " --- |".repeat(headings.len()));
        Self { columns: headings.len() }
    }

    /// Prints a row.
    pub(crate) fn row(&self, cells: &[String]) {
        debug_assert_eq!(cells.len(), self.columns);
        println!("| {} |", cells.join(" | "));
    }
}

/// Returns the median of each figure, each by itself over all runs.
pub(crate) fn medians<const N: usize>(runs: &[[f64; N]]) -> [f64; N] {
    std::array::from_fn(|figure| {
        let mut values: Vec<f64> = runs.iter().map(|run| run[figure]).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or_default()
    })
}

/// Formats milliseconds, with the significant digits.
pub(crate) fn ms(value: f64) -> String {
    match value {
        10.0.. => format!("{value:.1} ms"),
        _ => format!("{value:.2} ms"),
    }
}

/// Formats a count, with thin spaces between thousands.
pub(crate) fn count(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) && digit.is_ascii_digit() {
            grouped.push(' ');
        }
        grouped.push(digit);
    }
    grouped
}

/// Formats a share of one processor, in percent.
pub(crate) fn percent_of_one(cpu: Duration, elapsed: Duration) -> f64 {
    100.0 * cpu.as_secs_f64() / elapsed.as_secs_f64().max(1e-9)
}

/// Formats a size.
pub(crate) fn size(bytes: f64) -> String {
    match bytes {
        1_048_576.0.. => format!("{:.1} MiB", bytes / 1_048_576.0),
        1_024.0.. => format!("{:.1} KiB", bytes / 1_024.0),
        _ => format!("{bytes:.0} B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_are_taken_of_each_figure_by_itself() {
        assert_eq!(medians(&[[1.0, 9.0], [2.0, 7.0], [3.0, 8.0]]), [2.0, 8.0]);
        assert_eq!(medians::<1>(&[]), [0.0]);
    }

    #[test]
    fn counts_are_grouped() {
        assert_eq!(count(999.0), "999");
        assert_eq!(count(1_234_567.0), "1 234 567");
    }
}
