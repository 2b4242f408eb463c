//! Channels that spill: order, faults of the target, cancellation, and what it costs.
#![cfg(all(unix, not(loom)))]

mod allocation;
mod cancel;
mod damage;
mod extents;
mod fixture;
mod flow;
mod marks;
mod model;
mod moving;
