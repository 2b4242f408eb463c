//! Medians and spreads.

/// The middle of several values, and where the middle half of them lies.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Summary {
    /// As many are less as are more.
    pub median: f64,
    /// A quarter is less.
    pub low: f64,
    /// A quarter is more.
    pub high: f64,
}

impl Summary {
    /// Of no values at all there is none.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut sorted: Vec<f64> = values.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        Some(Self {
            median: quantile(&sorted, 0.5)?,
            low: quantile(&sorted, 0.25)?,
            high: quantile(&sorted, 0.75)?,
        })
    }

    /// Whether two middle halves have nothing in common.
    pub fn is_apart_from(self, other: Self) -> bool {
        self.low > other.high || other.low > self.high
    }
}

/// The value below which so great a `part` of sorted values lies, between two of them if need be.
pub fn quantile(sorted: &[f64], part: f64) -> Option<f64> {
    let place = part * sorted.len().checked_sub(1)? as f64;
    let (below, above) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    Some(below + (above - below) * place.fract())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_lie_where_they_should() {
        assert_eq!(quantile(&[], 0.5), None);
        assert_eq!(quantile(&[7.0], 0.99), Some(7.0));
        assert_eq!(quantile(&[1.0, 2.0, 4.0, 8.0], 0.5), Some(3.0));
        assert_eq!(quantile(&[1.0, 2.0, 4.0, 8.0], 1.0), Some(8.0));
        let summary = Summary::of([5.0, 1.0, 4.0, 2.0, 3.0]);
        assert_eq!(summary, Some(Summary { median: 3.0, low: 2.0, high: 4.0 }));
    }

    #[test]
    fn halves_are_apart_only_without_a_common_value() {
        let [a, b, c] = [[1.0, 2.0, 3.0], [2.0, 3.0, 4.0], [5.0, 6.0, 7.0]]
            .map(|values| Summary::of(values).expect("there are values"));
        assert!(!a.is_apart_from(b) && !b.is_apart_from(a));
        assert!(a.is_apart_from(c) && c.is_apart_from(a));
    }
}
