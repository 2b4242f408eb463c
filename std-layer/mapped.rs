//! Arenas of a size chosen at run time, over memory from the operating system.

use std::boxed::Box;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::ptr::NonNull;

use memmap2::MmapMut;

use crate::arena::ArenaRef;
use crate::arena::mapped::{Plan, plan};
use crate::sync::{RawMutex, asymmetric_fence};

/// An arena over mapped memory. The operating system provides each page when it is first used.
///
/// Besides the payloads it takes 4 bytes a page and 32 bytes a descriptor.
///
/// ```
/// use cloakroom::std_layer::{MappedArena, StdRawMutex};
///
/// // 64 MiB in pages of 4 KiB, for up to 65,536 messages.
/// let arena = MappedArena::<StdRawMutex>::new(64 << 20, 4096, 1 << 16)?;
/// let message = arena.handle().try_alloc_from(&[7; 10_000])?;
/// assert_eq!(message.len(), 10_000);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct MappedArena<M: RawMutex> {
    plan: Plan,
    /// The region's address is stable; only the arena reaches into it.
    region: NonNull<u8>,
    _map: MmapMut,
    _lock: PhantomData<M>,
}

// SAFETY: it owns the region, and what lies in it is an arena, which is shared where `M` may be.
unsafe impl<M: RawMutex + Send> Send for MappedArena<M> {}
// SAFETY: as above.
unsafe impl<M: RawMutex + Sync> Sync for MappedArena<M> {}

/// Why an arena could not be mapped.
#[derive(Debug)]
pub enum MapError {
    /// More pages or descriptors than can be counted, or a page size that is not a power of two from
    /// 16 on.
    Sizes,
    /// The operating system refused.
    Os(io::Error),
}

impl fmt::Display for MapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sizes => f.write_str("the arena's sizes cannot be counted or addressed"),
            Self::Os(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for MapError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Sizes => None,
            Self::Os(error) => Some(error),
        }
    }
}

/// What an arena lies in.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Backing {
    /// Anonymous memory.
    #[default]
    Anonymous,
    /// Anonymous memory in huge pages, where the operating system has any to give: fewer misses of the address
    /// cache in a large arena. Elsewhere the same as `Anonymous`.
    HugePages,
    /// A file, made for it, that nobody else may read or write. It must not exist, is as large as the arena with
    /// its tables, and stays when the process ends. An arena begins empty: what is in such a file is no way
    /// to keep messages.
    File(PathBuf),
}

impl Backing {
    /// Zeroed memory.
    fn map(&self, bytes: usize) -> io::Result<MmapMut> {
        match self {
            Self::Anonymous => MmapMut::map_anon(bytes),
            Self::HugePages => {
                let map = MmapMut::map_anon(bytes)?;
                // A hint. A kernel without them refuses it, and serves as well.
                #[cfg(target_os = "linux")]
                let _ = map.advise(memmap2::Advice::HugePage);
                Ok(map)
            }
            Self::File(path) => {
                let file = new_file(path)?;
                let map = file.set_len(bytes as u64).and_then(|()| {
                    // SAFETY: the file was made just now, for its owner alone. Who changes it all the same, as
                    // that user, could as well write into the process's memory.
                    unsafe { MmapMut::map_mut(&file) }
                });
                if map.is_err() {
                    let _ = std::fs::remove_file(path);
                }
                map
            }
        }
    }
}

/// Makes a file that only its owner can open.
fn new_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Homes of a mapped arena.
const HOMES: usize = 64;

impl<M: RawMutex> MappedArena<M> {
    /// Maps an arena with room for `bytes` of payload, in pages of `page_size`, and `descriptors`
    /// payloads at a time.
    ///
    /// # Errors
    /// [`MapError`]; nothing stays mapped.
    pub fn new(bytes: usize, page_size: usize, descriptors: usize) -> Result<Self, MapError> {
        Self::on(&Backing::Anonymous, bytes, page_size, descriptors)
    }

    /// As [`new`](Self::new), on a backing of choice.
    ///
    /// # Errors
    /// [`MapError`]; nothing stays mapped, and no file is left.
    pub fn on(
        backing: &Backing,
        bytes: usize,
        page_size: usize,
        descriptors: usize,
    ) -> Result<Self, MapError> {
        asymmetric_fence::prepare();
        if page_size == 0 {
            return Err(MapError::Sizes);
        }
        let plan = plan::<M>(bytes.div_ceil(page_size), page_size, descriptors, HOMES)
            .ok_or(MapError::Sizes)?;
        let mut map = backing.map(plan.bytes).map_err(MapError::Os)?;
        let region = NonNull::from(&mut map[..]).cast::<u8>();
        // SAFETY: a fresh mapping of the plan's length: zeroed, aligned to a page of the operating
        // system, and used by nobody yet.
        unsafe { plan.format::<M>(region) };
        Ok(Self { plan, region, _map: map, _lock: PhantomData })
    }

    /// The arena.
    pub fn handle(&self) -> ArenaRef<'_, M> {
        // SAFETY: the region was formatted for this plan and this lock, and stays mapped for as long
        // as `self` is borrowed. `_map` is not touched until it is dropped.
        unsafe { self.plan.attach(self.region) }
    }

    /// Keeps the arena mapped for the rest of the process, for tasks and channels of `'static` life.
    pub fn leak(self) -> ArenaRef<'static, M> {
        let this: &'static Self = Box::leak(Box::new(self));
        this.handle()
    }
}

impl<M: RawMutex> fmt::Debug for MappedArena<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MappedArena").field("bytes", &self.plan.bytes).finish_non_exhaustive()
    }
}
