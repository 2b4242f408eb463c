//! What has changed since an earlier run: ratios, as those do not depend on how busy the machine was.

use std::fmt::Write;

use crate::results::Results;

/// A change that is worth a line: places in memory alone may make as much of a difference.
const CHANGE: f64 = 1.05;

/// Ratios to the best of the others that have changed beyond both spreads.
pub fn changes(before: &Results, now: &Results) -> String {
    let mut text = String::new();
    let mut compared = 0;
    for measured in &now.workloads {
        let earlier = before.find(&measured.name, measured.allocator);
        // With the same one in both runs, or the ratio says more of them than of us.
        let ratios = measured.ratio(None).and_then(|(best, now)| {
            let (_, before) = earlier?.ratio(Some(&best.name))?;
            Some((&best.name, before, now))
        });
        let Some((best, before, now)) = ratios else { continue };
        compared += 1;
        let change = f64::max(now.median / before.median, before.median / now.median);
        if !before.is_apart_from(now) || change < CHANGE {
            continue;
        }
        let word = if now.median < before.median { "better" } else { "worse" };
        // Writing into a `String` cannot fail.
        let _ = writeln!(
            text,
            "{word}: {} ({}), of {best}: {:.2} [{:.2}, {:.2}], was {:.2} [{:.2}, {:.2}]",
            measured.name,
            measured.allocator.name(),
            now.median,
            now.low,
            now.high,
            before.median,
            before.low,
            before.high,
        );
    }
    if text.is_empty() {
        text.push_str("nothing has changed beyond its spread\n");
    }
    let _ = writeln!(text, "{compared} workloads compared");
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::allocator::Allocator;
    use crate::figure::Figure;
    use crate::results::{Measured, Participant};
    use crate::workload::OURS;

    fn results(ours: &[f64]) -> Results {
        let participant = |name: &str, rounds: &[f64]| Participant {
            name: name.to_owned(),
            aside: None,
            figures: BTreeMap::from([(Figure::Wall, rounds.to_vec())]),
        };
        let measured = Measured {
            name: "pair".to_owned(),
            allocator: Allocator::System,
            primary: Figure::Wall,
            participants: vec![participant(OURS, ours), participant("other", &[10.0; 3])],
        };
        Results { machine: String::new(), rounds: 3, workloads: vec![measured] }
    }

    #[test]
    fn only_changes_beyond_the_spread_are_told() {
        let before = results(&[10.0, 11.0, 12.0]);
        let noise = changes(&before, &results(&[11.0, 12.0, 13.0]));
        assert_eq!(noise, "nothing has changed beyond its spread\n1 workloads compared\n");
        let better = changes(&before, &results(&[5.0, 5.0, 6.0]));
        assert!(better.starts_with("better: pair (system), of other: 0.50"), "{better}");
        let worse = changes(&before, &results(&[20.0, 20.0, 20.0]));
        assert!(worse.starts_with("worse: pair (system), of other: 2.00"), "{worse}");
    }
}
