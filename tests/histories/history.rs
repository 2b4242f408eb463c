//! Histories: what each thread called, when, and what it was answered.
//!
//! Every thread writes into a buffer of its own. A call is stamped before it begins and after it has
//! returned, by one counter, so that "returned before that one began" can be read off two numbers.
//!
//! A call is what runs without a pause: a `try_` operation, *one poll* of a future, dropping it. An awaited
//! send is thus several calls, and that it waited in line from its first poll on is part of the history.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// What is sent: its sender's number and a number of its own.
pub type Value = u16;

/// A thread, and how many futures it has made.
pub type OperationId = u8;

/// The thread of an operation.
pub fn lane_of(operation: OperationId) -> u8 {
    operation / OPERATIONS_A_LANE
}

/// How many futures a thread can make.
pub const OPERATIONS_A_LANE: u8 = 32;

/// What a future waits for: one of these, or (a select) several.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Arm {
    Send { channel: u8, value: Value, rank: u8 },
    Receive { channel: u8 },
    Reserve { channel: u8 },
    Closed { channel: u8 },
}

/// What was called.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Call {
    TrySend {
        channel: u8,
        value: Value,
        rank: u8,
    },
    TryReceive {
        channel: u8,
        reader: u8,
    },
    TryReserve {
        channel: u8,
    },
    /// A permit was used.
    Redeem {
        channel: u8,
        value: Value,
        rank: u8,
    },
    /// A permit was dropped.
    Return {
        channel: u8,
    },
    Close {
        channel: u8,
    },
    /// A reader begins to read a broadcast channel.
    Subscribe {
        channel: u8,
        reader: u8,
    },
    Unsubscribe {
        channel: u8,
        reader: u8,
    },
    /// All threads sleep, or are done.
    Rest,
    Poll(OperationId),
    /// A poll in which the operation's deadline or cancellation came true.
    Limit(OperationId),
    /// It was dropped before its end.
    Drop(OperationId),
}

/// What an operation came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// With the value that had to go for it.
    Sent(Option<Value>),
    Received(Value),
    /// So many values were missed.
    Lagged(u64),
    /// A permit.
    Held,
    Closed,
}

/// What came back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    /// Which arm happened; 0 for whatever is no select.
    Ready(u8, Outcome),
    Full,
    Empty,
    Pending,
    /// Given up, with nothing done.
    Stopped,
    /// Whether the channel was open.
    WasOpen(bool),
    /// Nothing more to say.
    Done,
    /// Which arm's value did not come back.
    Dropped(Option<u8>),
}

/// One call.
#[derive(Clone, Copy, Debug)]
pub struct Record {
    pub from: u64,
    pub to: u64,
    pub call: Call,
    pub answer: Answer,
}

/// The stamps of one history.
#[derive(Default)]
pub struct Clock(AtomicU64);

impl Clock {
    pub fn stamp(&self) -> u64 {
        // Sequentially consistent: stamps are the one order that all threads agree on.
        self.0.fetch_add(1, Ordering::SeqCst)
    }
}

/// One thread's calls, in order.
#[derive(Default, Clone)]
pub struct Lane {
    pub records: Vec<Record>,
    pub operations: Vec<(OperationId, Vec<Arm>)>,
    /// What the thread itself found wrong. The checker comes first.
    pub complaints: Vec<String>,
}

impl Lane {
    /// Writes down what began at `from` and has just returned.
    pub fn enter(&mut self, clock: &Clock, from: u64, call: Call, answer: Answer) {
        let to = clock.stamp();
        self.records.push(Record { from, to, call, answer });
    }

    /// A new future of lane `number`.
    pub fn begin(&mut self, number: u8, arms: Vec<Arm>) -> OperationId {
        let made = u8::try_from(self.operations.len()).expect("few");
        assert!(made < OPERATIONS_A_LANE, "as many as can be told apart");
        let id = number * OPERATIONS_A_LANE + made;
        self.operations.push((id, arms));
        id
    }
}

/// All threads' calls.
#[derive(Default)]
pub struct History {
    pub lanes: Vec<Vec<Record>>,
    pub arms: HashMap<OperationId, Vec<Arm>>,
    pub complaints: Vec<String>,
    receipts: HashMap<Value, Record>,
}

impl History {
    pub fn of(lanes: impl IntoIterator<Item = Lane>) -> Self {
        let mut history = Self::default();
        for lane in lanes {
            for record in &lane.records {
                if let Answer::Ready(_, Outcome::Received(value)) = record.answer {
                    history.receipts.insert(value, *record);
                }
            }
            history.lanes.push(lane.records);
            history.arms.extend(lane.operations);
            history.complaints.extend(lane.complaints);
        }
        history
    }

    /// Whether `later`, which is received some time, cannot have been received after `earlier`.
    pub fn is_received_before(&self, later: Value, earlier: Value) -> bool {
        self.receipts.get(&later).is_some_and(|received| {
            let other = self.receipts.get(&earlier);
            other.is_none_or(|other| received.to < other.from)
        })
    }

    pub fn len(&self) -> usize {
        self.lanes.iter().map(Vec::len).sum()
    }

    /// How many calls ran while one of another thread did.
    pub fn overlapping(&self) -> usize {
        let count = |lane: usize, record: &Record| {
            let others = self.lanes.iter().enumerate().filter(|(other, _)| *other != lane);
            let mut records = others.flat_map(|(_, records)| records);
            records.any(|other| other.from < record.to && record.from < other.to)
        };
        let lanes = self.lanes.iter().enumerate();
        lanes.map(|(lane, records)| records.iter().filter(|r| count(lane, r)).count()).sum()
    }
}

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut all: Vec<(usize, &Record)> = Vec::new();
        for (lane, records) in self.lanes.iter().enumerate() {
            all.extend(records.iter().map(|record| (lane, record)));
        }
        all.sort_by_key(|(_, record)| record.from);
        for (lane, Record { from, to, call, answer }) in all {
            write!(f, "{from:>4}..{to:<4} {:indent$}{lane}: {call:?}", "", indent = lane * 4)?;
            if let Call::Poll(id) | Call::Limit(id) | Call::Drop(id) = call {
                write!(f, " of {:?}", self.arms[id])?;
            }
            writeln!(f, " -> {answer:?}")?;
        }
        Ok(())
    }
}
