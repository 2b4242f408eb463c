//! Making a runtime.

use std::boxed::Box;
use std::fmt;
use std::format;
use std::io;
use std::string::String;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, AtomicU64};
use std::thread;
use std::vec::Vec;

use super::blocking::Pool;
use super::shutdown::Residents;
use super::{Handle, Inner, Lock, Runtime, worker};
use crate::arena::ArenaRef;
use crate::kernel::{CancelToken, Kernel};
use crate::std_layer::{Backing, MapError, MappedArena, StdClock};

/// What a [`Runtime`] is made of. Made by [`Runtime::builder`].
///
/// ```
/// use cloakroom::std_layer::runtime::Runtime;
///
/// let runtime = Runtime::builder()
///     .name("intake")
///     .workers(2)
///     .blocking_threads(4)
///     .arena_sizes(8 << 20, 256, 1 << 14) // 8 MiB, pages of 256 bytes, 16,384 payloads and tasks
///     .build()?;
/// assert_eq!(runtime.name(), "intake");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "it makes nothing until it is built"]
pub struct Builder {
    name: String,
    workers: Option<u32>,
    blocking_threads: u32,
    arena: Memory,
    backing: Backing,
    clock: StdClock,
}

enum Memory {
    Given(ArenaRef<'static, Lock>),
    Sizes { bytes: usize, page_size: usize, descriptors: usize },
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Given(_) => f.write_str("Given"),
            Self::Sizes { bytes, page_size, descriptors } => {
                write!(f, "{bytes} bytes, pages of {page_size}, {descriptors} descriptors")
            }
        }
    }
}

/// Why a runtime could not be made. Nothing of it stays, but the memory of a thread's start.
#[derive(Debug)]
pub enum BuildError {
    /// The arena could not be mapped.
    Arena(MapError),
    /// A thread could not be started.
    Thread(io::Error),
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Arena(error) => write!(f, "the runtime's arena: {error}"),
            Self::Thread(error) => {
                write!(f, "a thread of the runtime could not be started: {error}")
            }
        }
    }
}

impl std::error::Error for BuildError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Arena(error) => Some(error),
            Self::Thread(error) => Some(error),
        }
    }
}

impl Builder {
    pub(super) fn new() -> Self {
        Self {
            name: "cloakroom".into(),
            workers: None,
            blocking_threads: 64,
            arena: Memory::Sizes { bytes: 64 << 20, page_size: 256, descriptors: 1 << 18 },
            backing: Backing::Anonymous,
            clock: StdClock::new(),
        }
    }

    /// Names the runtime and its threads (`name-worker-0`, `name-blocking-0`). "cloakroom" unless told.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// How many worker threads: as many as the machine runs at once, unless told. With none, tasks run
    /// while somebody is in [`Handle::block_on`], on that thread.
    pub fn workers(mut self, workers: u32) -> Self {
        self.workers = Some(workers);
        self
    }

    /// The most threads for blocking calls, at least one; 64 unless told. They are started when they
    /// are needed, and stay.
    pub fn blocking_threads(mut self, most: u32) -> Self {
        self.blocking_threads = most.max(1);
        self
    }

    /// The arena for tasks, and messages, instead of one of its own. With the `stamps` feature its time is told by the
    /// runtime, see `Handle::tell_time`, and by nobody else; runtimes that share an arena should share a clock.
    pub fn arena(mut self, arena: ArenaRef<'static, Lock>) -> Self {
        self.arena = Memory::Given(arena);
        self
    }

    /// Sizes of an arena of its own: bytes, bytes a page, and payloads (tasks included) at a time. Unless told
    /// 64 MiB in pages of 256 bytes, for 262,144. The operating system provides what is used.
    pub fn arena_sizes(mut self, bytes: usize, page_size: usize, descriptors: usize) -> Self {
        self.arena = Memory::Sizes { bytes, page_size, descriptors };
        self
    }

    /// What an arena of its own lies in: anonymous memory, unless told.
    pub fn backing(mut self, backing: Backing) -> Self {
        self.backing = backing;
        self
    }

    /// The clock of its timers, so that its ticks are those of other parts of the program.
    pub fn clock(mut self, clock: StdClock) -> Self {
        self.clock = clock;
        self
    }

    /// Makes the runtime and starts its workers.
    ///
    /// # Errors
    /// [`BuildError`].
    pub fn build(self) -> Result<Runtime, BuildError> {
        let arena = match self.arena {
            Memory::Given(arena) => arena,
            Memory::Sizes { bytes, page_size, descriptors } => {
                MappedArena::on(&self.backing, bytes, page_size, descriptors)
                    .map_err(BuildError::Arena)?
                    .leak()
            }
        };
        let workers = self.workers.unwrap_or_else(|| {
            thread::available_parallelism().map_or(1, |count| count.get() as u32)
        });
        let inner: &'static Inner = Box::leak(Box::new(Inner {
            name: self.name.into(),
            workers,
            clock: self.clock,
            arena,
            kernel: Kernel::new(),
            pool: Pool::new(self.blocking_threads),
            pool_threads: Mutex::new(Vec::new()),
            residents: Residents::new(),
            cancel: CancelToken::new(),
            over: CancelToken::new(),
            parked: AtomicU32::new(0),
            panics: AtomicU64::new(0),
        }));
        // Should a thread not start, those before it end when this is dropped.
        let mut runtime = Runtime { handle: Handle { inner }, threads: Vec::new() };
        for number in 0..workers {
            let name = format!("{}-worker-{number}", inner.name);
            let thread = worker::start(runtime.handle, name, worker::work);
            runtime.threads.push(thread.map_err(BuildError::Thread)?);
        }
        Ok(runtime)
    }
}
