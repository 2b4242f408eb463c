//! The token kernel: a poll loop for futures that live in an arena.
//!
//! There is no heap and no memory per task set aside beforehand: [`Kernel::spawn`] puts the future into
//! the arena and fails, with the future given back, when there is no room. Waking is constant time and
//! may be done from interrupts. Everything else in this crate works under any other executor, too.

mod cancel;
mod clock;
mod driver;
mod join;
mod ready;
mod slot;
mod snapshot;
mod task;
mod tick;
mod timer;

use core::future::Future;
use core::mem::ManuallyDrop;
use core::ptr::NonNull;
use core::task::{Context, Waker};

pub use cancel::{CancelChild, CancelToken, Cancelled};
pub use clock::Clock;
#[cfg(feature = "std")]
pub(crate) use driver::Driver;
pub use driver::drive;
pub use join::JoinHandle;
pub use slot::TaskSlot;
pub use snapshot::KernelSnapshot;
pub use tick::Ticks;
pub use timer::{NoTimers, Sleep, TimerQueue, Timers};

use crate::arena::ArenaRef;
use crate::error::SpawnError;
use crate::sync::feature::{CANCEL, DRIVE};
use crate::sync::waker::BY_FLAG;
use crate::sync::{RawMutex, const_fn};
use ready::{Found, Held, Ready};
use task::{Header, TaskRef, flag};

/// Tasks polled in one call of [`Kernel::poll`].
const BATCH: usize = 16;

/// A poll loop for tasks in an arena.
///
/// Several kernels, at several interrupt priorities or on several cores, may share one arena; several
/// threads may poll one kernel. Memory: the ready queue's eleven words (thirteen under `std`), and the timers (`W`; use
/// [`NoTimers`] for none).
///
/// ```
/// use cloakroom::kernel::{Kernel, Next};
/// use cloakroom::{Arena, sync::CriticalSectionRawMutex};
///
/// type Lock = CriticalSectionRawMutex;
/// static ARENA: Arena<Lock, 64, 64, 16> = Arena::new();
/// static KERNEL: Kernel<Lock> = Kernel::new();
///
/// let answer = KERNEL.spawn(ARENA.handle(), async {
///     KERNEL.timers().after(10).await;
///     42
/// })?;
/// assert_eq!(KERNEL.poll(0), Next::At(10)); // nothing to do before tick 10: sleep
/// assert_eq!(KERNEL.poll(10), Next::Idle);
/// assert!(answer.is_finished());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Kernel<M: RawMutex + 'static, W = Timers<M>> {
    ready: Ready<M>,
    timers: W,
}

/// What a kernel will do next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Next {
    /// There is more to do now: call again.
    Ready,
    /// Nothing before this tick, unless an interrupt or another thread wakes a task.
    At(u64),
    /// Nothing until something wakes a task.
    Idle,
}

impl<M: RawMutex + Sync + 'static> Kernel<M> {
    const_fn! {
        /// A kernel without tasks, with timers.
        pub const fn new() -> Self {
            Self { ready: Ready::new(), timers: Timers::new() }
        }
    }

    /// This kernel's timers. Whoever calls [`poll`](Self::poll) is told the next deadline; a sleep that is begun
    /// elsewhere while the caller sleeps itself is looked at in the next call. Threads that drive a kernel
    /// with the std layer are woken for it.
    pub fn timers(&self) -> &Timers<M> {
        &self.timers
    }
}

impl<M: RawMutex + Sync + 'static> Kernel<M, NoTimers> {
    const_fn! {
        /// A kernel without tasks and without timers.
        pub const fn without_timers() -> Self {
            Self { ready: Ready::new(), timers: NoTimers }
        }
    }
}

impl<M: RawMutex + Sync + 'static> Default for Kernel<M> {
    fn default() -> Self {
        Self::new()
    }
}

impl<M: RawMutex + Sync + 'static, W: TimerQueue> Kernel<M, W> {
    /// Puts `future` into `arena` and makes it ready. Interrupt-safe.
    ///
    /// # Errors
    /// The future comes back when there is no room for it.
    pub fn spawn<F>(
        &'static self,
        arena: ArenaRef<'static, M>,
        future: F,
    ) -> Result<JoinHandle<F::Output, M>, SpawnError<F>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        Ok(self.start(TaskRef::spawn(arena, &self.ready, future)?))
    }

    /// Makes a task that has been begun ready.
    fn start<T>(&self, task: TaskRef<M>) -> JoinHandle<T, M> {
        // The other reference is the kernel's, until the task is done.
        self.ready.with(|ready| ready.tasks += 1);
        task.wake_as_others_do();
        JoinHandle::new(task)
    }

    /// Makes what is due at tick `now` ready, polls a bounded batch of ready tasks, and tells what is
    /// next, so that the caller can put the core to sleep.
    #[inline]
    pub fn poll(&self, now: u64) -> Next {
        self.timers.advance(now);
        // Most calls find nothing.
        if !self.is_idle() && self.poll_batch() {
            return Next::Ready;
        }
        self.next(now)
    }

    #[inline(never)]
    fn poll_batch(&self) -> bool {
        self.run_batch(|ready, after| (ready.next(after), None))
    }

    /// What comes after the last ready task. There is no need to look again whether there is one: whoever made a task
    /// ready since then has woken the driver, or interrupts its sleep.
    #[inline]
    fn next(&self, now: u64) -> Next {
        match self.timers.next_deadline() {
            Some(deadline) if deadline <= now => Next::Ready,
            Some(deadline) => Next::At(deadline),
            None => Next::Idle,
        }
    }

    /// Polls a bounded batch of tasks; whether there may be more. `take` takes the next one after another, and tells whom
    /// to wake for the others. That is one critical section a task.
    #[inline]
    fn run_batch(
        &self,
        take: impl Fn(&mut Held<'_, M>, Option<NonNull<Header<M>>>) -> (Found<M>, Option<Waker>),
    ) -> bool {
        let mut left = BATCH;
        let (mut next, mut helper) = self.ready.with(|ready| take(ready, None));
        loop {
            wake(helper);
            let Found::Task(pointer, mut flags) = next else { return false };
            // SAFETY: a queued task is not done, so the kernel's reference to it exists.
            let task = unsafe { TaskRef::from_raw(pointer) };
            let waker = task.waker();
            // Polls that needed no critical section to go on.
            let mut repeats = 0;
            let ended = loop {
                let ended = self.run_task(&task, &waker, flags);
                left -= 1;
                if left == 0 {
                    self.leave_batch(task, ended, repeats);
                    return true;
                }
                let Header { target, flags: marks, .. } = task.header();
                if BY_FLAG && !ended && target.is_woken() && self.is_idle() {
                    // Nobody else is ready: it goes on, as it would if it were queued and taken out again.
                    target.begin_again();
                    repeats += 1;
                    flags = marks.get().into();
                    continue;
                }
                (next, helper) = self.ready.with(|ready| {
                    ready.count_repeats(repeats);
                    take(ready, Some(pointer))
                });
                repeats = 0;
                let Found::Same(again) = next else { break ended };
                wake(helper);
                flags = again;
            };
            keep(task, ended);
        }
    }

    /// Leaves the last task of a batch, for others to go on with.
    #[inline(never)]
    fn leave_batch(&self, task: TaskRef<M>, ended: bool, repeats: u32) {
        let woken = self.ready.with(|ready| {
            ready.count_repeats(repeats);
            ready.suspend(task.as_raw())
        });
        // As if whoever has woken it while it ran did so now: that is rare, and what a waker does is there anyway. One that has
        // ended stays so.
        if woken {
            task.wake_as_others_do();
        }
        keep(task, ended);
    }

    /// As [`poll`](Self::poll), under another executor: `cx` is woken when a task becomes ready. One
    /// executor's, that is: the last that called.
    pub fn poll_under(&self, now: u64, cx: &mut Context<'_>) -> Next {
        DRIVE.raise();
        let waker = cx.waker().clone();
        let old = self.ready.with(|ready| ready.parent.replace(waker));
        drop(old);
        self.poll(now)
    }

    /// Polls for ever, with a `clock`. `idle` is called when nothing is ready: to sleep until the next
    /// tick that matters or until an interrupt, for example by `wfi` or `wfe`. A wake-up from an
    /// interrupt between the last look and the sleep must end the sleep: `wfe` does by itself, `wfi`
    /// with interrupts masked around a last [`is_idle`](Self::is_idle).
    pub fn run(&self, clock: &impl Clock, mut idle: impl FnMut(Next)) -> ! {
        loop {
            let next = self.poll(clock.now());
            if next != Next::Ready {
                let before = clock.now();
                idle(next);
                self.add_idle(clock.now().saturating_sub(before));
            }
        }
    }

    /// Gives up to `budget` pages of work to `arena`'s compaction if a request has failed for want of
    /// it. For the idle hook, or between polls.
    pub fn keep_house(&self, arena: ArenaRef<'_, M>, budget: usize) {
        arena.compact_on_demand(budget);
    }

    /// Makes sleeps that are due ready, without polling tasks.
    #[cfg(feature = "std")]
    pub(crate) fn advance(&self, now: u64) {
        self.timers.advance(now);
    }

    /// Whether no task is ready. Timers are not asked.
    pub fn is_idle(&self) -> bool {
        self.ready.is_empty()
    }

    /// Runs a task that was taken from the ready queue, whose flags were these, with its `waker`; whether it has ended.
    #[inline]
    fn run_task(&self, task: &TaskRef<M>, waker: &Waker, flags: u32) -> bool {
        let cancel = flags & u32::from(flag::CANCEL) != 0 && CANCEL.is_used();
        // Whatever happens, a panic included, the future does not outlive its last poll.
        let mut end = End { ready: &self.ready, task, has_output: false };
        // SAFETY: whoever took it has entered it, so nobody else runs it, and it is not done.
        if !cancel && !unsafe { task.poll(waker) } {
            core::mem::forget(end);
            return false;
        }
        end.has_output = !cancel;
        drop(end);
        true
    }
}

/// The kernel keeps its reference to a task until that has ended.
#[inline]
fn keep<M: RawMutex + Sync + 'static>(task: TaskRef<M>, ended: bool) {
    if !ended {
        let _ = task.into_raw();
    }
}

/// Ends a task when it is dropped: with its output, or as cancelled.
struct End<'k, M: RawMutex + Sync + 'static> {
    ready: &'k Ready<M>,
    task: &'k TaskRef<M>,
    has_output: bool,
}

impl<M: RawMutex + Sync + 'static> Drop for End<'_, M> {
    // What is inlined passes its fields by value: so a task that goes on does not pay for them (4 instructions on a
    // Cortex-M3).
    #[inline(always)]
    fn drop(&mut self) {
        end(self.ready, self.task.as_raw(), self.has_output);
    }
}

/// Ends a task, which the caller runs and has a reference to.
#[inline(never)]
fn end<M: RawMutex + Sync + 'static>(ready: &Ready<M>, task: NonNull<Header<M>>, has_output: bool) {
    // SAFETY: the reference stays the caller's.
    let task = &*ManuallyDrop::new(unsafe { TaskRef::from_raw(task) });
    // Marks it as done in any case, even if the future's `Drop` panics.
    let _mark = Mark { ready, task, has_output };
    if !has_output {
        // SAFETY: this runner owns the stage until the task is marked.
        unsafe { task.clear() };
    }
}

/// The second half of [`end`].
struct Mark<'k, M: RawMutex + Sync + 'static> {
    ready: &'k Ready<M>,
    task: &'k TaskRef<M>,
    has_output: bool,
}

impl<M: RawMutex + Sync + 'static> Drop for Mark<'_, M> {
    fn drop(&mut self) {
        let Self { ready, task, has_output } = *self;
        let header = task.header();
        let (detached, joiner, awaited) = ready.with(|ready| {
            ready.tasks -= 1;
            let ended = if has_output { flag::DONE } else { flag::DONE | flag::CANCELLED };
            let flags = header.flags.get();
            header.flags.set(flags | ended);
            // SAFETY: under the kernel's lock.
            let joiner = unsafe { header.take_joiner() };
            // Whoever falls asleep later sees that there are no tasks.
            let awaited = ready.tasks == 0 && ready.has_drives();
            (flags & flag::DETACHED != 0, joiner, awaited)
        });
        let _told = awaited.then(|| Tell(ready));
        if detached {
            // SAFETY: done, and nobody will join, so the stage is still this runner's.
            unsafe { task.clear() };
        }
        wake(joiner);
    }
}

/// Wakes those who wait for the last task to end when it is dropped, though the output's `Drop` panics.
struct Tell<'k, M: RawMutex + 'static>(&'k Ready<M>);

impl<M: RawMutex + 'static> Drop for Tell<'_, M> {
    fn drop(&mut self) {
        while let Some(waker) = self.0.with(|ready| ready.finished_drive()) {
            waker.wake();
        }
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}
