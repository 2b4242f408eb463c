//! The conformance matrix: what every operation does on every kind of channel, in every state, in every way.
//!
//! `matrix.txt` is the data: what must come out, cell by cell. The code here runs a cell: it brings a channel
//! into the state, runs the operation, and puts what came of it into the same words.

mod cell;
mod kinds;
mod words;

use cloakroom::sync::RawMutex;

use crate::Failure;
use crate::check::Outcome;
pub use cell::{Operation, State, Way};
pub use words::Word;

/// The data, with a legend.
pub const MATRIX: &str = include_str!("matrix.txt");

/// A line of the matrix: an operation in a way, and a word for each state.
pub struct Line {
    /// Its number in the file.
    pub number: u32,
    /// What is done.
    pub operation: Operation,
    /// How.
    pub way: Way,
    /// What comes of it in each of [`State::ALL`].
    pub cells: [&'static str; State::ALL.len()],
}

/// The lines of the matrix about a kind.
pub fn lines(kind: &str) -> impl Iterator<Item = Line> {
    let mut here = false;
    (1..).zip(MATRIX.lines()).filter_map(move |(number, line)| {
        let mut words = line.split_whitespace();
        match words.next()? {
            "kind" => {
                here = words.next() == Some(kind);
                None
            }
            operation if here => {
                let operation = Operation::named(operation)?;
                let way = Way::named(words.next()?)?;
                let mut cells = [""; State::ALL.len()];
                cells.iter_mut().zip(words).for_each(|(cell, word)| *cell = word);
                Some(Line { number, operation, way, cells })
            }
            _ => None,
        }
    })
}

/// What comes of an operation on a channel of some kind, if there is such a kind.
pub type Observe = fn(Operation, Way, State) -> Result<Word, Failure>;

/// The kinds that need no static, under a lock that need not be shared.
pub fn kinds<M: RawMutex + 'static>() -> &'static [(&'static str, Observe)] {
    kinds::table::<M>()
}

/// The kind whose memory comes from an arena.
pub fn unlimited<M: RawMutex + Sync + 'static>() -> (&'static str, Observe) {
    ("unlimited", kinds::unlimited::<M>)
}

/// Runs all cells about a kind.
fn conforms(kind: &str, observe: Observe) -> Outcome {
    let mut seen = 0;
    for line in lines(kind) {
        for (state, expected) in State::ALL.into_iter().zip(line.cells) {
            if *observe(line.operation, line.way, state)? != *expected {
                return Err(Failure::new("matrix.txt", line.number, expected));
            }
            seen += 1;
        }
    }
    // A matrix that has lost its lines proves nothing.
    check_eq!(
        seen,
        Operation::ALL.iter().map(|way| way.ways().len()).sum::<usize>() * State::ALL.len()
    );
    Ok(())
}

/// A test for each kind.
macro_rules! tests_of_kinds {
    ($($name:ident),+) => {
        tests!("conformance": $($name),+);
        $(
            fn $name<M: RawMutex + 'static>() -> Outcome {
                conforms(stringify!($name), kinds::$name::<M>)
            }
        )+
    };
}

tests_of_kinds!(
    rendezvous,
    buffered,
    drop_newest,
    drop_oldest,
    conflated,
    priority,
    broadcast,
    lagging_broadcast
);

pub(crate) mod at_a_place {
    use super::{Outcome, conforms, kinds};
    use crate::Place;

    tests_at_a_place!("conformance": unlimited);

    fn unlimited<P: Place>() -> Outcome {
        conforms("unlimited", kinds::unlimited::<P::Lock>)
    }
}
