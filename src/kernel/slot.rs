//! Memory for a task that is no arena's.

use core::cell::UnsafeCell;
use core::future::Future;
use core::mem::{MaybeUninit, offset_of};
use core::ptr::NonNull;

use super::task::{Header, TaskRef, VTable};
use super::{JoinHandle, Kernel, TimerQueue};
use crate::error::{SpawnError, TryAllocError};
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{RawMutex, const_fn};

/// Memory for one task at a time, for [`Kernel::spawn_in`]: in a `static`, instead of an arena.
///
/// There are `BYTES` for the future, then for its output. A future that is larger, or wants more than 8 bytes' alignment (64 bits:
/// 16), does not compile. What a slot costs in a program that has no arena otherwise is its size: `BYTES`, a header of
/// nine words, and what tells whether it is taken. The code for arenas is not linked.
///
/// The slot is free again when the task has ended, and nobody refers to it any more: no [`JoinHandle`], and no waker.
///
/// ```
/// use cloakroom::kernel::{Kernel, Next, NoTimers, TaskSlot};
/// use cloakroom::sync::CriticalSectionRawMutex as Lock;
///
/// static KERNEL: Kernel<Lock, NoTimers> = Kernel::without_timers();
/// static BLINK: TaskSlot<Lock, 64> = TaskSlot::new();
///
/// let answer = KERNEL.spawn_in(&BLINK, async { 42 })?;
/// assert!(KERNEL.spawn_in(&BLINK, async {}).is_err()); // it is taken
/// assert_eq!(KERNEL.poll(0), Next::Idle);
/// assert!(answer.is_finished());
/// drop(answer);
/// assert!(KERNEL.spawn_in(&BLINK, async {}).is_ok());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// What does not fit does not compile:
///
/// ```compile_fail
/// # use cloakroom::kernel::{Kernel, NoTimers, TaskSlot};
/// # use cloakroom::sync::CriticalSectionRawMutex as Lock;
/// # static KERNEL: Kernel<Lock, NoTimers> = Kernel::without_timers();
/// static BLINK: TaskSlot<Lock, 8> = TaskSlot::new();
/// let message = [1u8; 100];
/// let task = KERNEL.spawn_in(&BLINK, async move { core::hint::black_box(message).len() });
/// ```
#[repr(C)]
#[cfg_attr(target_pointer_width = "64", repr(align(16)))]
#[cfg_attr(not(target_pointer_width = "64"), repr(align(8)))]
pub struct TaskSlot<M: RawMutex + 'static, const BYTES: usize> {
    header: UnsafeCell<MaybeUninit<Header<M>>>,
    /// Behind the header: the stage begins here, or a little further on, if it has to be aligned.
    stage: UnsafeCell<[MaybeUninit<u8>; BYTES]>,
    taken: AtomicBool,
}

// SAFETY: header and stage are touched only by who has set `taken`, and by the task that it has put there, which is
// `Send`, and counted and locked as any task is.
unsafe impl<M: RawMutex + Sync + 'static, const BYTES: usize> Sync for TaskSlot<M, BYTES> {}

impl<M: RawMutex + 'static, const BYTES: usize> TaskSlot<M, BYTES> {
    const_fn! {
        /// A slot that is free.
        pub const fn new() -> Self {
            Self {
                header: UnsafeCell::new(MaybeUninit::uninit()),
                stage: UnsafeCell::new([MaybeUninit::uninit(); BYTES]),
                taken: AtomicBool::new(false),
            }
        }
    }

    /// Whether there is a task in it, or somebody refers to one that has ended.
    pub fn is_taken(&self) -> bool {
        // Relaxed: it tells no more than that.
        self.taken.load(Ordering::Relaxed)
    }

    /// That of a task in this slot.
    const fn vtable<F: Future>() -> VTable<M> {
        assert!(align_of::<F>() <= align_of::<Self>(), "a slot is not aligned for this task");
        assert!(
            align_of::<F::Output>() <= align_of::<Self>(),
            "a slot is not aligned for this output"
        );
        VTable::in_slot::<F>(offset_of!(Self, taken))
    }
}

impl<M: RawMutex + 'static, const BYTES: usize> Default for TaskSlot<M, BYTES> {
    fn default() -> Self {
        Self::new()
    }
}

impl<M: RawMutex + Sync + 'static, W: TimerQueue> Kernel<M, W> {
    /// As [`spawn`](Self::spawn), into a `slot` instead of an arena. Constant time, interrupt-safe.
    ///
    /// # Errors
    /// The future comes back, with [`Full`](TryAllocError::Full), while the slot is [taken](TaskSlot::is_taken).
    pub fn spawn_in<F, const BYTES: usize>(
        &'static self,
        slot: &'static TaskSlot<M, BYTES>,
        future: F,
    ) -> Result<JoinHandle<F::Output, M>, SpawnError<F>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let vtable = const { &TaskSlot::<M, BYTES>::vtable::<F>() };
        // SAFETY: the pointer comes from a reference to the whole slot, all of which that is written lies inside cells, and
        // which is as large and aligned as `vtable` has checked.
        let Some(task) =
            (unsafe { self.begin_in(NonNull::from(slot).cast(), &slot.taken, vtable) })
        else {
            return Err(SpawnError { why: TryAllocError::Full, future });
        };
        // SAFETY: nobody knows of it, and `vtable` has checked that there is room.
        unsafe { task.set_stage(future) };
        Ok(self.start(task))
    }

    /// Takes a slot for a task, if it is free: the same for all.
    ///
    /// # Safety
    /// As of [`TaskRef::begin_in_slot`]; `taken` is what tells that the slot is.
    #[inline(never)]
    unsafe fn begin_in(
        &'static self,
        slot: NonNull<Header<M>>,
        taken: &AtomicBool,
        vtable: &'static VTable<M>,
    ) -> Option<TaskRef<M>> {
        // Acquire pairs with the release by which it became free: what was done in it is over.
        // (A swap would write, too, where it is not free; of that and of the store that frees it loom does not know that they come in one order.)
        taken.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed).ok()?;
        // SAFETY: by the caller's word, and it has just been taken.
        Some(unsafe { TaskRef::begin_in_slot(slot, &self.ready, vtable) })
    }
}
