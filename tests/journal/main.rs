//! The journal in files, on a disk that is simulated and on a real one.
//!
//! | module | what is shown |
//! |---|---|
//! | `power` | kills and power cuts at every call: nothing durable is lost, nothing is made up, the log opens |
//! | `faults` | no room, errors of reads, writes and syncs, short and interrupted calls |
//! | `damage` | cut off at every byte, every bit flipped, ends of zeros and of garbage: what is lost is named |
//! | `format` | a log of version 1 as it was written once, and other versions |
//! | `attempts` | how often messages were delivered is known after a crash |
//! | `futures` | messages that are kept from futures, and given up |
//! | `keys` | messages that are sent twice are kept once |
//! | `properties` | the format, the index and the fold, against plain models |
//! | `space` | it is full when what lives fills it, and at no other time |
//! | `threads` | group commit on a real disk: who waits together syncs together |
//! | `panics` | files of the user's whose calls panic |
//! | `directory` | locks, owners, permissions |
#![cfg(all(unix, not(any(loom, shuttle))))]

#[path = "../common/random.rs"]
mod random;

#[path = "../common/watch.rs"]
mod watch;

mod attempts;
mod damage;
mod directory;
mod disk;
mod faults;
mod format;
mod futures;
mod keys;
mod panics;
mod power;
mod properties;
mod script;
mod space;
mod threads;
