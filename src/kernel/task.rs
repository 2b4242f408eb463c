//! A task: a future in the arena, or in a slot, with a header the ready queue can link.
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
//! The memory is one payload in hand, or a slot. Each waker, the join handle, and the kernel for as long as the
//! task is not done, hold a reference to it, which the header counts; the last one to go gives up the lease, or the slot.

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
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::feature::{CANCEL, JOIN};
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
    /// Whoever joins.
    pub(super) joiner: UnsafeCell<Option<Waker>>,
    vtable: &'static VTable<M>,
    kernel: &'static Ready<M>,
}

/// What tasks in an arena begin with.
#[repr(C)]
struct InArena<M: RawMutex + 'static> {
    header: Header<M>,
    arena: ArenaRef<'static, M>,
    index: usize,
}

impl<M: RawMutex + 'static> Header<M> {
    /// Of a task that has not run yet, with two references.
    fn new(acts: &'static Acts, kernel: &'static Ready<M>, vtable: &'static VTable<M>) -> Self {
        Self {
            target: WakeTarget::new(acts, 2),
            next: Cell::new(ptr::null()),
            flags: Flags(AtomicU8::new(0)),
            joiner: UnsafeCell::new(None),
            holds: Cell::new(holds::FUTURE),
            vtable,
            kernel,
        }
    }

    /// Takes out the waker of whoever joins.
    ///
    /// # Safety
    /// The kernel's lock is held.
    #[inline]
    pub(super) unsafe fn take_joiner(&self) -> Option<Waker> {
        // SAFETY: by the caller's word.
        if JOIN.is_used() { unsafe { (*self.joiner.get()).take() } } else { None }
    }
}

/// What depends on the future's type, and on where the task is.
pub(super) struct VTable<M: RawMutex + 'static> {
    /// Polls the future; stores the output and returns true when it is ready.
    poll: unsafe fn(NonNull<Header<M>>, &mut Context<'_>) -> bool,
    /// Drops what the stage holds, and clears it.
    clear: unsafe fn(NonNull<Header<M>>),
    /// Where the stage lies, in bytes from the header.
    stage: usize,
    /// The same of what tells that a [slot](super::TaskSlot) is taken; of a task in an arena it means nothing.
    taken: usize,
}

impl<M: RawMutex + 'static> VTable<M> {
    /// That of a task which begins with an `H`; in a slot, `taken` tells where that is told.
    const fn of<F: Future, H>(taken: usize) -> Self {
        Self {
            poll: poll::<F, M, H>,
            clear: clear::<F, M, H>,
            stage: offset_of!(Task<F, H>, stage),
            taken,
        }
    }

    /// That of a task in a slot of so many bytes, which ends where it is told whether that is taken.
    pub(super) const fn in_slot<F: Future>(bytes: usize) -> Self {
        assert!(
            offset_of!(Task<F, Header<M>>, stage) + size_of::<Stage<F>>() <= bytes,
            "the slot is too small for this task"
        );
        Self::of::<F, Header<M>>(bytes)
    }
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

/// A task whose memory begins with an `H`: a [`Header`], or an [`InArena`].
#[repr(C)]
struct Task<F: Future, H> {
    head: H,
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
        let vtable = const { &VTable::of::<F, InArena<M>>(0) };
        let layout = const { Layout::new::<Task<F, InArena<M>>>() };
        match Self::begin(arena, layout, kernel, vtable) {
            Ok(task) => {
                // SAFETY: the memory is of the task's layout; the rest is `begin`'s.
                unsafe { task.set_stage(future) };
                Ok(task)
            }
            Err(why) => Err(SpawnError { why, future }),
        }
    }

    /// Memory for a task, with the header in it: the same for futures of all types. The stage is yet to be written.
    #[inline(never)]
    fn begin(
        arena: ArenaRef<'static, M>,
        layout: Layout,
        kernel: &'static Ready<M>,
        vtable: &'static VTable<M>,
    ) -> Result<Self, TryAllocError> {
        if layout.align() > arena.page_align() {
            return Err(TryAllocError::TooLarge);
        }
        let (memory, index) = arena.try_alloc(layout.size())?.into_raw();
        let task = memory.cast::<InArena<M>>();
        let acts = const { &Acts { free: Self::free_in_arena, ..Self::ACTS } };
        // SAFETY: the memory is this task's alone, large enough and aligned (checked above). The header is written,
        // and later the stage, so that what lies between them stays bytes.
        unsafe {
            task.write(InArena { header: Header::new(acts, kernel, vtable), arena, index });
        }
        Ok(Self(task.cast()))
    }

    /// Begins a task in a slot. There are two references: the one that is returned, and the kernel's. The stage is yet
    /// to be written.
    ///
    /// # Safety
    /// `slot` is aligned, reaches as much as the vtable tells, and is this task's alone until it is no longer taken: that
    /// is told by an [`AtomicBool`] at the vtable's place.
    pub(super) unsafe fn begin_in_slot(
        slot: NonNull<Header<M>>,
        kernel: &'static Ready<M>,
        vtable: &'static VTable<M>,
    ) -> Self {
        let acts = const { &Acts { free: Self::free_slot, ..Self::ACTS } };
        // SAFETY: by the caller's word.
        unsafe { slot.write(Header::new(acts, kernel, vtable)) };
        Self(slot)
    }

    /// Writes the future of a task that has just been begun.
    ///
    /// # Safety
    /// Nobody else knows of the task yet. The vtable is that of an `F`, for which there is room where it tells.
    pub(super) unsafe fn set_stage<F>(&self, future: F) {
        // SAFETY: by the caller's word.
        unsafe { self.0.byte_add(self.header().vtable.stage).cast::<F>().write(future) }
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

    const ACTS: Acts = Acts {
        // SAFETY: `target` heads a task of this type, as it was begun, and the reference is the waker's.
        wake: |target| unsafe { Self::from_raw(target.cast()) }.wake(),
        // SAFETY: as above, but the reference stays the waker's.
        wake_by_ref: |target| ManuallyDrop::new(unsafe { Self::from_raw(target.cast()) }).wake(),
        free: Self::free_slot,
    };

    /// # Safety
    /// `target` heads a task in an arena to which nobody refers any more.
    unsafe fn free_in_arena(target: NonNull<WakeTarget>) {
        // SAFETY: by the caller's word. Arena and index are copied out before the task's memory goes.
        let (arena, index) = unsafe {
            let task = target.cast::<InArena<M>>();
            (task.as_ref().arena, task.as_ref().index)
        };
        arena.release_raw(index);
    }

    /// # Safety
    /// `target` heads a task in a slot to which nobody refers any more.
    unsafe fn free_slot(target: NonNull<WakeTarget>) {
        // SAFETY: by the caller's word; it lies where the vtable says, and the pointer reaches it.
        unsafe {
            let taken = target.cast::<Header<M>>().as_ref().vtable.taken;
            // Release: what was done in the slot is over for whoever takes it next.
            target.byte_add(taken).cast::<AtomicBool>().as_ref().store(false, Ordering::Release);
        }
    }

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
        CANCEL.raise();
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
unsafe fn poll<F: Future, M: RawMutex + 'static, H>(
    task: NonNull<Header<M>>,
    cx: &mut Context<'_>,
) -> bool {
    // SAFETY: the caller runs the task, so the stage is its own, and holds the future: a task that has ended is not
    // run again. The future never moves: the payload is in hand, and it is dropped in place.
    unsafe {
        let holds = &task.as_ref().holds;
        let stage = (*task.cast::<Task<F, H>>().as_ptr()).stage.get();
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
unsafe fn clear<F: Future, M: RawMutex + 'static, H>(task: NonNull<Header<M>>) {
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
        let stage = (*task.cast::<Task<F, H>>().as_ptr()).stage.get();
        let _wipe = Wipe(stage);
        match task.as_ref().holds.replace(holds::NOTHING) {
            // Only one that is cancelled, or that panics, has not come to its end.
            holds::FUTURE if CANCEL.is_used() || cfg!(panic = "unwind") => {
                ManuallyDrop::drop(&mut (*stage).future);
            }
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
