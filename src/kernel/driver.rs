//! Driving a kernel from threads, or from tasks of another executor.

use core::cell::Cell;
use core::pin::{Pin, pin};
use core::task::{Context, Poll};

use super::ready::{Found, Held};
#[cfg(feature = "std")]
use super::timer::Watch;
use super::{Kernel, Next, TimerQueue, wake};
use crate::sync::RawMutex;
use crate::sync::feature::DRIVE;
use crate::sync::wait::{State, Token, TokenList};

/// A place among those who drive a kernel: threads, or tasks of another executor.
///
/// ```text
///          ┌───────────── finds nothing ──────────────┐
///          ▼                                          │
///       parked ── woken, or wakes by itself ──► searching ── takes a task ──► busy ──┐
///          ▲                                                                   ▲    │ next task
///          └───────────────────────── finds nothing ───────────────────────────┴────┘
/// ```
///
/// Who makes a task ready wakes a driver unless one is searching: that one will find it. Who takes a task and
/// leaves more wakes the next, unless one is searching. So as many run as there is work for, and nobody
/// is woken twice for one task. The last to fall asleep is the first to be woken, threads before tasks. Under the `std`
/// feature one of the threads that sleep keeps the time. Tasks wait for the last task of the kernel to end, too.
pub(crate) struct Driver<'k, M: RawMutex + Sync + 'static, W: TimerQueue> {
    kernel: &'k Kernel<M, W>,
    token: Token,
    /// It is one of those whom the kernel counts as searching.
    searching: Cell<bool>,
    /// It can sleep until a deadline.
    is_timed: bool,
    /// It has kept the time, and nobody has taken that over.
    kept_time: Cell<bool>,
}

impl<'k, M: RawMutex + Sync + 'static, W: TimerQueue> Driver<'k, M, W> {
    /// One that can sleep until a deadline.
    #[cfg(feature = "std")]
    pub(crate) fn new(kernel: &'k Kernel<M, W>) -> Self {
        Self::of(kernel, true)
    }

    fn of(kernel: &'k Kernel<M, W>, is_timed: bool) -> Self {
        Self {
            kernel,
            token: Token::new(),
            searching: Cell::new(false),
            is_timed,
            kept_time: Cell::new(false),
        }
    }

    /// It is awake, and will [`poll`](Self::poll) at once: there is no need to wake another one for what becomes
    /// ready until then.
    #[cfg(feature = "std")]
    pub(crate) fn search(self: Pin<&mut Self>) {
        self.kernel.ready.with(|ready| self.begin_search(ready));
    }

    /// It is awake, and will be busy with something else: what it was woken for, and the time, are another thread's.
    #[cfg(feature = "std")]
    pub(crate) fn stand_aside(self: Pin<&mut Self>) {
        self.resign();
        let successor = self.kernel.ready.with(|ready| {
            self.begin_search(ready);
            self.end_search(ready);
            let keeper = ready.keeper(self.kept_time.take());
            keeper.or_else(|| if ready.is_empty() { None } else { ready.searcher() })
        });
        wake(successor);
    }

    fn begin_search(&self, ready: &mut Held<'_, M>) {
        match self.token.state() {
            // Whoever woke it has counted it.
            State::Granted => self.token.set_state(State::Idle),
            State::Queued => {
                // SAFETY: queued.
                unsafe { self.list(ready).remove(&raw const self.token) };
                ready.searching += 1;
            }
            _ => return,
        }
        self.searching.set(true);
    }

    /// Where it is parked.
    fn list<'s>(&self, ready: &'s mut Held<'_, M>) -> &'s mut TokenList {
        #[cfg(feature = "std")]
        if self.is_timed {
            return &mut ready.threads;
        }
        &mut ready.drives
    }

    fn end_search(&self, ready: &mut Held<'_, M>) {
        ready.searching -= u32::from(self.searching.replace(false));
    }

    /// As [`Kernel::poll`]; unless more is ready, `cx` will be woken when it is.
    pub(crate) fn poll(self: Pin<&mut Self>, now: u64, cx: &mut Context<'_>) -> Next {
        // SAFETY: nothing pinned is moved.
        let this = unsafe { self.get_unchecked_mut() };
        DRIVE.raise();
        let ready = &this.kernel.ready;
        ready.with(|ready| this.begin_search(ready));
        this.resign();
        this.kernel.timers.advance(now);
        let more = this.kernel.run_batch(|ready, after| {
            let task = ready.next(after);
            if matches!(task, Found::Nothing) {
                return (task, None);
            }
            this.end_search(ready);
            // It is busy from now on: if it has kept the time, the next one does.
            let keeper = ready.keeper(this.kept_time.take());
            (task, keeper.or_else(|| ready.helper()))
        });
        let next = if more { Next::Ready } else { this.kernel.next(now) };
        if next == Next::Ready {
            return next;
        }
        let token = &this.token;
        let waker = cx.waker().clone();
        let (unused, more) = ready.with(|ready| {
            if !ready.is_empty() {
                return (Some(waker), true);
            }
            this.end_search(ready);
            // SAFETY: pinned, in no list, and taken out in `drop`.
            unsafe { this.list(ready).push_front(token) };
            // It sees to that it is kept, below.
            #[cfg(feature = "std")]
            {
                ready.unkept &= !this.is_timed;
            }
            (token.set_waker(Some(waker)), false)
        });
        drop(unused);
        match more {
            true => Next::Ready,
            false if this.is_timed => this.keep_time(now, next, cx),
            false => Next::Idle,
        }
    }

    /// What is next for a driver that is about to sleep.
    #[cfg(feature = "std")]
    fn keep_time(&self, now: u64, _next: Next, cx: &Context<'_>) -> Next {
        self.kept_time.set(false);
        match self.kernel.timers.keep(self.name(), cx.waker()) {
            Watch::Keep(Some(deadline)) if deadline <= now => Next::Ready,
            Watch::Keep(Some(deadline)) => Next::At(deadline),
            Watch::Keep(None) | Watch::Sleep => Next::Idle,
        }
    }

    #[cfg(not(feature = "std"))]
    fn keep_time(&self, _now: u64, next: Next, _cx: &Context<'_>) -> Next {
        next
    }

    /// It is awake, and keeps the time no longer.
    fn resign(&self) {
        #[cfg(feature = "std")]
        if self.kernel.timers.resign(self.name()) {
            self.kept_time.set(true);
        }
    }

    #[cfg(feature = "std")]
    fn name(&self) -> usize {
        (&raw const self.token).addr()
    }
}

impl<M: RawMutex + Sync + 'static, W: TimerQueue> Drop for Driver<'_, M, W> {
    fn drop(&mut self) {
        self.resign();
        // Others may count on this one for what is ready, and for the next deadline, which may be yet to come.
        let timed = self.kept_time.get() || self.kernel.timers.next_deadline().is_some();
        let (waker, successor) = self.kernel.ready.with(|ready| {
            self.begin_search(ready);
            self.end_search(ready);
            let needed = timed || !ready.is_empty();
            (self.token.take_waker(), if needed { ready.driver() } else { None })
        });
        drop(waker);
        wake(successor);
    }
}

/// A kernel as a future of another executor: polls until all tasks have ended.
///
/// ```
/// # use cloakroom::{Arena, kernel::{Kernel, drive}, sync::CriticalSectionRawMutex};
/// # type Lock = CriticalSectionRawMutex;
/// # static ARENA: Arena<Lock, 64, 64, 16> = Arena::new();
/// # static KERNEL: Kernel<Lock> = Kernel::new();
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// KERNEL.spawn(ARENA.handle(), async {})?;
/// drive(&KERNEL).await; // timers are advanced by others
/// # Ok(()) }
/// ```
pub async fn drive<M: RawMutex + Sync + 'static, W: TimerQueue>(kernel: &Kernel<M, W>) {
    let mut driver = pin!(Driver::of(kernel, false));
    core::future::poll_fn(|cx| {
        if driver.as_mut().poll(0, cx) == Next::Ready {
            cx.waker().wake_by_ref();
        }
        if kernel.snapshot().tasks == 0 { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

#[cfg(all(test, feature = "std", not(loom), not(shuttle)))]
mod tests {
    use core::future::{Future, poll_fn};
    use core::pin::pin;
    use core::task::{Context, Poll, Waker};
    use std::panic::catch_unwind;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
    use std::task::Wake;

    use super::{Driver, drive};
    use crate::Arena;
    use crate::channel::{Buffered, Channel};
    use crate::kernel::{Kernel, Next};
    use crate::std_layer::StdRawMutex;

    #[derive(Default)]
    struct Wakes(AtomicU32);

    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, SeqCst);
        }
    }

    /// While a driver runs a task, another one is awake that will keep the time: whatever has woken the one that
    /// did, and whatever has become ready since.
    #[test]
    fn the_time_is_kept_while_the_keeper_is_busy() {
        for woken_for_a_sleep in [true, false] {
            static ARENA: Arena<StdRawMutex, 64, 64, 16> = Arena::new();
            let kernel: &'static Kernel<StdRawMutex> =
                std::boxed::Box::leak(std::boxed::Box::default());
            let keeper_wakes = Arc::new(Wakes::default());
            let other_wakes = Arc::new(Wakes::default());
            let (keeper_waker, other_waker) =
                (Waker::from(keeper_wakes.clone()), Waker::from(other_wakes.clone()));
            let mut keeper_cx = Context::from_waker(&keeper_waker);
            let mut keeper = pin!(Driver::new(kernel));
            let mut other = pin!(Driver::new(kernel));

            let seen = other_wakes.clone();
            let mut sleep = pin!(kernel.timers().at(10));
            let task = async move {
                if !woken_for_a_sleep {
                    kernel.timers().at(10).await;
                }
                // Busy from here on.
                poll_fn(|_| Poll::Ready(seen.0.load(SeqCst))).await
            };
            let mut task = Some(task);
            let mut joined = None;
            if !woken_for_a_sleep {
                joined = task.take().map(|task| kernel.spawn(ARENA.handle(), task).unwrap());
            }
            assert!(!matches!(keeper.as_mut().poll(0, &mut keeper_cx), Next::Ready));
            let mut other_cx = Context::from_waker(&other_waker);
            assert_eq!(other.as_mut().poll(0, &mut other_cx), Next::Idle);
            // It wakes by itself and falls asleep again: now it is the first to be woken.
            assert!(!matches!(keeper.as_mut().poll(0, &mut keeper_cx), Next::Ready));
            let before = other_wakes.0.load(SeqCst);
            if woken_for_a_sleep {
                assert!(sleep.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
                joined = task.take().map(|task| kernel.spawn(ARENA.handle(), task).unwrap());
            }
            let _ = keeper.as_mut().poll(10, &mut keeper_cx);
            let mut joined = pin!(joined.unwrap());
            let Poll::Ready(seen) = joined.as_mut().poll(&mut keeper_cx) else {
                panic!("it has ended")
            };
            assert_eq!(seen, Ok(before + 1));
        }
    }

    /// A busy thread hands the time over to one that can keep it, and wakes nobody else.
    #[test]
    fn the_time_is_handed_to_a_thread() {
        static ARENA: Arena<StdRawMutex, 64, 64, 16> = Arena::new();
        static KERNEL: Kernel<StdRawMutex> = Kernel::new();
        let (thread_wakes, drive_wakes) = (Arc::new(Wakes::default()), Arc::new(Wakes::default()));
        let (thread_waker, drive_waker) =
            (Waker::from(thread_wakes.clone()), Waker::from(drive_wakes.clone()));
        let mut keeper_cx = Context::from_waker(Waker::noop());
        let seen = [thread_wakes, drive_wakes];
        let task = KERNEL.spawn(ARENA.handle(), async move {
            KERNEL.timers().at(10).await;
            seen.map(|wakes| wakes.0.load(SeqCst))
        });
        let mut keeper = pin!(Driver::new(&KERNEL));
        assert_eq!(keeper.as_mut().poll(0, &mut keeper_cx), Next::At(10));
        let mut thread = pin!(Driver::new(&KERNEL));
        let next = thread.as_mut().poll(0, &mut Context::from_waker(&thread_waker));
        assert_eq!(next, Next::Idle);
        let mut drive = pin!(drive(&KERNEL));
        let mut drive_cx = Context::from_waker(&drive_waker);
        assert!(drive.as_mut().poll(&mut drive_cx).is_pending());
        let _ = keeper.as_mut().poll(10, &mut keeper_cx);
        let Poll::Ready(seen) = pin!(task.unwrap()).poll(&mut keeper_cx) else {
            panic!("it has ended")
        };
        assert_eq!(seen, Ok([1, 0]));
        assert!(drive.as_mut().poll(&mut drive_cx).is_ready());
    }

    /// When the last task has ended, those who wait for that are woken, and no thread is.
    #[test]
    fn the_last_task_wakes_those_who_wait_for_it() {
        static ARENA: Arena<StdRawMutex, 64, 64, 16> = Arena::new();
        static KERNEL: Kernel<StdRawMutex> = Kernel::new();
        static DOOR: Channel<StdRawMutex, (), Buffered<1>> = Channel::new();
        let wakes = [(); 4].map(|()| Arc::new(Wakes::default()));
        let wakers = wakes.clone().map(Waker::from);
        let [mut first_cx, mut second_cx, mut thread_cx, mut runner_cx] =
            wakers.each_ref().map(Context::from_waker);
        assert!(KERNEL.spawn(ARENA.handle(), DOOR.recv()).is_ok());
        let (mut first, mut second) = (pin!(drive(&KERNEL)), pin!(drive(&KERNEL)));
        let mut thread = pin!(Driver::new(&KERNEL));
        let mut runner = pin!(Driver::new(&KERNEL));
        assert_eq!(thread.as_mut().poll(0, &mut thread_cx), Next::Idle);
        assert!(first.as_mut().poll(&mut first_cx).is_pending());
        assert!(second.as_mut().poll(&mut second_cx).is_pending());
        assert_eq!(runner.as_mut().poll(0, &mut runner_cx), Next::Idle);
        // It was the last to fall asleep, so it is woken, and runs the task.
        assert!(DOOR.try_send(()).is_ok());
        assert_eq!(runner.as_mut().poll(0, &mut runner_cx), Next::Idle);
        assert_eq!(wakes.each_ref().map(|wakes| wakes.0.load(SeqCst)), [1, 1, 0, 1]);
        assert!(first.as_mut().poll(&mut first_cx).is_ready());
        assert!(second.as_mut().poll(&mut second_cx).is_ready());
    }

    /// Whatever its output's destructor does.
    #[test]
    fn the_last_task_wakes_them_though_its_output_panics() {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                panic!("bomb");
            }
        }
        static ARENA: Arena<StdRawMutex, 64, 64, 16> = Arena::new();
        static KERNEL: Kernel<StdRawMutex> = Kernel::new();
        static DOOR: Channel<StdRawMutex, (), Buffered<1>> = Channel::new();
        let wakes = Arc::new(Wakes::default());
        let waker = Waker::from(wakes.clone());
        let mut cx = Context::from_waker(&waker);
        let task = KERNEL.spawn(ARENA.handle(), async {
            let _ = DOOR.recv().await;
            Bomb
        });
        drop(task);
        let mut drive = pin!(drive(&KERNEL));
        assert!(drive.as_mut().poll(&mut cx).is_pending());
        let mut runner = pin!(Driver::new(&KERNEL));
        assert_eq!(runner.as_mut().poll(0, &mut Context::from_waker(Waker::noop())), Next::Idle);
        assert!(DOOR.try_send(()).is_ok());
        assert!(catch_unwind(|| KERNEL.poll(0)).is_err());
        assert_eq!(wakes.0.load(SeqCst), 1);
        assert!(drive.as_mut().poll(&mut cx).is_ready());
    }
}
