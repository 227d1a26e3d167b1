//! Which file uses which.

use std::collections::{BTreeMap, BTreeSet};

/// The files of one crate and their arrows: an arrow leads from a file to one that it uses.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    arrows: BTreeMap<String, BTreeSet<String>>,
}

impl Graph {
    /// Adds an arrow. One from a file to itself says nothing, and is left out.
    pub fn add(&mut self, from: &str, to: &str) {
        if from != to {
            self.arrows.entry(from.to_owned()).or_default().insert(to.to_owned());
        }
    }

    /// Returns the files that are part of a circle, each with the files of the same circle that it uses.
    #[must_use]
    pub fn circles(&self) -> BTreeMap<&str, Vec<&str>> {
        let mut circles: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (from, uses) in &self.arrows {
            for to in uses.iter().filter(|to| self.reachable(to).contains(from.as_str())) {
                circles.entry(from).or_default().push(to);
            }
        }
        circles
    }

    fn reachable<'a>(&'a self, from: &'a str) -> BTreeSet<&'a str> {
        let mut reached = BTreeSet::new();
        let mut waiting = vec![from];
        while let Some(file) = waiting.pop() {
            if reached.insert(file) {
                waiting.extend(self.arrows.get(file).into_iter().flatten().map(String::as_str));
            }
        }
        reached
    }
}

#[cfg(test)]
mod tests {
    use super::Graph;

    #[test]
    fn files_of_a_circle_are_found_and_no_others() {
        let mut graph = Graph::default();
        for (from, to) in [("a", "b"), ("b", "c"), ("c", "a"), ("c", "d"), ("e", "a"), ("d", "d")] {
            graph.add(from, to);
        }
        let expected = [("a", vec!["b"]), ("b", vec!["c"]), ("c", vec!["a"])];
        assert_eq!(graph.circles(), expected.into_iter().collect());
    }
}
