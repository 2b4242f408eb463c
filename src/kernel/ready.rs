//! The ready queue of a kernel, and who takes from it.

use core::ops::{Deref, DerefMut};
use core::ptr::{self, NonNull};
use core::task::Waker;

use super::task::{Header, flag};
use crate::sync::atomic::Ordering;
use crate::sync::feature::DRIVE;
use crate::sync::plain::AtomicPtr;
use crate::sync::wait::{State, Token, TokenList};
use crate::sync::{Locked, RawMutex, const_fn};

/// What a kernel's tasks, and those who drive it, share.
pub(super) struct Ready<M: RawMutex + 'static> {
    /// The first task. Changed under the lock, but looked at without: most polls find nothing, and need no
    /// critical section to see that.
    head: AtomicPtr<Header<M>>,
    shared: Locked<M, Shared<M>>,
}

/// What the kernel's lock guards.
pub(super) struct Shared<M: RawMutex + 'static> {
    /// Means nothing while there is no head.
    tail: *const Header<M>,
    /// Woken when the queue stops being empty: the executor or thread that drives this kernel.
    pub(super) parent: Option<Waker>,
    /// Threads that sleep until there is something to do, or the next deadline; the first of them is woken first.
    #[cfg(feature = "std")]
    pub(super) threads: TokenList,
    /// Whoever kept the time has become busy, and no thread has fallen asleep since.
    #[cfg(feature = "std")]
    pub(super) unkept: bool,
    /// Futures, [`drive`](super::drive), that do so until the last task has ended; woken before `parent`.
    pub(super) drives: TokenList,
    /// How many of them are awake and about to look for a task.
    pub(super) searching: u32,
    pub(super) tasks: u32,
    /// Tasks taken out of the queue.
    pub(super) polls: u32,
    /// Tasks put into it.
    pub(super) wakes: u32,
    /// Ticks that its drivers have slept; wraps.
    pub(super) slept: usize,
}

// SAFETY: the queue's pointers are to tasks that are `Send` and kept alive by the kernel's references.
unsafe impl<M: RawMutex + Sync + 'static> Send for Shared<M> {}
/// A kernel's queue with its lock held.
pub(super) struct Held<'r, M: RawMutex + 'static> {
    head: &'r AtomicPtr<Header<M>>,
    shared: &'r mut Shared<M>,
}

impl<M: RawMutex + 'static> Deref for Held<'_, M> {
    type Target = Shared<M>;
    #[inline]
    fn deref(&self) -> &Shared<M> {
        self.shared
    }
}

impl<M: RawMutex + 'static> DerefMut for Held<'_, M> {
    #[inline]
    fn deref_mut(&mut self) -> &mut Shared<M> {
        self.shared
    }
}

/// What is to be done next. A task comes with its flags until it was taken from the queue.
pub(super) enum Found<M: RawMutex + 'static> {
    Nothing,
    /// The task that has been polled until now goes on.
    Same(u32),
    Task(NonNull<Header<M>>, u32),
}

impl<M: RawMutex + 'static> Ready<M> {
    const_fn! {
        /// No task, and nobody who takes any.
        pub(super) const fn new() -> Self {
            Self {
                head: AtomicPtr::new(ptr::null_mut()),
                shared: Locked::new(Shared {
                    tail: ptr::null(),
                    parent: None,
                    #[cfg(feature = "std")]
                    threads: TokenList::new(),
                    #[cfg(feature = "std")]
                    unkept: false,
                    drives: TokenList::new(),
                    searching: 0,
                    tasks: 0,
                    polls: 0,
                    wakes: 0,
                    slept: 0,
                }),
            }
        }
    }

    /// Runs `f` with the lock held.
    #[inline]
    pub(super) fn with<R>(&self, f: impl FnOnce(&mut Held<'_, M>) -> R) -> R {
        self.shared.with(|shared| f(&mut Held { head: &self.head, shared }))
    }

    /// Whether no task is ready, as far as this thread has been told.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        // Relaxed: who finds something takes the lock before it looks at a task, and who finds nothing is woken by
        // whoever has queued one, if it does not see that here.
        self.head.load(Ordering::Relaxed).is_null()
    }
}

impl<M: RawMutex + 'static> Held<'_, M> {
    /// Whether no task is ready.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        // Relaxed, here and below: the lock orders.
        self.head.load(Ordering::Relaxed).is_null()
    }

    #[inline]
    fn set_head(&mut self, head: *mut Header<M>) {
        self.head.store(head, Ordering::Relaxed);
    }

    /// Queues a task, unless it is queued, ended, or running (then it is noted). Returns the waker of
    /// whoever drives the kernel, if the queue was empty.
    #[inline]
    pub(super) fn make_ready(&mut self, pointer: NonNull<Header<M>>) -> Option<Waker> {
        // SAFETY: the caller has a counted reference, and so has the kernel to every task in the
        // queue, as these are not done.
        let task = unsafe { pointer.as_ref() };
        let flags = task.flags.get();
        if flags & (flag::QUEUED | flag::DONE) == 0
            && !task.target.tell()
            && self.append(pointer, flags)
        {
            return self.searcher();
        }
        None
    }

    /// A task has been polled: whether it was woken meanwhile.
    #[inline]
    pub(super) fn suspend(&mut self, pointer: NonNull<Header<M>>) -> bool {
        // SAFETY: as in `make_ready`.
        unsafe { pointer.as_ref() }.target.leave()
    }

    /// A task has been polled so many times more as it was woken while it was polled.
    #[inline]
    pub(super) fn count_repeats(&mut self, repeats: u32) {
        if repeats > 0 {
            self.polls = self.polls.wrapping_add(repeats);
            self.wakes = self.wakes.wrapping_add(repeats);
        }
    }

    /// Puts a task with these flags into the queue; whether it is alone there.
    #[inline]
    fn append(&mut self, pointer: NonNull<Header<M>>, flags: u8) -> bool {
        // SAFETY: as in `make_ready`.
        let task = unsafe { pointer.as_ref() };
        self.wakes = self.wakes.wrapping_add(1);
        task.flags.set(flags | flag::QUEUED);
        task.next.set(ptr::null());
        // Not from `task`: the queue's pointers reach the whole task, not only its header.
        let whole = pointer.as_ptr().cast_const();
        let alone = self.is_empty();
        if alone {
            self.set_head(pointer.as_ptr());
        } else {
            // SAFETY: the last of a queue that is not empty; as above.
            unsafe { (*self.shared.tail).next.set(whole) };
        }
        self.shared.tail = whole;
        alone
    }

    /// Who shall be told that there is something to do, unless somebody is searching.
    #[inline]
    pub(super) fn searcher(&mut self) -> Option<Waker> {
        if self.searching > 0 || !self.is_driven() { None } else { self.driver() }
    }

    /// Whether there is anybody to be told: on a microcontroller with one kernel there is not.
    #[inline]
    fn is_driven(&self) -> bool {
        cfg!(feature = "std")
            || (self.parent.is_some() || !self.drives.is_empty()) && DRIVE.is_used()
    }

    /// Whether a future that drives this kernel is asleep.
    #[inline]
    pub(super) fn has_drives(&self) -> bool {
        !self.drives.is_empty() && DRIVE.is_used()
    }

    /// Who shall be told that there is something to do.
    #[inline(never)]
    pub(super) fn driver(&mut self) -> Option<Waker> {
        self.parked_driver().or_else(|| self.parent.take())
    }

    /// Another driver, if more is ready than is being looked for.
    #[inline]
    pub(super) fn helper(&mut self) -> Option<Waker> {
        if self.is_empty() || self.searching > 0 { None } else { self.parked_driver() }
    }

    #[inline]
    fn parked_driver(&mut self) -> Option<Waker> {
        self.parked_thread().or_else(|| self.parked_drive())
    }

    /// The thread that fell asleep last. It is searching from now on.
    #[cfg(feature = "std")]
    #[inline]
    pub(super) fn parked_thread(&mut self) -> Option<Waker> {
        let token = self.threads.pop_front()?;
        self.begin_search(token)
    }

    #[cfg(not(feature = "std"))]
    #[inline]
    pub(super) fn parked_thread(&mut self) -> Option<Waker> {
        None
    }

    /// Who shall keep the time, as one becomes busy that has `kept` it, or that was woken to keep it.
    #[cfg(feature = "std")]
    pub(super) fn keeper(&mut self, kept: bool) -> Option<Waker> {
        self.unkept |= kept;
        let is_due = kept || self.unkept && self.searching == 0;
        if is_due { self.parked_thread() } else { None }
    }

    #[cfg(not(feature = "std"))]
    #[inline]
    pub(super) fn keeper(&mut self, _kept: bool) -> Option<Waker> {
        None
    }

    /// As `parked_thread`, of those that cannot keep the time.
    #[inline]
    fn parked_drive(&mut self) -> Option<Waker> {
        if !self.has_drives() {
            return None;
        }
        let token = self.drives.pop_front()?;
        self.begin_search(token)
    }

    /// One that waits for no more, if the last task has ended.
    pub(super) fn finished_drive(&mut self) -> Option<Waker> {
        if self.tasks == 0 { self.parked_drive() } else { None }
    }

    /// Whoever has just been taken off a list will look for a task.
    #[inline(never)]
    fn begin_search(&mut self, token: *const Token) -> Option<Waker> {
        self.searching += 1;
        // SAFETY: it was queued until now, and its owner needs the lock to go away.
        unsafe { (*token).settle(State::Granted) }
    }

    /// Takes the next task; `after` has been polled until now.
    #[inline]
    pub(super) fn next(&mut self, after: Option<NonNull<Header<M>>>) -> Found<M> {
        if let Some(pointer) = after {
            // SAFETY: as in `make_ready`.
            let task = unsafe { pointer.as_ref() };
            if !task.target.leave() {
                return self.pop();
            }
            let flags = task.flags.get();
            if flags & flag::DONE != 0 {
                return self.pop();
            }
            let Some(head) = self.head() else {
                // It goes on, as it would if it were queued and taken out again (15 instructions on a Cortex-M3).
                self.wakes = self.wakes.wrapping_add(1);
                self.polls = self.polls.wrapping_add(1);
                task.target.enter();
                return Found::Same(flags.into());
            };
            // Behind the others.
            self.wakes = self.wakes.wrapping_add(1);
            task.flags.set(flags | flag::QUEUED);
            task.next.set(ptr::null());
            let whole = pointer.as_ptr().cast_const();
            // SAFETY: the last of a queue that is not empty; as in `append`.
            unsafe { (*self.shared.tail).next.set(whole) };
            self.shared.tail = whole;
            return self.take(head);
        }
        self.pop()
    }

    /// The first task.
    #[inline]
    fn head(&self) -> Option<NonNull<Header<M>>> {
        NonNull::new(self.head.load(Ordering::Relaxed))
    }

    /// Takes the first task, if there is one.
    #[inline]
    fn pop(&mut self) -> Found<M> {
        self.head().map_or(Found::Nothing, |head| self.take(head))
    }

    /// Takes the first task, which is `head`, marks it as running, and tells its flags.
    #[inline]
    fn take(&mut self, head: NonNull<Header<M>>) -> Found<M> {
        // SAFETY: as in `make_ready`.
        let task = unsafe { head.as_ref() };
        self.set_head(task.next.get().cast_mut());
        self.polls = self.polls.wrapping_add(1);
        let flags = task.flags.get();
        task.flags.set(flags & !flag::QUEUED);
        task.target.enter();
        Found::Task(head, flags.into())
    }
}
