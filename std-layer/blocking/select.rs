//! `Select`: waiting for the first of several operations, listed at run time.

use std::fmt;
use std::marker::PhantomData;
use std::mem;
use std::pin::pin;
use std::ptr;
use std::thread;
use std::time::{Duration, Instant};
use std::vec::Vec;

use super::case::{Cases, Endpoint, Granted, MadeCase, Received};
use super::timer::sleep_until;
use super::{
    ReadyTimeoutError, Receiver, RecvError, SelectTimeoutError, SendError, Sender, TryReadyError,
    TrySelectError,
};
use crate::select::{Select as CoreSelect, fair, select};
use crate::std_layer::block_on::block_on_pinned;

/// The most operations there may be.
const MOST: usize = 65_533;

/// Operations, one of which is to be done. See the macro [`select!`](super::select!) for a list that is known when the
/// program is built.
///
/// An operation is ready when it can be done or fails at once. [`select`](Self::select) chooses one, which is then
/// done by [`SelectedOperation::send`] or [`SelectedOperation::recv`]: nobody can take its place or its value away in
/// between. Of several that are ready it takes a random one, unless it is [biased](Self::new_biased).
///
/// There may be 65,533 operations. An operation is allocated when it is first selected among others, and again after it
/// was chosen.
///
/// ```
/// use cloakroom::blocking::{Select, unbounded};
///
/// let (sender, first) = unbounded();
/// let (_quiet, second) = unbounded::<i32>();
/// sender.send(5)?;
///
/// let receivers = [first, second];
/// let mut select = Select::new();
/// for receiver in &receivers {
///     select.recv(receiver);
/// }
/// let operation = select.select();
/// let receiver = &receivers[operation.index()];
/// assert_eq!(operation.recv(receiver), Ok(5));
/// # Ok::<(), cloakroom::blocking::SendError<i32>>(())
/// ```
pub struct Select<'a> {
    listed: Vec<Listed<'a>>,
    /// The operations of what is listed, as far as they have been made.
    cases: Vec<MadeCase<'a>>,
    next_index: usize,
    biased: bool,
}

#[derive(Clone, Copy)]
struct Listed<'a> {
    index: usize,
    endpoint: &'a dyn Endpoint,
    /// Where the endpoint lies, which tells it from others.
    address: *const u8,
    receives: bool,
}

// SAFETY: what it does on another thread is to queue operations, which is done under the channels' locks, and to take
// values out of the channels without looking at them. Values that may not be sent to that thread do not come to light
// there: a `SelectedOperation` shows its value to whoever has the receiver there, and does not drop it.
unsafe impl Send for Select<'_> {}
// SAFETY: a shared one can only be cloned, which copies references.
unsafe impl Sync for Select<'_> {}

/// How long to wait.
#[derive(Clone, Copy)]
enum Wait {
    Not,
    Until(Option<Instant>),
}

impl<'a> Select<'a> {
    /// An empty list, that is selected from at random.
    pub fn new() -> Self {
        Self { listed: Vec::new(), cases: Vec::new(), next_index: 0, biased: false }
    }

    /// An empty list; of several operations that are ready the one that was added first is selected.
    pub fn new_biased() -> Self {
        Self { biased: true, ..Self::new() }
    }

    /// Adds a send; returns its index.
    ///
    /// # Panics
    /// When there are 65,533 operations.
    pub fn send<T>(&mut self, s: &'a Sender<T>) -> usize {
        self.add(s, ptr::from_ref(s).cast(), false)
    }

    /// Adds a receive; returns its index.
    ///
    /// # Panics
    /// When there are 65,533 operations.
    pub fn recv<T>(&mut self, r: &'a Receiver<T>) -> usize {
        self.add(r, ptr::from_ref(r).cast(), true)
    }

    fn add(&mut self, endpoint: &'a dyn Endpoint, address: *const u8, receives: bool) -> usize {
        assert!(self.listed.len() < MOST, "at most {MOST} operations can be selected from");
        let index = self.next_index;
        self.next_index += 1;
        self.listed.push(Listed { index, endpoint, address, receives });
        self.cases.push(None);
        index
    }

    /// Removes an operation. The indices of the others stay.
    ///
    /// # Panics
    /// When there is none of this index.
    pub fn remove(&mut self, index: usize) {
        assert!(index < self.next_index, "index out of bounds; {index} >= {}", self.next_index);
        let Some(at) = self.listed.iter().position(|listed| listed.index == index) else {
            panic!("no operation with this index");
        };
        self.listed.remove(at);
        self.cases.remove(at);
    }

    /// Selects an operation that is ready.
    ///
    /// # Errors
    /// When none is.
    pub fn try_select(&mut self) -> Result<SelectedOperation<'a>, TrySelectError> {
        self.choose(Wait::Not).ok_or(TrySelectError)
    }

    /// Waits until an operation is ready, and selects it.
    ///
    /// # Panics
    /// When there are no operations.
    pub fn select(&mut self) -> SelectedOperation<'a> {
        self.assert_some();
        loop {
            if let Some(chosen) = self.choose(Wait::Until(None)) {
                return chosen;
            }
        }
    }

    /// As [`select`](Self::select), waiting for `timeout` at the most.
    ///
    /// # Errors
    /// When no operation was ready in time.
    pub fn select_timeout(
        &mut self,
        timeout: Duration,
    ) -> Result<SelectedOperation<'a>, SelectTimeoutError> {
        match Instant::now().checked_add(timeout) {
            Some(deadline) => self.select_deadline(deadline),
            // A limit beyond what the clock can tell is none.
            None => Ok(self.select()),
        }
    }

    /// As [`select`](Self::select), waiting until `deadline` at the latest.
    ///
    /// # Errors
    /// When no operation was ready in time.
    pub fn select_deadline(
        &mut self,
        deadline: Instant,
    ) -> Result<SelectedOperation<'a>, SelectTimeoutError> {
        self.choose(Wait::Until(Some(deadline))).ok_or(SelectTimeoutError)
    }

    /// The index of an operation that is ready. Others may be faster when it is then tried.
    ///
    /// # Errors
    /// When none is.
    pub fn try_ready(&mut self) -> Result<usize, TryReadyError> {
        self.look(Wait::Not).ok_or(TryReadyError)
    }

    /// Waits until an operation is ready, and returns its index. Others may be faster when it is then tried.
    ///
    /// # Panics
    /// When there are no operations.
    pub fn ready(&mut self) -> usize {
        self.assert_some();
        loop {
            if let Some(index) = self.look(Wait::Until(None)) {
                return index;
            }
        }
    }

    /// As [`ready`](Self::ready), waiting for `timeout` at the most.
    ///
    /// # Errors
    /// When no operation was ready in time.
    pub fn ready_timeout(&mut self, timeout: Duration) -> Result<usize, ReadyTimeoutError> {
        match Instant::now().checked_add(timeout) {
            Some(deadline) => self.ready_deadline(deadline),
            None => Ok(self.ready()),
        }
    }

    /// As [`ready`](Self::ready), waiting until `deadline` at the latest.
    ///
    /// # Errors
    /// When no operation was ready in time.
    pub fn ready_deadline(&mut self, deadline: Instant) -> Result<usize, ReadyTimeoutError> {
        self.look(Wait::Until(Some(deadline))).ok_or(ReadyTimeoutError)
    }

    fn assert_some(&self) {
        assert!(!self.listed.is_empty(), "no operations have been added to `Select`");
    }

    /// Makes the operations that are missing, and mixes their order up unless it is biased. `false` if there are none.
    fn prepare(&mut self, wait: Wait) -> bool {
        if self.listed.is_empty() {
            if let Wait::Until(deadline) = wait {
                sleep_until(deadline);
            }
            return false;
        }
        if !self.biased {
            for last in (1..self.listed.len()).rev() {
                // Lossless: below `MOST`.
                let other = usize::from(fair::below(last as u16 + 1));
                self.listed.swap(last, other);
                self.cases.swap(last, other);
            }
        }
        for (case, listed) in self.cases.iter_mut().zip(&self.listed) {
            case.get_or_insert_with(|| listed.endpoint.case());
        }
        true
    }

    fn choose(&mut self, wait: Wait) -> Option<SelectedOperation<'a>> {
        if !self.prepare(wait) {
            return None;
        }
        let at = {
            let mut selecting = pin!(select(Cases(&mut self.cases)));
            match wait {
                Wait::Not => CoreSelect::try_now(selecting.as_mut())?,
                Wait::Until(deadline) => {
                    block_on_pinned(selecting.as_mut(), deadline, due(&self.listed)).ok()?
                }
            }
        };
        let Listed { index, address, receives, .. } = *self.listed.get(at)?;
        Some(SelectedOperation {
            index,
            address,
            receives,
            case: self.cases.get_mut(at)?.take(),
            _endpoint: PhantomData,
        })
    }

    fn look(&mut self, wait: Wait) -> Option<usize> {
        if !self.prepare(wait) {
            return None;
        }
        let at = {
            let mut selecting = pin!(select(Cases(&mut self.cases)));
            match wait {
                Wait::Not => CoreSelect::try_ready(selecting.as_mut())?,
                Wait::Until(deadline) => {
                    let ready = pin!(selecting.as_mut().ready());
                    block_on_pinned(ready, deadline, due(&self.listed)).ok()?
                }
            }
        };
        self.listed.get(at).map(|listed| listed.index)
    }
}

/// The next instant at which one of them may become ready by itself.
fn due(listed: &[Listed<'_>]) -> impl Fn() -> Option<Instant> {
    move || listed.iter().filter_map(|listed| listed.endpoint.due()).min()
}

impl Clone for Select<'_> {
    fn clone(&self) -> Self {
        let cases = self.cases.iter().map(|_| None).collect();
        Self {
            listed: self.listed.clone(),
            cases,
            next_index: self.next_index,
            biased: self.biased,
        }
    }
}

impl Default for Select<'_> {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Select<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("Select { .. }")
    }
}

/// An operation that has been selected, and must be done now: by [`send`](Self::send) or [`recv`](Self::recv), with
/// the endpoint that was given to the [`Select`]. Dropping it instead panics.
#[must_use = "the operation must be done"]
pub struct SelectedOperation<'a> {
    index: usize,
    address: *const u8,
    receives: bool,
    /// `None` once it is done.
    case: MadeCase<'a>,
    _endpoint: PhantomData<&'a ()>,
}

impl SelectedOperation<'_> {
    /// The operation's index, as it was returned when it was added.
    pub fn index(&self) -> usize {
        self.index
    }

    /// Does the send that was selected.
    ///
    /// # Errors
    /// The value comes back when all receivers have gone.
    ///
    /// # Panics
    /// When another operation was selected than a send by `s`.
    pub fn send<'s, T>(mut self, s: &'s Sender<T>, msg: T) -> Result<(), SendError<T>> {
        assert!(ptr::from_ref(s).cast() == self.address, "passed a sender that wasn't selected");
        // SAFETY: the case was made by the sender at this address, which is still borrowed, so it is this one;
        // what a sender's case holds is of this type.
        let granted = unsafe { self.outcome::<Granted<'s, T>>() };
        match granted.flatten() {
            Some(place) => {
                place.send(msg);
                Ok(())
            }
            None => Err(SendError(msg)),
        }
    }

    /// Does the receive that was selected.
    ///
    /// # Errors
    /// When the channel is empty and all senders have gone.
    ///
    /// # Panics
    /// When another operation was selected than a receive by `r`.
    pub fn recv<T>(mut self, r: &Receiver<T>) -> Result<T, RecvError> {
        assert!(ptr::from_ref(r).cast() == self.address, "passed a receiver that wasn't selected");
        // SAFETY: as in `send`.
        let received = unsafe { self.outcome::<Received<T>>() };
        match received.unwrap_or(Err(RecvError))?.wait() {
            Some(value) => Ok(value),
            // Its sender was selected and then panicked.
            None => r.recv(),
        }
    }

    /// Takes what came of the operation.
    ///
    /// # Safety
    /// It is of this type.
    unsafe fn outcome<O>(&mut self) -> Option<O> {
        let mut case = self.case.take()?;
        // SAFETY: by the caller's word; the case is this operation's alone.
        unsafe { (*case.as_mut().outcome().cast::<Option<O>>()).take() }
    }
}

impl fmt::Debug for SelectedOperation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("SelectedOperation { .. }")
    }
}

impl Drop for SelectedOperation<'_> {
    fn drop(&mut self) {
        let Some(case) = self.case.take() else { return };
        if self.receives {
            // Its value may belong to another thread, see `Select`.
            mem::forget(case);
        }
        if !thread::panicking() {
            panic!("dropped `SelectedOperation` without completing the operation");
        }
    }
}
