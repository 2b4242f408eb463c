//! Values whose drops are counted.

use std::fmt;
use std::sync::{Arc, Mutex};

/// How often each value has been dropped.
#[derive(Clone, Default)]
pub struct Ledger(Arc<Mutex<Vec<u32>>>);

impl Ledger {
    /// A value, the next in number.
    pub fn entry(&self) -> Entry {
        let mut drops = self.0.lock().unwrap();
        drops.push(0);
        Entry { number: drops.len() - 1, ledger: self.clone(), explodes: false }
    }

    /// A value that panics when it is dropped.
    pub fn explosive(&self) -> Entry {
        let mut entry = self.entry();
        entry.explodes = true;
        entry
    }

    /// How often each value has been dropped, in the order in which they were made.
    pub fn drops(&self) -> Vec<u32> {
        self.0.lock().unwrap().clone()
    }

    /// How many values exist.
    pub fn alive(&self) -> usize {
        self.drops().iter().filter(|&&drops| drops == 0).count()
    }

    /// Nothing is left, and nothing was dropped twice.
    pub fn is_balanced(&self) {
        let drops = self.drops();
        assert!(drops.iter().all(|&drops| drops == 1), "drops of each value: {drops:?}");
    }
}

/// A value in a ledger.
pub struct Entry {
    pub number: usize,
    ledger: Ledger,
    explodes: bool,
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.number)
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.ledger.0.lock().unwrap()[self.number] += 1;
        assert!(!self.explodes, "value {} explodes", self.number);
    }
}
