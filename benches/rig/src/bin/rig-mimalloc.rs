//! The rig under mimalloc.

use std::process::ExitCode;

use cloakroom_rig::allocator::{Allocator, Counting};
use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: Counting<MiMalloc> = Counting(MiMalloc);

fn main() -> ExitCode {
    cloakroom_rig::main(Allocator::Mimalloc)
}
