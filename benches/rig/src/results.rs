//! What was measured, as it is kept.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::allocator::Allocator;
use crate::figure::Figure;
use crate::statistics::Summary;
use crate::workload::{FLOOR, FLOOR_IN_TURNS, OURS};

/// One run of the rig.
#[derive(Serialize, Deserialize)]
pub struct Results {
    /// What it ran on.
    pub machine: String,
    /// Rounds of each workload.
    pub rounds: usize,
    /// Workload by workload.
    pub workloads: Vec<Measured>,
}

/// A workload.
#[derive(Serialize, Deserialize)]
pub struct Measured {
    /// Its name.
    pub name: String,
    /// Under which allocator.
    pub allocator: Allocator,
    /// The figure that decides.
    pub primary: Figure,
    /// Who took part.
    pub participants: Vec<Participant>,
}

/// One who took part.
#[derive(Serialize, Deserialize)]
pub struct Participant {
    /// Its name.
    pub name: String,
    /// Why it is not compared with, if it is not.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub aside: Option<String>,
    /// For each figure its value in every round.
    pub figures: BTreeMap<Figure, Vec<f64>>,
}

impl Participant {
    /// A figure's median and spread, if it was taken.
    pub fn summary(&self, figure: Figure) -> Option<Summary> {
        Summary::of(self.figures.get(&figure)?.iter().copied())
    }
}

impl Measured {
    /// This crate.
    pub fn ours(&self) -> Option<&Participant> {
        self.named(OURS)
    }

    /// One who took part.
    pub fn named(&self, name: &str) -> Option<&Participant> {
        self.participants.iter().find(|participant| participant.name == name)
    }

    /// The best of the others that count.
    pub fn best(&self) -> Option<&Participant> {
        let others = self.participants.iter().filter(|one| one.name != OURS && one.aside.is_none());
        let medians = others.filter_map(|one| Some((one, one.summary(self.primary)?.median)));
        medians.min_by(|(_, one), (_, other)| one.total_cmp(other)).map(|(one, _)| one)
    }

    /// What this crate takes, as a share of what `other` takes, round by round.
    pub fn ratio_to(&self, other: &Participant) -> Option<Summary> {
        self.ratio_between(self.ours()?, other)
    }

    /// The same of what promises nothing, done in the way that takes less.
    pub fn floor_to(&self, other: &Participant) -> Option<Summary> {
        let floors = [FLOOR, FLOOR_IN_TURNS].into_iter().filter_map(|name| self.named(name));
        let ratios = floors.filter_map(|floor| self.ratio_between(floor, other));
        ratios.min_by(|one, other| one.median.total_cmp(&other.median))
    }

    fn ratio_between(&self, one: &Participant, other: &Participant) -> Option<Summary> {
        let [one, other] = [one, other].map(|participant| participant.figures.get(&self.primary));
        Summary::of(one?.iter().zip(other?).map(|(one, other)| one / other))
    }

    /// The participant of this name, or the best; and the ratio to it.
    pub fn ratio(&self, to: Option<&str>) -> Option<(&Participant, Summary)> {
        let other = to.map_or_else(|| self.best(), |name| self.named(name))?;
        Some((other, self.ratio_to(other)?))
    }
}

impl Results {
    /// A workload that was measured.
    pub fn find(&self, name: &str, allocator: Allocator) -> Option<&Measured> {
        self.workloads.iter().find(|one| one.name == name && one.allocator == allocator)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn participant(name: &str, rounds: &[f64]) -> Participant {
        let figures = BTreeMap::from([(Figure::Wall, rounds.to_vec())]);
        Participant { name: name.to_owned(), aside: None, figures }
    }

    #[test]
    fn the_best_is_who_counts_and_takes_least() {
        let mut measured = Measured {
            name: "threads".to_owned(),
            allocator: Allocator::System,
            primary: Figure::Wall,
            participants: vec![
                participant(OURS, &[10.0, 20.0, 30.0]),
                participant("slow", &[40.0, 40.0, 40.0]),
                participant("fast", &[20.0, 20.0, 20.0]),
            ],
        };
        let (best, ratio) = measured.ratio(None).expect("there are others");
        assert_eq!((best.name.as_str(), ratio.median), ("fast", 1.0));
        let (_, ratio) = measured.ratio(Some("slow")).expect("it took part");
        assert_eq!((ratio.low, ratio.median, ratio.high), (0.375, 0.5, 0.625));

        assert!(measured.floor_to(&measured.participants[2]).is_none());
        measured.participants.push(participant(FLOOR, &[10.0, 10.0, 10.0]));
        measured.participants.push(participant(FLOOR_IN_TURNS, &[5.0, 5.0, 5.0]));
        let floor = measured.floor_to(&measured.participants[2]).expect("there are two");
        assert_eq!(floor.median, 0.25);
        measured.participants.truncate(3);

        measured.participants[2].aside = Some("loses messages".to_owned());
        assert_eq!(measured.best().map(|best| best.name.as_str()), Some("slow"));
        measured.participants.truncate(1);
        assert!(measured.ratio(None).is_none());
    }
}
