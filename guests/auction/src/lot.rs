//! The lot for sale, and its terms.

use reapply_guest::Micros;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The longest name of an item, in characters.
pub const ITEM_CHARS_MAX: u32 = 60;

/// The highest price of anything.
pub const AMOUNT_MAX: u32 = 1_000_000_000;

/// The longest time that a lot is open without a bid in its last moments: a day.
pub const SECONDS_MAX: u32 = 24 * 60 * 60;

/// A lot. Fields that are left out have their defaults.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Lot {
    /// The item.
    #[schemars(length(min = 1, max = ITEM_CHARS_MAX))]
    pub item: String,
    /// The lowest first bid: below this the seller keeps the item.
    #[schemars(range(min = 1, max = AMOUNT_MAX))]
    pub reserve: u32,
    /// The minimum amount by which a bid must exceed the price.
    #[schemars(range(min = 1, max = AMOUNT_MAX))]
    pub step: u32,
    /// The time for which the lot is open.
    #[schemars(range(min = 1, max = SECONDS_MAX))]
    pub seconds: u32,
}

impl Lot {
    /// Checks the lot.
    ///
    /// # Errors
    ///
    /// The lot is not valid. The text names the field and its limits.
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

    /// Returns the time for which the lot is open.
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
