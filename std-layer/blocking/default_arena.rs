//! Where unbounded channels take their memory from unless told.

use std::boxed::Box;
use std::sync::OnceLock;

use crate::Arena;
use crate::channel::AnyArena;
use crate::std_layer::{MappedArena, StdRawMutex};

/// The most that unbounded channels may hold together: 1 GiB, or 64 MiB where addresses are short.
const LARGEST: usize = if cfg!(target_pointer_width = "64") { 1 << 30 } else { 64 << 20 };
const SMALLEST: usize = 1 << 20;
const PAGE: usize = 1024;

/// The arena of this process, made at the first use.
pub(super) fn default_arena() -> &'static dyn AnyArena<StdRawMutex> {
    static ARENA: OnceLock<&'static dyn AnyArena<StdRawMutex>> = OnceLock::new();
    *ARENA.get_or_init(|| {
        // Half of it, where there is a limit to what may be mapped.
        let sizes = std::iter::successors(Some(LARGEST), |size| Some(size / 2));
        for size in sizes.take_while(|size| *size >= SMALLEST) {
            if let Ok(arena) = MappedArena::<StdRawMutex>::new(size, PAGE, size / PAGE) {
                return Box::leak(Box::new(arena));
            }
        }
        // It maps nothing at all: then a little of what has been mapped already.
        Box::leak(Box::new(Arena::<StdRawMutex, 64, PAGE, 64>::new()))
    })
}
