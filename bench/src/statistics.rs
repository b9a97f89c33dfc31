//! The middle of a few rounds, and how far they lie apart.

/// A figure of several rounds.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Summary {
    /// The middle one; the mean of the two middle ones of an even number.
    pub median: f64,
    /// The smallest.
    pub least: f64,
    /// The largest.
    pub most: f64,
}

impl Summary {
    /// Of at least one value; zeros of none.
    pub fn of(values: &[f64]) -> Self {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let at = |index: usize| sorted.get(index).copied().unwrap_or(0.0);
        let count = sorted.len();
        let median = if count.is_multiple_of(2) {
            f64::midpoint(at((count / 2).saturating_sub(1)), at(count / 2))
        } else {
            at(count / 2)
        };
        Self {
            median,
            least: at(0),
            most: at(count.saturating_sub(1)),
        }
    }

    /// Half of what lies between the smallest and the largest, as a share of the median.
    pub fn spread(&self) -> f64 {
        if self.median == 0.0 {
            0.0
        } else {
            (self.most - self.least) / 2.0 / self.median
        }
    }
}

#[cfg(test)]
mod tests;
