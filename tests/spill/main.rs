//! Channels that spill: order, faults of the target, cancellation, and what it costs.
#![cfg(all(unix, not(loom)))]

mod allocation;
mod calls;
mod cancel;
mod damage;
mod extents;
mod figures;
mod fixture;
mod flow;
mod marks;
mod model;
mod moving;
mod sends;
