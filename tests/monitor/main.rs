//! Reports of a running process: what they say, in which form, and to whom.
//!
//! | file | what |
//! |---|---|
//! | `registry` | what is registered, and what has gone |
//! | `traffic` | reading while threads send and receive |
//! | `text` | JSON lines and text for Prometheus, read by parsers of others |
//! | `stalls` | what is stuck, and what may have been lost |
//! | `tickets` | the state of each payload, where it waits, and reaping |
//! | `spilled` | channels that spill: what is out of them, in every form |
//! | `socket` | the server: requests, actions, and who may ask |
#![cfg(not(loom))]

mod registry;
#[cfg(target_os = "linux")]
mod socket;
#[cfg(feature = "spill")]
mod spilled;
mod stalls;
mod text;
mod tickets;
mod traffic;

use cloakroom::Arena;
use cloakroom::report::Record;
use cloakroom::std_layer::StdRawMutex;
use cloakroom::std_layer::report::Report;

type Lock = StdRawMutex;
type Hall = Arena<Lock, 64, 64, 64>;

/// The same report as of a process that is built without histograms.
fn without_histograms(mut report: Report) -> Report {
    report.records.retain(|record| !matches!(record, Record::Queueing(_)));
    report
}
