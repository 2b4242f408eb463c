//! The rig under the system's allocator. It runs `rig-mimalloc` for what allocates.

use std::alloc::System;
use std::process::ExitCode;

use cloakroom_rig::allocator::{Allocator, Counting};

#[global_allocator]
static ALLOCATOR: Counting<System> = Counting(System);

fn main() -> ExitCode {
    cloakroom_rig::main(Allocator::System)
}
