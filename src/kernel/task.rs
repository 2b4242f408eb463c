//! A task: a future in the arena, with a header the ready queue can link.
//!
//! ```text
//!            wake                       poll begins
//!   Idle ───────────► Queued ──────────────────────────► Running ── wake ──► Running + woken
//!    ▲                   ▲                                 │  │                     │
//!    │                   └────────── woken ────────────────┼──┼─────────────────────┘
//!    └──────────────────── pending ────────────────────────┘  └─ ready, or cancelled ─► Done
//! ```
//!
//! The flags, the queue link and the joiner's waker are guarded by the kernel's lock; that it is running, and was woken
//! meanwhile, stands in the [`WakeTarget`]. The stage (future or output) belongs to whoever runs the task, then, when it is done, to the join handle; without a
//! handle it is dropped at once.
//!
//! The memory is one payload in hand. Each waker, the join handle, and the kernel for as long as the
//! task is not done, hold a reference to it, which the header counts; the last one to go gives up the lease.

use core::alloc::Layout;
use core::cell::{Cell, UnsafeCell};
use core::future::Future;
use core::mem::{ManuallyDrop, offset_of};
use core::pin::Pin;
use core::ptr::{self, NonNull};
use core::task::{Context, Poll, Waker};

use super::ready::Ready;
use crate::arena::ArenaRef;
use crate::error::{SpawnError, TryAllocError};
use crate::sync::RawMutex;
use crate::sync::atomic::Ordering;
use crate::sync::plain::AtomicU8;
use crate::sync::waker::{Acts, WakeTarget};

/// Flags of a task.
pub(super) mod flag {
    pub(crate) const QUEUED: u8 = 1;
    /// To be cancelled instead of polled.
    pub(crate) const CANCEL: u8 = 2;
    pub(crate) const DONE: u8 = 4;
    /// It ended without an output.
    pub(crate) const CANCELLED: u8 = 8;
    /// Nobody will join.
    pub(crate) const DETACHED: u8 = 16;
}

/// Flags of a task, which change under the kernel's lock; whoever runs the task may look without.
pub(super) struct Flags(AtomicU8);

impl Flags {
    #[inline]
    pub(super) fn get(&self) -> u8 {
        // Relaxed: who looks without the lock has been woken for what it is to find, and that orders.
        self.0.load(Ordering::Relaxed)
    }

    #[inline]
    pub(super) fn set(&self, flags: u8) {
        self.0.store(flags, Ordering::Relaxed);
    }
}

/// What all tasks begin with.
#[repr(C)]
pub(super) struct Header<M: RawMutex + 'static> {
    /// First: wakers point to it.
    pub(super) target: WakeTarget,
    pub(super) flags: Flags,
    /// What the stage holds, for its owner.
    holds: Cell<u8>,
    pub(super) next: Cell<*const Header<M>>,
    /// Whoever joins; the no-op waker stands for nobody.
    pub(super) joiner: UnsafeCell<Waker>,
    vtable: &'static VTable<M>,
    kernel: &'static Ready<M>,
    arena: ArenaRef<'static, M>,
    index: usize,
}

/// What depends on the future's type.
struct VTable<M: RawMutex + 'static> {
    /// What the task takes.
    layout: Layout,
    /// Polls the future; stores the output and returns true when it is ready.
    poll: unsafe fn(NonNull<Header<M>>, &mut Context<'_>) -> bool,
    /// Drops what the stage holds, and clears it.
    clear: unsafe fn(NonNull<Header<M>>),
    /// Where the stage lies, in bytes from the header.
    stage: usize,
}

/// The future, then its output; which of them, the header's `holds` tells. A union, unlike an enum,
/// can be left as plain bytes: no later lease of this memory may find padding in it.
union Stage<F: Future> {
    future: ManuallyDrop<F>,
    output: ManuallyDrop<F::Output>,
}

/// What a stage holds.
mod holds {
    pub(super) const NOTHING: u8 = 0;
    pub(super) const FUTURE: u8 = 1;
    pub(super) const OUTPUT: u8 = 2;
}

#[repr(C)]
struct Task<F: Future, M: RawMutex + 'static> {
    header: Header<M>,
    stage: UnsafeCell<Stage<F>>,
}

/// A counted pointer to a task.
pub(super) struct TaskRef<M: RawMutex + 'static>(NonNull<Header<M>>);

impl<M: RawMutex + Sync + 'static> Clone for TaskRef<M> {
    fn clone(&self) -> Self {
        self.header().target.retain();
        Self(self.0)
    }
}

impl<M: RawMutex + 'static> Drop for TaskRef<M> {
    fn drop(&mut self) {
        // SAFETY: the reference is this one's, and the pointer reaches the whole task.
        unsafe { WakeTarget::release(self.0.cast()) };
    }
}

impl<M: RawMutex + Sync + 'static> TaskRef<M> {
    /// Puts a future into the arena. There are two references: the one that is returned, and the kernel's.
    #[inline]
    pub(super) fn spawn<F>(
        arena: ArenaRef<'static, M>,
        kernel: &'static Ready<M>,
        future: F,
    ) -> Result<Self, SpawnError<F>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let vtable = const {
            &VTable {
                layout: Layout::new::<Task<F, M>>(),
                poll: poll::<F, M>,
                clear: clear::<F, M>,
                stage: offset_of!(Task<F, M>, stage),
            }
        };
        let task = match Self::begin(arena, kernel, vtable) {
            Ok(task) => task,
            Err(why) => return Err(SpawnError { why, future }),
        };
        // SAFETY: the memory is this task's alone, of its layout, and nobody else knows of it yet.
        unsafe {
            let whole = task.0.cast::<Task<F, M>>().as_ptr();
            (&raw mut (*whole).stage).cast::<F>().write(future);
        }
        Ok(task)
    }

    /// Memory for a task, with the header in it: the same for futures of all types. The stage is yet to be written.
    #[inline(never)]
    fn begin(
        arena: ArenaRef<'static, M>,
        kernel: &'static Ready<M>,
        vtable: &'static VTable<M>,
    ) -> Result<Self, TryAllocError> {
        if vtable.layout.align() > arena.page_align() {
            return Err(TryAllocError::TooLarge);
        }
        let (memory, index) = arena.try_alloc(vtable.layout.size())?.into_raw();
        let task = memory.cast::<Header<M>>();
        // SAFETY: the memory is this task's alone, large enough and aligned (checked above). The header is written,
        // and later the stage, so that what lies between them stays bytes.
        unsafe {
            task.write(Header {
                target: WakeTarget::new(Self::ACTS, 2),
                next: Cell::new(ptr::null()),
                flags: Flags(AtomicU8::new(0)),
                joiner: UnsafeCell::new(Waker::noop().clone()),
                holds: Cell::new(holds::FUTURE),
                vtable,
                kernel,
                arena,
                index,
            });
        }
        Ok(Self(task))
    }

    /// # Safety
    /// The caller hands over one counted reference.
    pub(super) unsafe fn from_raw(task: NonNull<Header<M>>) -> Self {
        Self(task)
    }

    /// Gives the counted reference to whoever keeps the pointer.
    pub(super) fn into_raw(self) -> NonNull<Header<M>> {
        ManuallyDrop::new(self).0
    }

    /// The pointer, which reaches all of the task.
    pub(super) fn as_raw(&self) -> NonNull<Header<M>> {
        self.0
    }

    pub(super) fn header(&self) -> &Header<M> {
        // SAFETY: counted, so the memory is the task's; the header is only ever shared.
        unsafe { self.0.as_ref() }
    }

    /// A waker that borrows this reference.
    pub(super) fn waker(&self) -> ManuallyDrop<Waker> {
        // SAFETY: the pointer reaches the whole task. The waker is not dropped, so it gives up no reference; clones
        // take their own.
        ManuallyDrop::new(unsafe { WakeTarget::waker(self.0.cast()) })
    }

    /// Polls the future, with its [`waker`](Self::waker).
    ///
    /// # Safety
    /// The caller runs the task (it has entered it), and it has not ended.
    pub(super) unsafe fn poll(&self, waker: &Waker) -> bool {
        // SAFETY: passed on.
        unsafe { (self.header().vtable.poll)(self.0, &mut Context::from_waker(waker)) }
    }

    /// Drops the future or the output.
    ///
    /// # Safety
    /// The caller owns the stage: it runs the task, or the task is done and has no other joiner.
    pub(super) unsafe fn clear(&self) {
        // SAFETY: passed on.
        unsafe { (self.header().vtable.clear)(self.0) }
    }

    /// Moves the output out, if there is one, and clears the stage. That is the same for all futures with such an output, and
    /// only there in programs that join one.
    ///
    /// # Safety
    /// As for `clear`; and the task's output is a `T`.
    pub(super) unsafe fn take<T>(&self) -> Option<T> {
        let Header { holds, vtable, .. } = self.header();
        let output = (holds.get() == holds::OUTPUT).then(|| {
            holds.set(holds::NOTHING);
            // SAFETY: the stage is the caller's, lies there and holds the output, which is not read again.
            unsafe { self.0.byte_add(vtable.stage).cast::<T>().read() }
        });
        // SAFETY: passed on.
        unsafe { self.clear() };
        output
    }

    const ACTS: &'static Acts = &Acts {
        // SAFETY: `target` heads a task of this type, as it was made by `spawn`, and the reference is the waker's.
        wake: |target| unsafe { Self::from_raw(target.cast()) }.wake(),
        // SAFETY: as above, but the reference stays the waker's.
        wake_by_ref: |target| ManuallyDrop::new(unsafe { Self::from_raw(target.cast()) }).wake(),
        free: |target| {
            // SAFETY: as above. Nobody refers to the task any more; arena and index are copied out before its memory
            // goes.
            let (arena, index) = unsafe {
                let header = target.cast::<Header<M>>();
                (header.as_ref().arena, header.as_ref().index)
            };
            arena.release_raw(index);
        },
    };

    /// Makes the task ready. Constant time, interrupt-safe.
    #[inline(always)]
    fn wake(&self) {
        let parent = self.header().kernel.with(|ready| ready.make_ready(self.0));
        if let Some(parent) = parent {
            parent.wake();
        }
    }

    /// Makes the task ready, by the function that its wakers call: smaller than what is inlined.
    pub(super) fn wake_as_others_do(&self) {
        // SAFETY: the pointer reaches the whole task, which this reference keeps.
        unsafe { WakeTarget::wake_by_ref(self.0.cast()) }
    }

    /// Asks the kernel to drop the future instead of polling it again.
    pub(super) fn cancel(&self) {
        let header = self.header();
        header.kernel.with(|_| header.flags.set(header.flags.get() | flag::CANCEL));
        self.wake_as_others_do();
    }

    pub(super) fn kernel(&self) -> &'static Ready<M> {
        self.header().kernel
    }
}

/// # Safety
/// As for [`TaskRef::poll`], with the task's own type.
unsafe fn poll<F: Future, M: RawMutex + 'static>(
    task: NonNull<Header<M>>,
    cx: &mut Context<'_>,
) -> bool {
    // SAFETY: the caller runs the task, so the stage is its own, and holds the future: a task that has ended is not
    // run again. The future never moves: the payload is in hand, and it is dropped in place.
    unsafe {
        let holds = &task.as_ref().holds;
        let stage = (*task.cast::<Task<F, M>>().as_ptr()).stage.get();
        let Poll::Ready(output) = Pin::new_unchecked(&mut *(*stage).future).poll(cx) else {
            return false;
        };
        // Should the future's `Drop` panic, it is not dropped again.
        holds.set(holds::NOTHING);
        ManuallyDrop::drop(&mut (*stage).future);
        stage.cast::<F::Output>().write(output);
        holds.set(holds::OUTPUT);
        true
    }
}

/// # Safety
/// As for [`TaskRef::clear`], with the task's own type.
unsafe fn clear<F: Future, M: RawMutex + 'static>(task: NonNull<Header<M>>) {
    /// Wipes the stage when it is dropped, also when a `Drop` panics.
    struct Wipe<T>(*mut T);
    impl<T> Drop for Wipe<T> {
        fn drop(&mut self) {
            // SAFETY: the stage, which holds nothing any more.
            unsafe { wipe(self.0) }
        }
    }
    // SAFETY: the stage is the caller's, and `holds` tells what is in it.
    unsafe {
        let stage = (*task.cast::<Task<F, M>>().as_ptr()).stage.get();
        let _wipe = Wipe(stage);
        match task.as_ref().holds.replace(holds::NOTHING) {
            holds::FUTURE => ManuallyDrop::drop(&mut (*stage).future),
            holds::OUTPUT => ManuallyDrop::drop(&mut (*stage).output),
            _ => {}
        }
    }
}

/// Gives each byte a value, so that padding is never read as bytes by a later lease.
///
/// # Safety
/// `stage` may be written.
#[inline]
unsafe fn wipe<T>(stage: *mut T) {
    #[cfg(not(target_arch = "arm"))]
    // SAFETY: by the caller's word.
    unsafe {
        ptr::write_bytes(stage, 0, 1);
    }
    // What the memory holds is as good as any other value: the compiler only has to believe that it was written. That
    // saves a microcontroller the time, and the flash of `memset`.
    #[cfg(target_arch = "arm")]
    // SAFETY: no instruction. To the compiler it is one that may write whatever the pointer reaches, and the caller says
    // that this may be written.
    unsafe {
        core::arch::asm!("/* {} */", in(reg) stage, options(nostack, preserves_flags));
    }
}
