//! What is measured: a file for each sort.

mod batches;
mod fan_out;
mod floor;
mod floor_in_turns;
mod gaps;
mod idle;
mod memory;
mod pairs;
mod payloads;
mod ping_pong;
mod select;
mod tasks;
mod threads;
mod timers;

use crate::workload::Workload;

/// All of them.
pub fn all() -> Vec<Workload> {
    [
        pairs::all(),
        batches::all(),
        memory::all(),
        select::all(),
        threads::all(),
        payloads::all(),
        fan_out::all(),
        tasks::all(),
        ping_pong::all(),
        gaps::all(),
        timers::all(),
        idle::all(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
