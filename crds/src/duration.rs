//! Durations as the Gateway API writes them (GEP-2257): `250ms`, `10s`, `1h30m`.

use std::{borrow::Cow, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use weft_engine::documents::Millis;

/// The form of a duration (GEP-2257): up to four number–unit pairs.
pub const PATTERN: &str = "^([0-9]{1,5}(h|m|s|ms)){1,4}$";

/// A duration as it was written. Kept as text so that what a user reads back is what they wrote.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Duration(pub String);

impl Duration {
    /// In milliseconds; `None` when the text is no GEP-2257 duration.
    pub fn millis(&self) -> Option<Millis> {
        let mut rest = self.0.as_str();
        let mut total: Millis = 0;
        let mut pairs = 0;
        while !rest.is_empty() {
            let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            let (number, tail) = rest.split_at(digits);
            if !(1..=5).contains(&digits) || pairs == 4 {
                return None;
            }
            // `ms` before `m`: the longer unit is the one that was meant.
            let (unit, tail) = [("ms", 1), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)]
                .into_iter()
                .find_map(|(unit, millis)| Some((millis, tail.strip_prefix(unit)?)))?;
            total += number.parse::<Millis>().ok()? * unit;
            pairs += 1;
            rest = tail;
        }
        (pairs > 0).then_some(total)
    }
}

impl From<&str> for Duration {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl JsonSchema for Duration {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": PATTERN, "maxLength": 32 })
    }
}
