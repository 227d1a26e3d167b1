//! What is for sale, and on which terms.

use reapply_guest::Micros;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The longest name of an item, in characters.
pub const ITEM_CHARS_MAX: u32 = 60;

/// The most that anything costs.
pub const AMOUNT_MAX: u32 = 1_000_000_000;

/// The longest that a lot is open without a bid in its last moments: a day.
pub const SECONDS_MAX: u32 = 24 * 60 * 60;

/// A lot. What is left out has its default.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Lot {
    /// What it is.
    #[schemars(length(min = 1, max = ITEM_CHARS_MAX))]
    pub item: String,
    /// The least first bid: below this the seller keeps it.
    #[schemars(range(min = 1, max = AMOUNT_MAX))]
    pub reserve: u32,
    /// By how much a bid must be above the price.
    #[schemars(range(min = 1, max = AMOUNT_MAX))]
    pub step: u32,
    /// How long it is open.
    #[schemars(range(min = 1, max = SECONDS_MAX))]
    pub seconds: u32,
}

impl Lot {
    /// What is wrong with it, if anything is.
    ///
    /// # Errors
    ///
    /// The text names the field and its limits.
    pub fn check(&self) -> Result<(), String> {
        let chars = self.item.chars().count();
        if self.item.trim().is_empty() || chars > ITEM_CHARS_MAX as usize {
            return Err(format!(
                "the item's name has {chars} characters; give it 1 to {ITEM_CHARS_MAX}, not only spaces"
            ));
        }
        let limits = [
            ("reserve", self.reserve, AMOUNT_MAX),
            ("step", self.step, AMOUNT_MAX),
            ("time in seconds", self.seconds, SECONDS_MAX),
        ];
        match limits.into_iter().find(|(_, value, max)| !(1..=*max).contains(value)) {
            Some((name, value, max)) => Err(format!("the {name} is {value}; it must be from 1 to {max}")),
            None => Ok(()),
        }
    }

    /// How long it is open.
    #[must_use]
    pub fn open_for(&self) -> Micros {
        Micros::from_secs(self.seconds.into())
    }
}

impl Default for Lot {
    fn default() -> Self {
        Self { item: "A teapot".to_owned(), reserve: 10, step: 2, seconds: 60 }
    }
}
