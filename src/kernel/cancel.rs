//! Cancellation: a tree of tokens in the caller's memory.
//!
//! A tree has one lock and one list of waiters, at its root. A token below the root is a flag and a
//! pointer to its parent: cancelling it concerns every waiter whose token it is, or is above. The
//! waiters are visited one a critical section; the place reached is kept at the root, so an interrupt
//! handler that cancels, too, takes the visit over instead of waiting for it.

use core::cell::Cell;
use core::future::Future;
use core::marker::PhantomPinned;
use core::pin::Pin;
use core::ptr;
use core::task::{Context, Poll, Waker};

use crate::select::Arm;
use crate::sync::atomic::Ordering;
use crate::sync::claim::{Claim, claim_own};
use crate::sync::plain::AtomicBool;
use crate::sync::wait::{State, Token, TokenList};
use crate::sync::{Locked, RawMutex, const_fn};

/// The root of a tree of cancellation tokens.
///
/// Put it where it outlives what it cancels, for example in a `static`. Six words and a lock.
///
/// ```
/// use std::pin::pin;
/// use cloakroom::kernel::CancelToken;
/// use cloakroom::sync::CriticalSectionRawMutex;
///
/// let shutdown: CancelToken<CriticalSectionRawMutex> = CancelToken::new();
/// let session = pin!(shutdown.child());
/// let request = pin!(session.as_ref().child());
///
/// session.as_ref().cancel();
/// assert!(request.as_ref().is_cancelled());
/// assert!(!shutdown.is_cancelled());
/// ```
pub struct CancelToken<M> {
    cancelled: AtomicBool,
    waiters: Locked<M, Waiters>,
}

/// A token below the root. Null stands for the root, which may move between uses.
struct Node {
    cancelled: AtomicBool,
    /// How many waiters stand at this node or below it, under the root's lock.
    waiters: Cell<usize>,
    parent: *const Node,
}

struct Waiters {
    list: TokenList,
    /// Where the visit goes on; null when none is under way.
    cursor: *const Token,
}

// SAFETY: the cursor points into the list, under the same lock.
unsafe impl Send for Waiters {}
// SAFETY: the flag is atomic, the count is guarded by the root's lock, and the parent outlives the
// node and never changes.
unsafe impl Sync for Node {}
// SAFETY: as above.
unsafe impl Send for Node {}

/// Whether a token, or one above it, is cancelled.
///
/// # Safety
/// `node` is null or alive.
unsafe fn is_cancelled(root: &AtomicBool, node: *const Node) -> bool {
    let mut at = node;
    // SAFETY: alive by the caller's word, and a node's parent outlives it: it is borrowed, pinned.
    while let Some(node) = unsafe { at.as_ref() } {
        // Acquire pairs with the Release in `cancel_flag`: whoever sees the flag sees what led to it.
        if node.cancelled.load(Ordering::Acquire) {
            return true;
        }
        at = node.parent;
    }
    root.load(Ordering::Acquire)
}

/// Visits `node` and those above it, but not the root.
///
/// # Safety
/// As for [`is_cancelled`].
unsafe fn for_path(node: *const Node, mut visit: impl FnMut(&Node)) {
    let mut at = node;
    // SAFETY: as in `is_cancelled`.
    while let Some(node) = unsafe { at.as_ref() } {
        visit(node);
        at = node.parent;
    }
}

/// A waiter's token and the tree node it waits for. The token comes first.
#[repr(C)]
struct Waiter {
    token: Token,
    node: *const Node,
}

impl<M: RawMutex> CancelToken<M> {
    const_fn! {
        /// A root that is not cancelled.
        pub const fn new() -> Self {
            Self {
                cancelled: AtomicBool::new(false),
                waiters: Locked::new(Waiters { list: TokenList::new(), cursor: ptr::null() }),
            }
        }
    }

    /// A token below this one, to be pinned before use.
    pub fn child(&self) -> CancelChild<'_, M> {
        CancelChild::below(self, ptr::null())
    }

    /// Cancels this token and all below it. Interrupt-safe; a critical section for each waiter.
    pub fn cancel(&self) {
        self.cancel_flag(&self.cancelled);
    }

    /// Whether it has been cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Acquire)
    }

    /// Waits until it is cancelled.
    pub fn cancelled(&self) -> Cancelled<'_, M> {
        Cancelled::new(self, ptr::null())
    }

    fn cancel_flag(&self, flag: &AtomicBool) {
        // Release: what the canceller did before is seen by whoever sees the flag.
        flag.store(true, Ordering::Release);
        self.waiters.with(Waiters::start);
        while let Some(waker) = self.waiters.with(|waiters| waiters.visit(&self.cancelled)) {
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }
}

impl<M: RawMutex> Default for CancelToken<M> {
    fn default() -> Self {
        Self::new()
    }
}

impl Waiters {
    /// Begins a visit, or begins the running one again: its rest comes round, too.
    fn start(&mut self) {
        self.cursor = self.list.first().unwrap_or(ptr::null());
    }

    /// Visits one waiter. `None` at the end.
    fn visit(&mut self, root: &AtomicBool) -> Option<Option<Waker>> {
        let token = self.cursor;
        if token.is_null() {
            return None;
        }
        // SAFETY: the cursor is in the list, as `remove` moves it on, so it is alive. Every token of
        // this list heads a `Waiter`, whose node outlives it: the waiter borrows the node, pinned, and
        // leaves the list before it goes; see `CancelChild::drop` for waiters that were leaked.
        let cancelled = unsafe { is_cancelled(root, (*token.cast::<Waiter>()).node) };
        if !cancelled {
            self.cursor = self.list.after(token).unwrap_or(ptr::null());
            return Some(None);
        }
        // SAFETY: in the list.
        unsafe {
            self.remove(token);
            Some((*token).settle(State::Granted))
        }
    }

    /// # Safety
    /// `token` is in the list.
    unsafe fn remove(&mut self, token: *const Token) {
        if self.cursor == token {
            self.cursor = self.list.after(token).unwrap_or(ptr::null());
        }
        // SAFETY: by the caller's word; a queued waiter's node is alive as in `visit`.
        unsafe {
            self.list.remove(token);
            for_path((*token.cast::<Waiter>()).node, |node| {
                node.waiters.set(node.waiters.get() - 1);
            });
        }
    }

    /// # Safety
    /// As for [`TokenList::push_back`], and `waiter`'s node is null or alive.
    unsafe fn push(&mut self, waiter: *const Waiter) {
        // SAFETY: by the caller's word.
        unsafe {
            self.list.push_back(waiter.cast());
            for_path((*waiter).node, |node| node.waiters.set(node.waiters.get() + 1));
        }
    }

    /// Takes out one waiter at `node` or below; `false` if there is none. Only leaked ones make it look.
    fn forget(&mut self, node: &Node) -> bool {
        if node.waiters.get() == 0 {
            return false;
        }
        let mut at = self.list.first();
        while let Some(token) = at {
            let mut below = false;
            // SAFETY: as in `visit`.
            unsafe { for_path((*token.cast::<Waiter>()).node, |at| below |= ptr::eq(at, node)) };
            if below {
                // SAFETY: in the list.
                unsafe { self.remove(token) };
                return true;
            }
            at = self.list.after(token);
        }
        false
    }
}

/// A token below another one. Pin it, then use it; it is four words and never allocates.
///
/// See [`CancelToken`] for an example.
pub struct CancelChild<'p, M: RawMutex> {
    root: &'p CancelToken<M>,
    node: Node,
    /// Waiters and grandchildren point here.
    _pinned: PhantomPinned,
}

impl<'p, M: RawMutex> CancelChild<'p, M> {
    fn below(root: &'p CancelToken<M>, parent: *const Node) -> Self {
        Self {
            root,
            node: Node { cancelled: AtomicBool::new(false), waiters: Cell::new(0), parent },
            _pinned: PhantomPinned,
        }
    }

    /// A token below this one.
    pub fn child<'c>(self: Pin<&'c Self>) -> CancelChild<'c, M> {
        let this: &'c Self = self.get_ref();
        CancelChild::below(this.root, &this.node)
    }

    /// Cancels this token and all below it. Interrupt-safe; a critical section for each waiter.
    pub fn cancel(self: Pin<&Self>) {
        self.root.cancel_flag(&self.node.cancelled);
    }

    /// Whether it, or a token above it, has been cancelled.
    pub fn is_cancelled(self: Pin<&Self>) -> bool {
        // SAFETY: this very node.
        unsafe { is_cancelled(&self.root.cancelled, &raw const self.node) }
    }

    /// Waits until it, or a token above it, is cancelled.
    pub fn cancelled<'c>(self: Pin<&'c Self>) -> Cancelled<'c, M> {
        let this: &'c Self = self.get_ref();
        Cancelled::new(this.root, &this.node)
    }
}

impl<M: RawMutex> Drop for CancelChild<'_, M> {
    fn drop(&mut self) {
        // Waiters borrow this token, or one below that borrows it, so they are gone, except those that
        // were leaked while they waited: their path must not lead over a node that is no more.
        while self.root.waiters.with(|waiters| waiters.forget(&self.node)) {}
    }
}

/// A pending wait for cancellation.
///
/// Cancel safety: dropping it takes it out of the list. Wake-ups: one. It is an [`Arm`] of a select.
#[must_use = "futures do nothing unless polled"]
pub struct Cancelled<'c, M: RawMutex> {
    root: &'c CancelToken<M>,
    waiter: Waiter,
}

// SAFETY: the token is guarded by the root's lock; the node is `Sync` and outlives this.
unsafe impl<M: RawMutex + Sync> Send for Cancelled<'_, M> {}

impl<'c, M: RawMutex> Cancelled<'c, M> {
    fn new(root: &'c CancelToken<M>, node: *const Node) -> Self {
        Self { root, waiter: Waiter { token: Token::new(), node } }
    }

    fn if_won(&self) -> Poll<()> {
        if claim_own(self.waiter.token.side()) { Poll::Ready(()) } else { Poll::Pending }
    }

    fn leave(&mut self) {
        let token = &self.waiter.token;
        let waker = self.root.waiters.with(|waiters| {
            token.leave_select();
            if token.state() == State::Queued {
                // SAFETY: queued.
                unsafe { waiters.remove((&raw const self.waiter).cast()) };
            }
            token.set_state(State::Idle);
            token.take_waker()
        });
        drop(waker);
    }

    fn is_cancelled(&self) -> bool {
        // SAFETY: null, or borrowed for 'c.
        unsafe { is_cancelled(&self.root.cancelled, self.waiter.node) }
    }
}

impl<M: RawMutex> Future for Cancelled<'_, M> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // SAFETY: nothing pinned is moved.
        let this = unsafe { self.get_unchecked_mut() };
        let token = &this.waiter.token;
        if this.is_cancelled() {
            return this.if_won();
        }
        if this.root.waiters.with(|_| token.state() == State::Queued && token.will_wake(cx.waker()))
        {
            return Poll::Pending;
        }
        let waker = cx.waker().clone();
        let old = this.root.waiters.with(|waiters| {
            if token.state() != State::Queued {
                // SAFETY: pinned, in no list, and taken out in `drop`.
                unsafe { waiters.push(&raw const this.waiter) };
            }
            token.set_waker(Some(waker))
        });
        drop(old);
        // A cancellation between the first look and the queueing did not visit this waiter.
        if this.is_cancelled() { this.if_won() } else { Poll::Pending }
    }
}

impl<M: RawMutex> crate::select::sealed::Sealed for Cancelled<'_, M> {}

impl<M: RawMutex> Arm for Cancelled<'_, M> {
    unsafe fn join(self: Pin<&mut Self>, claim: *const Claim, arm: u16) {
        // SAFETY: passed on; the lock is held, as it may stand in the list already.
        self.root.waiters.with(|_| unsafe { self.waiter.token.join_select(claim, arm) });
    }

    fn withdraw(self: Pin<&mut Self>) {
        // SAFETY: nothing pinned is moved.
        unsafe { self.get_unchecked_mut() }.leave();
    }

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // Being cancelled is no event that could be used up.
        self.poll(cx)
    }
}

impl<M: RawMutex> Drop for Cancelled<'_, M> {
    fn drop(&mut self) {
        self.leave();
    }
}
