//! Tasks that borrow from a caller who waits for them.
//!
//! As `std::thread::scope`: the caller does not go on before every task of the scope has been dropped, whatever
//! happens, so tasks may borrow what it owns. A task's result lies in a packet that the task and its handle
//! share. The task gives its share up *before* it is counted as gone; the handle cannot outlive the scope, by its
//! lifetime. So a result is never dropped after what it borrows.

use std::boxed::Box;
use std::cell::UnsafeCell;
use std::future::{Future, poll_fn};
use std::marker::PhantomData;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use super::contain::contain;
use super::task::poll_to_end;
use super::{Handle, JoinError, JoinHandle, NotSpawned};

/// The inside of a [`Handle::scope`].
pub struct Scope<'scope, 'env: 'scope> {
    runtime: Handle,
    census: Arc<Census>,
    /// Invariant, so that it can be neither shortened nor prolonged.
    _scope: PhantomData<&'scope mut &'scope ()>,
    _env: PhantomData<&'env mut &'env ()>,
}

/// Who is there.
struct Census {
    tasks: AtomicUsize,
    /// Somebody panicked, and nobody wanted to know.
    panicked: AtomicBool,
    caller: Mutex<Option<Waker>>,
}

impl Census {
    fn leave(&self) {
        // Release pairs with the Acquire in `empty`: all that the task did comes before what the caller does
        // next.
        if self.tasks.fetch_sub(1, Ordering::Release) == 1 {
            let caller = self.caller.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(caller) = caller {
                caller.wake();
            }
        }
    }

    /// Waits until all have left.
    fn empty(&self) -> impl Future<Output = ()> + '_ {
        poll_fn(|cx| {
            let mut caller = self.caller.lock().unwrap_or_else(PoisonError::into_inner);
            if self.tasks.load(Ordering::Acquire) == 0 {
                return Poll::Ready(());
            }
            *caller = Some(cx.waker().clone());
            Poll::Pending
        })
    }
}

/// The result of a task, on its way to its handle.
struct Packet<T> {
    /// Written by the task, before it has ended; read by the handle, after that.
    result: UnsafeCell<Option<std::thread::Result<T>>>,
    census: Arc<Census>,
}

// SAFETY: the task and the handle reach the result one after the other, with the kernel's lock in between.
unsafe impl<T: Send> Sync for Packet<T> {}

impl<T> Drop for Packet<T> {
    fn drop(&mut self) {
        let result = self.result.get_mut().take();
        let failed = matches!(result, Some(Err(_)));
        if contain(|| drop(result)).is_none() || failed {
            self.census.panicked.store(true, Ordering::Relaxed);
        }
    }
}

/// A future of a scope, as a task.
struct Scoped<F: Future> {
    /// Pinned with the whole. `None` once it has ended.
    future: Option<F>,
    packet: Option<Arc<Packet<F::Output>>>,
    census: Arc<Census>,
}

impl<F: Future> Future for Scoped<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // SAFETY: the future is pinned with the whole, and only ever dropped in place; the rest is not pinned.
        let this = unsafe { self.get_unchecked_mut() };
        // SAFETY: as above.
        let future = unsafe { Pin::new_unchecked(&mut this.future) };
        poll_to_end(future, cx).map(|result| {
            if let Some(packet) = &this.packet {
                // SAFETY: the handle does not look before this task has ended.
                unsafe { *packet.result.get() = Some(result) };
            }
        })
    }
}

impl<F: Future> Drop for Scoped<F> {
    fn drop(&mut self) {
        /// Also if what is dropped panics with something whose destructor panics, too.
        struct Leave<'c>(&'c Census);
        impl Drop for Leave<'_> {
            fn drop(&mut self) {
                self.0.leave();
            }
        }
        // Whatever panics, the task is gone only when it has nothing of the scope's any more.
        let _leave = Leave(&self.census);
        if contain(|| self.future = None).is_none() {
            self.census.panicked.store(true, Ordering::Relaxed);
        }
        self.packet = None;
    }
}

/// A task of a scope: await it, or [`join`](Self::join) it, for its output.
///
/// Cancel safety: dropping it lets the task run on its own, until the end of the scope.
pub struct ScopedJoinHandle<'scope, T> {
    task: JoinHandle<()>,
    packet: Arc<Packet<T>>,
    _scope: PhantomData<&'scope ()>,
}

impl<T> ScopedJoinHandle<'_, T> {
    /// Waits on this thread until the task has ended.
    ///
    /// # Errors
    /// [`JoinError`], when it was cancelled, or panicked.
    ///
    /// # Panics
    /// As [`Handle::block_on`].
    pub fn join(self) -> Result<T, JoinError> {
        let runtime = self.task.runtime;
        runtime.block_on(self)
    }

    /// Asks that the task be dropped instead of polled again.
    pub fn cancel(&self) {
        self.task.cancel();
    }

    /// Whether it has ended.
    pub fn is_finished(&self) -> bool {
        self.task.is_finished()
    }
}

impl<T> Future for ScopedJoinHandle<'_, T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.task).poll(cx).map(|_ended| {
            // SAFETY: the task has ended, and the kernel's lock lies in between.
            match unsafe { (*self.packet.result.get()).take() } {
                Some(result) => result.map_err(JoinError::Panicked),
                None => Err(JoinError::Cancelled),
            }
        })
    }
}

impl<'scope> Scope<'scope, '_> {
    /// Spawns a task that may borrow from outside the scope. It is boxed, as its type is not `'static`: two
    /// allocations, and a few words of the arena.
    ///
    /// # Errors
    /// Why it could not be spawned; the future is dropped.
    pub fn spawn<F>(
        &'scope self,
        future: F,
    ) -> Result<ScopedJoinHandle<'scope, F::Output>, NotSpawned>
    where
        F: Future + Send + 'scope,
        F::Output: Send + 'scope,
    {
        // Relaxed: the caller learns of the task by this thread, or by a task that is counted itself.
        self.census.tasks.fetch_add(1, Ordering::Relaxed);
        let packet =
            Arc::new(Packet { result: UnsafeCell::new(None), census: self.census.clone() });
        let scoped: Pin<Box<dyn Future<Output = ()> + Send + 'scope>> = Box::pin(Scoped {
            future: Some(future),
            packet: Some(packet.clone()),
            census: self.census.clone(),
        });
        // SAFETY: only the lifetime changes. `scope` does not return before the census is empty, and this is
        // counted until it has been dropped, so it is not used after `'scope`.
        let endless = unsafe {
            mem::transmute::<
                Pin<Box<dyn Future<Output = ()> + Send + 'scope>>,
                Pin<Box<dyn Future<Output = ()> + Send + 'static>>,
            >(scoped)
        };
        match self.runtime.spawn(endless) {
            Ok(task) => Ok(ScopedJoinHandle { task, packet, _scope: PhantomData }),
            Err(error) => Err(error.why),
        }
    }
}

impl Handle {
    /// Runs `body`, which may spawn tasks that borrow what lives longer than this call, and waits on this
    /// thread until all of them have ended.
    ///
    /// # Panics
    /// If `body` does, or a task whose handle was not joined; and in a task of this runtime, as
    /// [`block_on`](Self::block_on).
    ///
    /// ```
    /// use cloakroom::std_layer::runtime::Runtime;
    ///
    /// let runtime = Runtime::builder().workers(2).build()?;
    /// let numbers = [1, 2, 3, 4];
    /// let sum: i32 = runtime.scope(|scope| {
    ///     let (low, high) = numbers.split_at(2);
    ///     let low = scope.spawn(async { low.iter().sum::<i32>() }).expect("room in the arena");
    ///     let high = scope.spawn(async { high.iter().sum::<i32>() }).expect("room in the arena");
    ///     low.join().expect("it adds") + high.join().expect("it adds")
    /// });
    /// assert_eq!(sum, 10);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn scope<'env, R>(
        &self,
        body: impl for<'scope> FnOnce(&'scope Scope<'scope, 'env>) -> R,
    ) -> R {
        self.forbid_workers();
        let census = Arc::new(Census {
            tasks: AtomicUsize::new(0),
            panicked: AtomicBool::new(false),
            caller: Mutex::new(None),
        });
        let scope = Scope {
            runtime: *self,
            census: census.clone(),
            _scope: PhantomData,
            _env: PhantomData,
        };
        let result = catch_unwind(AssertUnwindSafe(|| body(&scope)));
        // Whatever panics, it waits: tasks borrow.
        while contain(|| self.block_on(census.empty())).is_none() {}
        match result {
            Err(panic) => resume_unwind(panic),
            Ok(_) if census.panicked.load(Ordering::Relaxed) => {
                panic!("a task of the scope panicked")
            }
            Ok(result) => result,
        }
    }
}
