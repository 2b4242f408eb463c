//! What is measured: a file for each sort.

mod threads;

use crate::workload::Workload;

/// All of them.
pub fn all() -> Vec<Workload> {
    [threads::all()].into_iter().flatten().collect()
}
