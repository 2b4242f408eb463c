//! The token kernel: a poll loop for futures that live in an arena.
//!
//! There is no heap and no memory per task set aside beforehand: [`Kernel::spawn`] puts the future into
//! the arena and fails, with the future given back, when there is no room. Waking is constant time and
//! may be done from interrupts. Everything else in this crate works under any other executor, too.

mod cancel;
mod clock;
mod driver;
mod join;
mod snapshot;
mod task;
mod tick;
mod timer;

use core::future::Future;
use core::ptr::{self, NonNull};
use core::task::{Context, Waker};

pub use cancel::{CancelChild, CancelToken, Cancelled};
pub use clock::Clock;
#[cfg(feature = "std")]
pub(crate) use driver::Driver;
pub use driver::drive;
pub use join::JoinHandle;
pub use snapshot::KernelSnapshot;
pub use tick::Ticks;
pub use timer::{NoTimers, Sleep, TimerQueue, Timers};

use crate::arena::ArenaRef;
use crate::error::SpawnError;
use crate::sync::wait::{State, Token, TokenList};
use crate::sync::{Locked, RawMutex, const_fn};
use task::{Header, TaskRef, flag};

/// Tasks polled in one call of [`Kernel::poll`].
const BATCH: usize = 16;

/// A poll loop for tasks in an arena.
///
/// Several kernels, at several interrupt priorities or on several cores, may share one arena; several
/// threads may poll one kernel. Memory: the ready queue's ten words (twelve under `std`), and the timers (`W`; use
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
    shared: Locked<M, Shared<M>>,
    timers: W,
}

/// The ready queue and the counters, under the kernel's lock.
struct Shared<M: RawMutex + 'static> {
    head: *const Header<M>,
    tail: *const Header<M>,
    /// Woken when the queue stops being empty: the executor or thread that drives this kernel.
    parent: Option<Waker>,
    /// Threads that sleep until there is something to do, or the next deadline; the first of them is woken first.
    #[cfg(feature = "std")]
    threads: TokenList,
    /// Futures, [`drive`], that do so until the last task has ended; woken before `parent`.
    drives: TokenList,
    /// How many of them are awake and about to look for a task.
    searching: u32,
    ready: u32,
    tasks: u32,
    polls: u32,
    wakes: u32,
    /// Ticks that its drivers have slept; wraps.
    slept: usize,
}

// SAFETY: the queue's pointers are to tasks that are `Send` and kept alive by the kernel's references.
unsafe impl<M: RawMutex + Sync + 'static> Send for Shared<M> {}

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
            Self { shared: Locked::new(Shared::new()), timers: Timers::new() }
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
            Self { shared: Locked::new(Shared::new()), timers: NoTimers }
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
        let task = TaskRef::spawn(arena, &self.shared, future)?;
        let handle = JoinHandle::new(task.clone());
        // The kernel's own reference, until the task is done.
        let task = task.into_raw();
        let parent = self.shared.with(|shared| {
            shared.tasks += 1;
            shared.make_ready(task)
        });
        wake(parent);
        Ok(handle)
    }

    /// Makes what is due at tick `now` ready, polls a bounded batch of ready tasks, and tells what is
    /// next, so that the caller can put the core to sleep.
    pub fn poll(&self, now: u64) -> Next {
        self.poll_batch(now, || self.shared.with(Shared::pop))
    }

    #[inline]
    fn poll_batch(&self, now: u64, pop: impl Fn() -> Option<(NonNull<Header<M>>, usize)>) -> Next {
        self.timers.advance(now);
        for _ in 0..BATCH {
            let Some((task, flags)) = pop() else {
                // There is no need to look again: whoever made a task ready since then has woken the
                // driver, or interrupts its sleep.
                return match self.timers.next_deadline() {
                    Some(deadline) if deadline <= now => Next::Ready,
                    Some(deadline) => Next::At(deadline),
                    None => Next::Idle,
                };
            };
            // SAFETY: a queued task is not done, so the kernel's reference to it exists.
            self.run_task(unsafe { TaskRef::from_raw(task) }, flags);
        }
        Next::Ready
    }

    /// As [`poll`](Self::poll), under another executor: `cx` is woken when a task becomes ready. One
    /// executor's, that is: the last that called.
    pub fn poll_under(&self, now: u64, cx: &mut Context<'_>) -> Next {
        let waker = cx.waker().clone();
        let old = self.shared.with(|shared| shared.parent.replace(waker));
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
        self.shared.with(|shared| shared.head.is_null())
    }

    /// Runs a task that was taken from the ready queue. `task` is the kernel's reference: given back
    /// unless the task ends. Apart from `poll`, so that a poll with nothing to do is short.
    #[inline(never)]
    fn run_task(&self, task: TaskRef<M>, flags: usize) {
        let header = task.header();
        let cancel = flags & flag::CANCEL != 0;
        // Whatever happens, a panic included, the future does not outlive its last poll.
        let mut end = End { shared: &self.shared, task: &task, has_output: false };
        // SAFETY: `pop` has set RUNNING, so nobody else runs it, and the stage holds the future.
        if !cancel && !unsafe { task.poll() } {
            core::mem::forget(end);
            let parent = self.shared.with(|shared| {
                let flags = header.flags.get();
                header.flags.set(flags & !(flag::RUNNING | flag::NOTIFIED));
                if flags & flag::NOTIFIED != 0 { shared.make_ready(task.as_raw()) } else { None }
            });
            // The kernel keeps its reference.
            let _ = task.into_raw();
            wake(parent);
            return;
        }
        end.has_output = !cancel;
        drop(end);
        // `task`, the kernel's reference, is dropped here.
    }
}

/// Ends a task when it is dropped: with its output, or as cancelled.
struct End<'k, M: RawMutex + Sync + 'static> {
    shared: &'k Locked<M, Shared<M>>,
    task: &'k TaskRef<M>,
    has_output: bool,
}

impl<M: RawMutex + Sync + 'static> Drop for End<'_, M> {
    fn drop(&mut self) {
        // Marks it as done in any case, even if the future's `Drop` panics.
        let _mark = Mark(self);
        if !self.has_output {
            // SAFETY: this runner owns the stage until the task is marked.
            unsafe { self.task.clear() };
        }
    }
}

/// The second half of [`End`].
struct Mark<'e, 'k, M: RawMutex + Sync + 'static>(&'e End<'k, M>);

impl<M: RawMutex + Sync + 'static> Drop for Mark<'_, '_, M> {
    fn drop(&mut self) {
        let End { shared, task, has_output } = *self.0;
        let header = task.header();
        let (detached, joiner, awaited) = shared.with(|shared| {
            shared.tasks -= 1;
            let ended = if has_output { flag::DONE } else { flag::DONE | flag::CANCELLED };
            let flags = header.flags.get();
            header.flags.set(flags & !(flag::RUNNING | flag::NOTIFIED) | ended);
            // SAFETY: under the kernel's lock.
            let joiner = unsafe { header.joiner.get().replace(Waker::noop().clone()) };
            // Whoever falls asleep later sees that there are no tasks.
            let awaited = shared.tasks == 0 && !shared.drives.is_empty();
            (flags & flag::DETACHED != 0, joiner, awaited)
        });
        let _told = awaited.then(|| Tell(shared));
        if detached {
            // SAFETY: done, and nobody will join, so the stage is still this runner's.
            unsafe { task.clear() };
        }
        joiner.wake();
    }
}

/// Wakes those who wait for the last task to end when it is dropped, though the output's `Drop` panics.
struct Tell<'k, M: RawMutex + 'static>(&'k Locked<M, Shared<M>>);

impl<M: RawMutex + 'static> Drop for Tell<'_, M> {
    fn drop(&mut self) {
        while let Some(waker) = self.0.with(Shared::finished_drive) {
            waker.wake();
        }
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

impl<M: RawMutex + 'static> Shared<M> {
    const fn new() -> Self {
        Self {
            head: ptr::null(),
            tail: ptr::null(),
            parent: None,
            #[cfg(feature = "std")]
            threads: TokenList::new(),
            drives: TokenList::new(),
            searching: 0,
            ready: 0,
            tasks: 0,
            polls: 0,
            wakes: 0,
            slept: 0,
        }
    }

    /// Queues a task, unless it is queued, ended, or running (then it is noted). Returns the waker of
    /// whoever drives the kernel, if the queue was empty.
    #[inline]
    fn make_ready(&mut self, pointer: NonNull<Header<M>>) -> Option<Waker> {
        // SAFETY: the caller has a counted reference, and so has the kernel to every task in the
        // queue, as these are not done.
        let task = unsafe { pointer.as_ref() };
        let flags = task.flags.get();
        if flags & (flag::QUEUED | flag::DONE) != 0 {
            return None;
        }
        if flags & flag::RUNNING != 0 {
            task.flags.set(flags | flag::NOTIFIED);
            return None;
        }
        self.wakes = self.wakes.wrapping_add(1);
        self.ready += 1;
        task.flags.set(flags | flag::QUEUED);
        task.next.set(ptr::null());
        // Not from `task`: the queue's pointers reach the whole task, not only its header.
        let whole = pointer.as_ptr().cast_const();
        // SAFETY: as above.
        let previous = unsafe { self.tail.as_ref() };
        self.tail = whole;
        match previous {
            Some(tail) => {
                tail.next.set(whole);
                None
            }
            None => {
                self.head = whole;
                if self.searching > 0 { None } else { self.driver() }
            }
        }
    }

    /// Who shall be told that there is something to do.
    fn driver(&mut self) -> Option<Waker> {
        self.parked_driver().or_else(|| self.parent.take())
    }

    /// Another driver, if more is ready than is being looked for.
    fn helper(&mut self) -> Option<Waker> {
        if self.head.is_null() || self.searching > 0 { None } else { self.parked_driver() }
    }

    fn parked_driver(&mut self) -> Option<Waker> {
        self.parked_thread().or_else(|| self.parked_drive())
    }

    /// The thread that fell asleep last. It is searching from now on.
    #[cfg(feature = "std")]
    fn parked_thread(&mut self) -> Option<Waker> {
        let token = self.threads.pop_front();
        self.begin_search(token)
    }

    #[cfg(not(feature = "std"))]
    fn parked_thread(&mut self) -> Option<Waker> {
        None
    }

    /// As `parked_thread`, of those that cannot keep the time.
    fn parked_drive(&mut self) -> Option<Waker> {
        let token = self.drives.pop_front();
        self.begin_search(token)
    }

    /// One that waits for no more, if the last task has ended.
    fn finished_drive(&mut self) -> Option<Waker> {
        if self.tasks == 0 { self.parked_drive() } else { None }
    }

    /// Whoever has just been taken off a list will look for a task.
    fn begin_search(&mut self, token: Option<*const Token>) -> Option<Waker> {
        let token = token?;
        self.searching += 1;
        // SAFETY: it was queued until now, and its owner needs the lock to go away.
        unsafe { (*token).settle(State::Granted) }
    }

    /// Takes the first task, marks it as running, and tells its flags.
    #[inline]
    fn pop(&mut self) -> Option<(NonNull<Header<M>>, usize)> {
        let head = NonNull::new(self.head.cast_mut())?;
        // SAFETY: as in `make_ready`.
        let task = unsafe { head.as_ref() };
        self.head = task.next.get();
        if self.head.is_null() {
            self.tail = ptr::null();
        }
        self.ready -= 1;
        self.polls = self.polls.wrapping_add(1);
        let flags = task.flags.get();
        task.flags.set(flags & !flag::QUEUED | flag::RUNNING);
        Some((head, flags))
    }
}
