//! A workload, and who takes part in it.

use crate::figure::{Figure, Figures};

/// The name of this crate's own subject in every workload.
pub const OURS: &str = "cloakroom";
/// The name of what is no channel; see [`why::FLOOR`].
pub const FLOOR: &str = "floor";
/// The same, with threads that take turns.
pub const FLOOR_IN_TURNS: &str = "floor, in turns";

/// Something to do, and several that do it.
pub struct Workload {
    /// `threads/1to1/u64/128`.
    pub name: String,
    /// What decides.
    pub primary: Figure,
    /// Whether anybody who takes part allocates for each message.
    pub allocates: bool,
    /// How many messages a round is, if that is part of the workload.
    pub messages: Option<u64>,
    /// The most rounds, if they are long.
    pub rounds: usize,
    /// Who takes part.
    pub subjects: Vec<Subject>,
}

impl Workload {
    /// One that is measured by the time a message takes.
    pub fn new(name: impl Into<String>, subjects: Vec<Subject>) -> Self {
        let name = name.into();
        let (primary, rounds) = (Figure::Wall, usize::MAX);
        Self { name, primary, allocates: false, messages: None, rounds, subjects }
    }

    /// Its participants allocate.
    pub fn allocating(mut self) -> Self {
        self.allocates = true;
        self
    }

    /// One thread does it all: what others do to it meanwhile is left out.
    pub fn in_one_thread(self) -> Self {
        self.decided_by(Figure::Cpu)
    }

    /// Another figure decides.
    pub fn decided_by(mut self, figure: Figure) -> Self {
        self.primary = figure;
        self
    }

    /// It takes no more rounds than these.
    pub fn in_rounds(mut self, most: usize) -> Self {
        self.rounds = most;
        self
    }

    /// A round has this many messages.
    pub fn of(mut self, messages: u64) -> Self {
        self.messages = Some(messages);
        self
    }
}

/// One that takes part.
pub struct Subject {
    /// The name of the crate, and of what it sends.
    pub name: String,
    /// Why it is shown but not compared with, if it is not.
    pub aside: Option<&'static str>,
    /// Handles so many messages, and returns what each took.
    pub run: Box<dyn FnMut(u64) -> Figures>,
}

impl Subject {
    /// One that counts.
    pub fn new(name: impl Into<String>, run: impl FnMut(u64) -> Figures + 'static) -> Self {
        Self { name: name.into(), aside: None, run: Box::new(run) }
    }

    /// One that is shown aside.
    pub fn aside(mut self, why: &'static str) -> Self {
        self.aside = Some(why);
        self
    }
}

/// Why some peers' figures are not what anybody has to reach.
pub mod why {
    /// rtrb, disruptor.
    pub const SPINS: &str = "never parks: it yields, or spins, for as long as it waits";
    /// kanal, under an executor.
    pub const LOSES: &str = "loses the value when a pending receive is dropped";
    /// flume, loole, under an executor, where there is room for so many messages: a receive takes the value of a send that waits, or
    /// moves it into the slot that became free. (At a rendezvous there is no other way. `tests/dropped.rs` has both.)
    pub const SENDS: &str = "a pending send that is dropped may have been sent";
    /// thingbuf.
    pub const IN_PLACE: &str = "in place: compared with in a row of its own";
    /// A ring that is written for the rig.
    pub const FLOOR: &str =
        "no channel: what is left when a message is promised nothing but to arrive";
    /// This crate, done another way.
    pub const OURS_TOO: &str = "this crate, done another way";
}
