//! Whether a history can be explained by calls that took effect one after the other.
//!
//! Wing and Gong's search with Lowe's memory: of the calls that may come next in real time, try one after
//! the other, depth first, and never visit the same pair of *calls that have taken effect* and *state of
//! the model* twice. As each thread's calls are in order, the first half of that pair is a number a thread.
//! Where no call is under way, all searches before that point have come to the same numbers, so that only
//! the model's states there tell them apart, and what follows is searched once for each: a long history
//! with quiet moments is as cheap as many short ones.
//!
//! The search is complete. Should it have to visit too many pairs it says so, and that fails a test, too.

use std::collections::HashSet;
use std::fmt;

use super::history::History;
use super::models::{Kind, Settling};
use super::world::{Progress, World};

/// How many threads a history can have.
const LANES: usize = 6;

/// How many pairs are visited before the search is given up. A round's history needs some hundred.
const LIMIT: usize = 3_000_000;

/// What was found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It can be explained. After so many visits.
    Explained(usize),
    /// It cannot: no order explains more than the first so many calls of each thread.
    Refuted(Vec<usize>, World),
    /// The limit was reached.
    Unknown,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Verdict::Explained(visits) => write!(f, "explained after {visits} visits"),
            Verdict::Refuted(reached, world) => {
                write!(f, "no order explains more of each thread than {reached:?}, then {world:#?}")
            }
            Verdict::Unknown => write!(f, "not decided after {LIMIT} visits"),
        }
    }
}

/// A thread's calls so far, and the step at which its next one stands.
type Reached = [(u8, u8); LANES];

#[derive(Clone, PartialEq, Eq, Hash)]
struct Config {
    reached: Reached,
    world: World,
    /// When settling must be over, if there is any left to do: when the last call that gave rise to it, or
    /// came upon it, returns.
    settled_by: u64,
}

/// A pair that is being looked at.
struct Frame {
    config: Config,
    /// What settling may do next, the first so many because they are owed.
    settlings: Vec<(usize, Settling)>,
    owed: usize,
    /// The time that it is at least, as calls have begun to take effect.
    now: u64,
    /// What begins later than this is overtaken by a call that has yet to take effect.
    horizon: u64,
    /// Which move is tried next: settling first, then the threads, then the threads where they may be reluctant.
    next: usize,
}

impl Frame {
    fn of(history: &History, kinds: &[Kind], config: Config) -> Self {
        let mut settlings: Vec<_> = config.world.settlings(kinds).collect();
        let owed = settlings.len();
        settlings.extend(config.world.findings(kinds));
        let lanes = || history.lanes.iter().zip(&config.reached);
        let begun = lanes().filter_map(|(lane, &(call, step))| {
            let begun = usize::from(call) + usize::from(step > 0);
            begun.checked_sub(1).and_then(|last| lane.get(last))
        });
        let now = begun.map(|record| record.from).max().unwrap_or(0);
        let under_way = lanes().filter_map(|(lane, &(call, _))| lane.get(usize::from(call)));
        let horizon = under_way.map(|record| record.to).min().unwrap_or(u64::MAX);
        Self { settlings, owed, now, horizon, config, next: 0 }
    }
}

/// Searches for an explanation of `history` on channels of these kinds.
pub fn check(history: &History, kinds: &[Kind]) -> Verdict {
    assert!(history.lanes.len() <= LANES, "too many threads");
    let start = Config { reached: [(0, 0); LANES], world: World::new(kinds.len()), settled_by: 0 };
    let mut best = start.clone();
    let mut visited = HashSet::new();
    let mut path = vec![Frame::of(history, kinds, start)];
    while let Some(frame) = path.last_mut() {
        if is_complete(history, &frame.config.reached) {
            return Verdict::Explained(visited.len() + 1);
        }
        let number = frame.next;
        frame.next += 1;
        let may_lack_memory = kinds.iter().any(|kind| matches!(kind, Kind::Scarce(_)));
        let rounds = 1 + usize::from(may_lack_memory);
        if number == frame.settlings.len() + rounds * history.lanes.len() {
            path.pop();
            continue;
        }
        let Some(config) = try_move(history, kinds, frame, number) else { continue };
        if visited.len() == LIMIT {
            return Verdict::Unknown;
        }
        if has_future(history, kinds, &config.world) && visited.insert(config.clone()) {
            if calls(&config.reached) > calls(&best.reached) {
                best = config.clone();
            }
            path.push(Frame::of(history, kinds, config));
        }
    }
    let reached = best.reached.iter().take(history.lanes.len());
    Verdict::Refuted(reached.map(|&(calls, _)| usize::from(calls)).collect(), best.world)
}

/// What comes of a move, if it is possible.
fn try_move(history: &History, kinds: &[Kind], frame: &Frame, number: usize) -> Option<Config> {
    let Frame { config, settlings, .. } = frame;
    if let Some(&(channel, settling)) = settlings.get(number) {
        let mut config = config.clone();
        config.world.settle(kinds[channel], channel, settling);
        if config.world.settlings(kinds).next().is_none() {
            config.settled_by = 0;
        }
        return Some(config);
    }
    let number = number - settlings.len();
    let (lane, reluctant) = (number % history.lanes.len(), number >= history.lanes.len());
    let (call, step) = config.reached[lane];
    let record = history.lanes[lane].get(usize::from(call))?;
    if reluctant && step > 0 {
        return None;
    }
    let overtaken = step == 0 && record.from > frame.horizon;
    let unsettled = frame.owed > 0 && frame.now.max(record.from) > config.settled_by;
    if overtaken || unsettled {
        return None;
    }
    let (world, progress) =
        config.world.step(history, kinds, (record.call, record.answer), step, reluctant)?;
    let mut reached = config.reached;
    reached[lane] = match progress {
        Progress::Step(step) => (call, step),
        Progress::Done => (call + 1, 0),
    };
    let settled = world.settlings(kinds).next().is_none();
    let settled_by = if settled { 0 } else { config.settled_by.max(record.to) };
    Some(Config { reached, world, settled_by })
}

/// Whether the value that came last can leave when it did. (Without this look ahead an unlimited channel that
/// is emptied at the end would be searched for every order of its sends.)
fn has_future(history: &History, kinds: &[Kind], world: &World) -> bool {
    world.rooms.iter().zip(kinds).all(|(room, kind)| match room.items.split_last() {
        Some((last, before)) if kind.is_queue() => {
            !before.iter().any(|before| history.is_received_before(last.value, before.value))
        }
        _ => true,
    })
}

fn is_complete(history: &History, reached: &Reached) -> bool {
    let mut lanes = history.lanes.iter().zip(reached);
    lanes.all(|(lane, &(call, _))| usize::from(call) == lane.len())
}

fn calls(reached: &Reached) -> usize {
    reached.iter().map(|&(call, step)| usize::from(call) * 8 + usize::from(step)).sum()
}
