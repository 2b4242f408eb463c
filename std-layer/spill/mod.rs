//! Where a host's channels spill to: shared memory, a file; and channels of a size chosen at run time that do.
//!
//! | | holds | lends | costs RAM | its content after the process |
//! |---|---|---|---|---|
//! | [`MemfdTarget`] (Linux) | sealed shared memory, all of it from the start | yes | all of it | gone |
//! | [`FileTarget`] | a file without a name, all of it from the start | no | what the system caches of it | gone |
//!
//! What is spilled is not durable. Shared memory, and files in `/dev/shm` or on `tmpfs`, are RAM: to spill there does not relieve the
//! machine.
//!
//! ```
//! use cloakroom::spill::{Class, Policy, Spill, Watermarks};
//! use cloakroom::std_layer::spill::{FileTarget, bounded};
//! use cloakroom::std_layer::{MappedArena, StdRawMutex, block_on};
//!
//! // 64 KiB of memory, and 16 MiB on disk: 16,384 messages of up to 1 KiB wait at most.
//! let arena = MappedArena::<StdRawMutex>::new(64 << 10, 1024, 64)?;
//! let target = FileTarget::new(&std::env::temp_dir(), [Class { bytes: 1024, count: 16 << 10 }])?;
//! let spill = Spill::over(&arena, &target, Watermarks::default());
//! let log = bounded(&spill, Policy::ColdFirst, 16 << 10);
//!
//! for line in 0..1_000_u32 {
//!     block_on(log.send_bytes(&line.to_le_bytes()))?; // does not wait for whoever reads
//! }
//! for line in 0..1_000_u32 {
//!     assert_eq!(*block_on(log.recv())?, line.to_le_bytes());
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod calls;
mod file;
#[cfg(target_os = "linux")]
mod memfd;

use std::boxed::Box;
use std::io;

pub use file::FileTarget;
#[cfg(target_os = "linux")]
pub use memfd::MemfdTarget;

use super::channel::{Bounded, bounded_queue};
use crate::spill::counting::Counting;
use crate::spill::{Class, Extents, Policy, Spill, SpillBytes, SpillError, Word};
use crate::sync::RawMutex;

/// A channel of up to `capacity` messages that spill. The queue is allocated here, once: three words a message.
///
/// A capacity of 0 counts as 1, more than 4,294,967,295 as that.
///
/// # Panics
/// When that much memory cannot be addressed.
pub fn bounded<'a, M: RawMutex>(
    place: &'a Spill<'a, M>,
    policy: Policy,
    capacity: usize,
) -> SpillBytes<'a, M, Bounded> {
    SpillBytes::around(place, policy, bounded_queue(capacity, Counting::new))
}

/// The extents of a target on a host, and bytes of all of them.
fn extents<const CLASSES: usize>(
    classes: [Class; CLASSES],
) -> io::Result<(Extents<CLASSES, Box<[Word]>>, u64)> {
    let slots: u64 = classes.iter().map(|class| u64::from(class.count)).sum();
    let sizes = classes.iter().map(|class| u64::from(class.bytes) * u64::from(class.count));
    let bytes = sizes.fold(0, u64::saturating_add);
    if bytes == 0 || slots >= 1 << 31 {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let words = slots.div_ceil(32);
    Ok((Extents::new(classes, (0..words).map(|_| Word::new()).collect()), bytes))
}

/// An error of the system, as one of a target.
fn failed(error: &io::Error) -> SpillError {
    match error.kind() {
        io::ErrorKind::StorageFull => SpillError::Full,
        // There are fewer bytes than were written.
        io::ErrorKind::UnexpectedEof => SpillError::Damaged,
        _ => SpillError::Device(error.raw_os_error().unwrap_or(0)),
    }
}
