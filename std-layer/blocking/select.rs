//! `Select`: waiting for the first of several operations, listed at run time.

use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::pin::pin;
use std::ptr;
use std::thread;
use std::time::{Duration, Instant};
use std::vec::Vec;

use super::case::{BoxedCase, Cases, Endpoint, Granted, Received};
use super::outcome::{Attempted, Outcome, Word};
use super::timer::sleep_until;
use super::{
    ReadyTimeoutError, Receiver, RecvError, SelectTimeoutError, SendError, Sender, TryReadyError,
    TrySelectError,
};
use crate::select::{Select as CoreSelect, fair, select};
use crate::std_layer::block_on::block_on_pinned;

/// The most operations there may be.
const MOST: usize = 65_533;

/// For so many operations there is room in a list at first. (Growing a list of 32 costs as much as selecting from it five times.)
const AT_FIRST: usize = 32;

/// Operations, one of which is to be done. See the macro [`select!`](super::select!) for a list that is known when the
/// program is built.
///
/// An operation is ready when it can be done or fails at once. [`select`](Self::select) chooses one, which is then
/// done by [`SelectedOperation::send`] or [`SelectedOperation::recv`]: nobody can take its place or its value away in
/// between. Of several that are ready it takes a random one, unless it is [biased](Self::new_biased).
///
/// There may be 65,533 operations. Where one is ready nothing is allocated. When it first has to wait, each operation is
/// allocated, and kept for the next time. Two things are allocated when they happen: what takes the value across when a
/// select sends at a rendezvous, and a place for a received value that is larger than five words.
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
    /// The operations of what is listed, as far as they have been made: of the first so many.
    cases: Vec<BoxedCase<'a>>,
    next_index: usize,
    biased: bool,
}

/// An operation that is to be selected from.
#[doc(hidden)]
#[derive(Clone, Copy)]
pub struct Listed<'a> {
    index: usize,
    endpoint: &'a dyn Endpoint,
}

impl<'a> Listed<'a> {
    /// A send.
    #[inline]
    pub fn send<T>(index: usize, s: &'a Sender<T>) -> Self {
        Self { index, endpoint: s }
    }

    /// A receive.
    #[inline]
    pub fn recv<T>(index: usize, r: &'a Receiver<T>) -> Self {
        Self { index, endpoint: r }
    }
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

impl Wait {
    /// For so long. A limit beyond what the clock can tell is none.
    fn for_at_most(timeout: Duration) -> Self {
        Self::Until(Instant::now().checked_add(timeout))
    }
}

/// What the macros do: as the methods of [`Select`], with a list that lies on the stack.
#[doc(hidden)]
pub struct Among<'l, 'a> {
    pub listed: &'l [Listed<'a>],
    pub biased: bool,
}

impl<'a> Among<'_, 'a> {
    #[inline]
    fn choose(&self, wait: Wait) -> Option<SelectedOperation<'a>> {
        choose(self.listed, &mut Vec::new(), self.biased, wait)
    }

    #[inline]
    pub fn select(&self) -> SelectedOperation<'a> {
        loop {
            if let Some(chosen) = self.choose(Wait::Until(None)) {
                return chosen;
            }
        }
    }

    pub fn try_select(&self) -> Option<SelectedOperation<'a>> {
        self.choose(Wait::Not)
    }

    pub fn select_timeout(&self, timeout: Duration) -> Option<SelectedOperation<'a>> {
        self.choose(Wait::for_at_most(timeout))
    }
}

/// Positions of a list, each once: in order, or in one that is drawn.
///
/// The steps are of an odd length round a circle of a power of two, so all of it is visited. Of two positions each
/// comes first as often as the other, as the way back is as likely; of more, at least about as often: with three in a row
/// out of 32, one in four draws is the middle one's.
struct Tour {
    at: usize,
    step: usize,
    mask: usize,
    len: usize,
    left: usize,
}

impl Tour {
    #[inline]
    fn new(len: usize, biased: bool) -> Self {
        let mask = len.next_power_of_two() - 1;
        let whole = Self { at: 0, step: 1, mask, len, left: mask + 1 };
        if biased || len < 2 {
            return whole;
        }
        // Lossless: no more than 16 bits, as there are no more than `MOST`.
        let [at, step] = fair::two_below([len as u16, mask as u16]).map(usize::from);
        Self { at, step: step | 1, ..whole }
    }
}

impl Iterator for Tour {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        while self.left > 0 {
            let at = self.at;
            self.at = (at + self.step) & self.mask;
            self.left -= 1;
            if at < self.len {
                return Some(at);
            }
        }
        None
    }
}

/// Selects one of these: at once, if one is ready; otherwise `cases` are needed, are made unless they have been, and wait.
/// What is ready at once is chosen in the caller itself: see [`Word`].
#[inline(always)]
fn choose<'a>(
    listed: &[Listed<'a>],
    cases: &mut Vec<BoxedCase<'a>>,
    biased: bool,
    wait: Wait,
) -> Option<SelectedOperation<'a>> {
    // What a biased one finds at a later position says nothing of those before, where something may have come since they were
    // asked; when it may wait, all of them are asked in the order in which they come to be ready.
    let attempts = if biased && matches!(wait, Wait::Until(_)) { 1 } else { listed.len() };
    let mut outcome = Outcome::none();
    for at in Tour::new(listed.len(), biased).take(attempts) {
        let operation = &listed[at];
        match operation.endpoint.attempt(&mut outcome) {
            Attempted::NotNow => {}
            Attempted::Received(word) => {
                return Some(SelectedOperation::new(operation, Some(word), Outcome::none()));
            }
            Attempted::Kept => return Some(SelectedOperation::new(operation, None, outcome)),
        }
    }
    let Wait::Until(deadline) = wait else { return None };
    let at = wait_for(listed, cases, biased, deadline, &mut outcome)?;
    Some(SelectedOperation::new(listed.get(at)?, None, outcome))
}

/// Waits for the first of these, and for what comes of it; its position.
#[inline(never)]
fn wait_for<'a>(
    listed: &[Listed<'a>],
    cases: &mut Vec<BoxedCase<'a>>,
    biased: bool,
    deadline: Option<Instant>,
    outcome: &mut Outcome,
) -> Option<usize> {
    if !prepare(listed, cases, deadline) {
        return None;
    }
    let at = {
        let selecting = select(Cases(cases));
        let selecting = pin!(if biased { selecting } else { selecting.fair() });
        block_on_pinned(selecting, deadline, due(listed)).ok()?
    };
    cases.get_mut(at)?.as_mut().finish(outcome).then_some(at)
}

/// Makes the operations that are missing. `false` if there are none, when it is over.
fn prepare<'a>(
    listed: &[Listed<'a>],
    cases: &mut Vec<BoxedCase<'a>>,
    deadline: Option<Instant>,
) -> bool {
    if listed.is_empty() {
        sleep_until(deadline);
        return false;
    }
    cases.extend(listed.iter().skip(cases.len()).map(|listed| listed.endpoint.case()));
    true
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
    #[inline]
    pub fn send<T>(&mut self, s: &'a Sender<T>) -> usize {
        self.add(Listed::send(self.next_index, s))
    }

    /// Adds a receive; returns its index.
    ///
    /// # Panics
    /// When there are 65,533 operations.
    #[inline]
    pub fn recv<T>(&mut self, r: &'a Receiver<T>) -> usize {
        self.add(Listed::recv(self.next_index, r))
    }

    #[inline(always)]
    fn add(&mut self, operation: Listed<'a>) -> usize {
        assert!(self.listed.len() < MOST, "at most {MOST} operations can be selected from");
        self.next_index += 1;
        if self.listed.capacity() == 0 {
            self.listed.reserve(AT_FIRST);
        }
        self.listed.push(operation);
        operation.index
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
        if at < self.cases.len() {
            self.cases.remove(at);
        }
    }

    /// Selects an operation that is ready.
    ///
    /// # Errors
    /// When none is: each was asked once, one after the other.
    pub fn try_select(&mut self) -> Result<SelectedOperation<'a>, TrySelectError> {
        self.choose(Wait::Not).ok_or(TrySelectError)
    }

    /// Waits until an operation is ready, and selects it.
    ///
    /// # Panics
    /// When there are no operations.
    // What is selected is to be done in the same function, in registers.
    #[inline(always)]
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

    #[inline]
    fn assert_some(&self) {
        assert!(!self.listed.is_empty(), "no operations have been added to `Select`");
    }

    #[inline]
    fn choose(&mut self, wait: Wait) -> Option<SelectedOperation<'a>> {
        choose(&self.listed, &mut self.cases, self.biased, wait)
    }

    fn look(&mut self, wait: Wait) -> Option<usize> {
        let deadline = match wait {
            Wait::Not if self.listed.is_empty() => return None,
            Wait::Not => None,
            Wait::Until(deadline) => deadline,
        };
        if !prepare(&self.listed, &mut self.cases, deadline) {
            return None;
        }
        let at = {
            let looking = select(Cases(&mut self.cases));
            let mut looking = pin!(if self.biased { looking } else { looking.fair() });
            match wait {
                Wait::Not => CoreSelect::try_ready(looking.as_mut())?,
                Wait::Until(deadline) => {
                    let ready = pin!(looking.as_mut().ready());
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
        Self {
            listed: self.listed.clone(),
            cases: Vec::new(),
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
    /// Where the endpoint lies, which tells it from others.
    address: *const (),
    /// The received value, if this is all that came of it; `None` once it is taken.
    word: Option<Word>,
    /// What came of it otherwise; none once it is done.
    outcome: Outcome,
    _endpoint: PhantomData<&'a ()>,
}

impl<'a> SelectedOperation<'a> {
    #[inline]
    fn new(listed: &Listed<'a>, word: Option<Word>, outcome: Outcome) -> Self {
        let address = ptr::from_ref(listed.endpoint).cast();
        Self { index: listed.index, address, word, outcome, _endpoint: PhantomData }
    }
}

impl SelectedOperation<'_> {
    /// The operation's index, as it was returned when it was added.
    #[inline]
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
        // SAFETY: it comes from the sender at this address, which is still borrowed, so it is this one; what comes of a
        // send is of this type.
        let granted = unsafe { self.outcome.take::<Granted<'s, T>>() };
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
    #[inline(always)]
    pub fn recv<T>(mut self, r: &Receiver<T>) -> Result<T, RecvError> {
        assert!(ptr::from_ref(r).cast() == self.address, "passed a receiver that wasn't selected");
        match self.word.take() {
            // SAFETY: as in `send`: it was received by this receiver.
            Some(word) => Ok(unsafe { word.take() }),
            None => recv_kept(&mut self.outcome, r),
        }
    }
}

/// What a receiver receives of which more came than a word.
#[inline(never)]
fn recv_kept<T>(outcome: &mut Outcome, r: &Receiver<T>) -> Result<T, RecvError> {
    // SAFETY: it comes from this receiver, as in `SelectedOperation::send`.
    match unsafe { outcome.take::<Received<T>>() }.map(ManuallyDrop::into_inner) {
        Some(Ok(handoff)) => match handoff.wait() {
            Some(value) => Ok(value),
            // Its sender was selected and then panicked.
            None => r.recv(),
        },
        Some(Err(_)) | None => Err(RecvError),
    }
}

impl fmt::Debug for SelectedOperation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("SelectedOperation { .. }")
    }
}

impl Drop for SelectedOperation<'_> {
    #[inline]
    fn drop(&mut self) {
        // First of all, as it may wake others.
        let was_kept = self.outcome.discard();
        if self.word.is_some() || was_kept {
            was_left();
        }
    }
}

#[cold]
fn was_left() {
    if !thread::panicking() {
        panic!("dropped `SelectedOperation` without completing the operation");
    }
}
