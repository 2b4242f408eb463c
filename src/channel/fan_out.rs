//! One message to several channels, by reference count.

use core::fmt;
use core::future::Future;
use core::marker::PhantomPinned;
use core::pin::Pin;
use core::task::{Context, Poll, ready};

use super::store::{Strategy, sealed::Sealed};
use super::{Bytes, Permit, Reserve};
use crate::arena::{Lease, Parcel};
use crate::error::{ClosedError, StoppedError, TryReserveError};
use crate::limit::{Operation, Stopped};
use crate::sync::RawMutex;
use crate::unwind::to_the_end;

/// A channel of messages, of any kind and capacity. Not for implementing elsewhere: [`Bytes`] is one.
pub trait Outlet<'a, M: RawMutex>: Sealed {
    /// Holds a slot, until one of the others is called.
    #[doc(hidden)]
    fn hold(&self) -> Result<(), TryReserveError>;
    /// Sends into a slot that is held.
    ///
    /// # Safety
    /// It uses up one successful `hold`.
    #[doc(hidden)]
    unsafe fn fill(&self, parcel: Parcel<'a, M>);
    /// Gives back a slot that is held.
    ///
    /// # Safety
    /// As for `fill`.
    #[doc(hidden)]
    unsafe fn release(&self);
}

impl<'a, M: RawMutex, S: Strategy<Parcel<'a, M>>> Sealed for Bytes<'a, M, S> {}

impl<'a, M: RawMutex, S: Strategy<Parcel<'a, M>>> Outlet<'a, M> for Bytes<'a, M, S> {
    fn hold(&self) -> Result<(), TryReserveError> {
        self.channel().try_reserve().map(core::mem::forget)
    }

    unsafe fn fill(&self, parcel: Parcel<'a, M>) {
        // A message that a conflated channel replaces is dropped: its pages go back to the arena.
        drop(Permit::held(self.channel()).send(parcel));
    }

    unsafe fn release(&self) {
        drop(Permit::held(self.channel()));
    }
}

/// Why nothing was sent to any channel. The message comes back.
pub struct FanOutError<'a, M: RawMutex> {
    /// The message.
    pub message: Lease<'a, M>,
    /// Why.
    pub why: NoFanOut,
}

/// What kept a message from being sent to all channels.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum NoFanOut {
    /// The channel of this number has no room now (a rendezvous: no receiver waits).
    Full(usize),
    /// The channel of this number is closed.
    Closed(usize),
    /// The channel of this number is named a second time, which only [`try_fan_out_all`] allows.
    Twice(usize),
    /// More than 16,382 copies of one message would be at rest.
    TooMany,
    /// It was cancelled.
    Cancelled,
    /// The deadline has passed.
    Timeout,
}

impl NoFanOut {
    fn at(channel: usize, why: TryReserveError) -> Self {
        match why {
            TryReserveError::Full => Self::Full(channel),
            TryReserveError::Closed => Self::Closed(channel),
        }
    }
}

impl fmt::Display for NoFanOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full(number) => write!(f, "channel {number} is full"),
            Self::Closed(number) => write!(f, "channel {number} is closed"),
            Self::Twice(number) => write!(f, "channel {number} is named twice"),
            Self::TooMany => f.write_str("too many tickets for one payload"),
            Self::Cancelled => f.write_str("cancelled while waiting for room"),
            Self::Timeout => f.write_str("timed out while waiting for room"),
        }
    }
}

impl<M: RawMutex> fmt::Debug for FanOutError<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FanOutError").field(&self.why).finish()
    }
}

impl<M: RawMutex> fmt::Display for FanOutError<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.why.fmt(f)
    }
}

impl<M: RawMutex> core::error::Error for FanOutError<'_, M> {}

/// Sends a message to every channel that has room now, without a copy, and returns to how many. Never
/// waits; interrupt-safe, each channel in critical sections of its own. A full or closed channel counts the
/// refusal and misses the message.
///
/// * *Cancel safety:* there is nothing to cancel: it returns at once.
/// * *Order:* in each channel behind all values sent before.
/// * *Wake-ups:* one receiver a channel.
/// * *Interrupts:* safe in a handler of any priority, if the lock is.
/// * *Cost:* a permit and a send for each channel, and one addition to the reference count.
///
/// ```
/// use cloakroom::channel::{Buffered, Bytes, Conflated, fan_out};
/// use cloakroom::{Arena, sync::CriticalSectionRawMutex as Lock};
///
/// static ARENA: Arena<Lock, 16, 64, 8> = Arena::new();
/// static LOG: Bytes<'static, Lock, Buffered<4>> = Bytes::new();
/// static DISPLAY: Bytes<'static, Lock, Conflated> = Bytes::new();
///
/// let frame = ARENA.try_alloc_from(b"one payload")?;
/// assert_eq!(fan_out(&[&LOG, &DISPLAY], frame), 2);
/// let (log, display) = (LOG.try_recv()?, DISPLAY.try_recv()?);
/// assert!(core::ptr::eq(&log[..], &display[..]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn fan_out<'a, M: RawMutex>(channels: &[&dyn Outlet<'a, M>], message: Lease<'a, M>) -> usize {
    let mut sent = 0;
    for channel in channels {
        if channel.hold().is_err() {
            continue;
        }
        match message.clone().into_parcel() {
            Ok(parcel) => {
                // SAFETY: held above.
                unsafe { channel.fill(parcel) };
                sent += 1;
            }
            // As many copies are at rest as can be counted.
            // SAFETY: held above.
            Err(_) => unsafe { channel.release() },
        }
    }
    sent
}

/// Sends a message to all channels or to none, without a copy and without waiting.
///
/// First a slot is held in every channel, then all are filled, which cannot fail. While it tries, others
/// find these slots taken, as by any permit. A channel that is named twice
/// gets it twice. Interrupt-safe, each channel in critical sections of its own: a receiver may have the
/// message before another channel does.
///
/// * *Cancel safety:* there is nothing to cancel: it returns at once.
/// * *Order:* in each channel behind all values sent before; channels are filled in the order
///   given.
/// * *Wake-ups:* one receiver a channel.
/// * *Interrupts:* safe in a handler of any priority, if the lock is.
/// * *Cost:* a permit and a send for each channel, and one addition to the reference count in all.
///
/// # Errors
/// The message comes back, with the first channel that had no room, or was closed.
pub fn try_fan_out_all<'a, M: RawMutex>(
    channels: &[&dyn Outlet<'a, M>],
    message: Lease<'a, M>,
) -> Result<(), FanOutError<'a, M>> {
    // SAFETY: no slot is said to be held.
    unsafe { send_to_all(channels, message, None) }
}

/// As [`try_fan_out_all`], where a slot in the channel of number `held` is held already. It is given back on
/// failure.
///
/// # Safety
/// It is, and is this function's.
unsafe fn send_to_all<'a, M: RawMutex, O: Outlet<'a, M> + ?Sized>(
    channels: &[&O],
    message: Lease<'a, M>,
    held: Option<usize>,
) -> Result<(), FanOutError<'a, M>> {
    let give_back = |up_to: usize| {
        for (number, channel) in channels.iter().enumerate() {
            if number < up_to || held == Some(number) {
                // SAFETY: held by the loop below, or by the caller's word.
                unsafe { channel.release() };
            }
        }
    };
    for (number, channel) in channels.iter().enumerate() {
        if held == Some(number) {
            continue;
        }
        if let Err(why) = channel.hold() {
            give_back(number);
            return Err(FanOutError { message, why: NoFanOut::at(number, why) });
        }
    }
    // All copies are counted in one step.
    match message.into_parcels(channels.len()) {
        Ok(parcels) => {
            let mut outlets = channels.iter().zip(parcels);
            // Also those behind a channel whose hook, or whose receiver's waker, panics.
            to_the_end(|| {
                let Some((channel, parcel)) = outlets.next() else { return false };
                // SAFETY: held by the loop above, or by the caller's word.
                unsafe { channel.fill(parcel) };
                true
            });
            Ok(())
        }
        Err(message) => {
            give_back(channels.len());
            Err(FanOutError { message, why: NoFanOut::TooMany })
        }
    }
}

/// As [`try_fan_out_all`], waiting until all channels have room at one moment. See [`FanOut`].
///
/// * *Cancel safety:* dropping the future drops the message, which was sent to nobody.
/// * *Order:* as `try_fan_out_all`; it waits in one line with the senders of the channel that is
///   full.
/// * *Wake-ups:* the future is woken once for each channel that it finds full.
/// * *Interrupts:* making, polling and dropping it is safe in a handler of any priority, if the
///   lock is.
/// * *Cost:* one pending permit; an attempt costs a `try_fan_out_all`.
///
/// ```
/// use cloakroom::channel::{Buffered, Bytes, fan_out_all};
/// use cloakroom::{Arena, sync::CriticalSectionRawMutex as Lock};
///
/// static ARENA: Arena<Lock, 16, 64, 8> = Arena::new();
/// static LINES: [Bytes<'static, Lock, Buffered<4>>; 2] = [Bytes::new(), Bytes::new()];
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let frame = ARENA.try_alloc_from(b"to both or to none")?;
/// fan_out_all(&[&LINES[0], &LINES[1]], frame).await?;
/// # Ok(()) }
/// ```
pub fn fan_out_all<'c, 'a, M: RawMutex, S: Strategy<Parcel<'a, M>>>(
    channels: &'c [&'c Bytes<'a, M, S>],
    message: Lease<'a, M>,
) -> FanOut<'c, 'a, M, S> {
    FanOut { channels, message: Some(message), waiting: None, full: 0, _pinned: PhantomPinned }
}

/// A pending [`fan_out_all`].
///
/// It waits for a slot in one channel that has none, and holds no slot in the others meanwhile; so two of these
/// never wait for each other. First come, first served holds for the slot that it waits for, not for all
/// of them together. Fails when it finds a channel closed, or named twice: while it waits for one, it learns of
/// the others only when that one has room. Dropping it drops the message, which was sent to nobody;
/// a deadline or a cancellation gives it back.
#[must_use = "futures do nothing unless polled"]
pub struct FanOut<'c, 'a, M: RawMutex, S: Strategy<Parcel<'a, M>>> {
    channels: &'c [&'c Bytes<'a, M, S>],
    message: Option<Lease<'a, M>>,
    waiting: Option<Reserve<'c, M, Parcel<'a, M>, S>>,
    /// The number of the channel that it waits for.
    full: usize,
    _pinned: PhantomPinned,
}

impl<'a, M: RawMutex, S: Strategy<Parcel<'a, M>>> Future for FanOut<'_, 'a, M, S> {
    type Output = Result<(), FanOutError<'a, M>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // SAFETY: `waiting` is pinned with the whole: it is only ever replaced in place.
        let this = unsafe { self.get_unchecked_mut() };
        if let Some(number) = this.named_twice() {
            return this.fail(NoFanOut::Twice(number));
        }
        // Channels may fill up and drain while it looks at them: it does not look for ever.
        for _ in 0..=this.channels.len() {
            let mut held = None;
            if let Some(reserve) = &mut this.waiting {
                // SAFETY: as above.
                let permit = ready!(unsafe { Pin::new_unchecked(reserve) }.poll(cx));
                this.waiting = None;
                match permit {
                    Ok(permit) => {
                        core::mem::forget(permit);
                        held = Some(this.full);
                    }
                    Err(ClosedError) => return this.fail(NoFanOut::Closed(this.full)),
                }
            }
            // Without a message: after its end.
            let Some(message) = this.message.take() else { return Poll::Pending };
            // SAFETY: of the channel with this number a permit was forgotten just now.
            match unsafe { send_to_all(this.channels, message, held) } {
                Err(FanOutError { message, why: NoFanOut::Full(number) }) => {
                    this.message = Some(message);
                    this.full = number;
                    this.waiting = this.channels.get(number).map(|full| full.channel().reserve());
                }
                other => return Poll::Ready(other),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<'a, M: RawMutex, S: Strategy<Parcel<'a, M>>> FanOut<'_, 'a, M, S> {
    /// Ends with an error; a second time it stays pending.
    fn fail(&mut self, why: NoFanOut) -> Poll<Result<(), FanOutError<'a, M>>> {
        match self.message.take() {
            Some(message) => Poll::Ready(Err(FanOutError { message, why })),
            None => Poll::Pending,
        }
    }

    /// A slot in it could be waited for, and not two.
    fn named_twice(&self) -> Option<usize> {
        let twice = |(number, channel): &(usize, &&Bytes<'a, M, S>)| {
            self.channels.iter().take(*number).any(|other| core::ptr::eq(*other, **channel))
        };
        self.channels.iter().enumerate().find(twice).map(|(number, _)| number)
    }
}

impl<'a, M: RawMutex, S: Strategy<Parcel<'a, M>>> Operation for FanOut<'_, 'a, M, S> {
    type Limited = Self::Output;

    fn finish(output: Self::Output) -> Self::Limited {
        output
    }

    fn abandon(self: Pin<&mut Self>, why: Stopped) -> Option<Self::Limited> {
        // SAFETY: as in `poll`.
        let this = unsafe { self.get_unchecked_mut() };
        let message = this.message.take()?;
        // Match and close come before cancel and timeout: a slot that was handed to it may be the last it needs.
        let stopped = this.waiting.as_mut().and_then(|reserve| {
            // SAFETY: as in `poll`.
            unsafe { Pin::new_unchecked(reserve) }.abandon(why)
        });
        this.waiting = None;
        let why = match why {
            Stopped::Cancelled => NoFanOut::Cancelled,
            Stopped::Timeout => NoFanOut::Timeout,
        };
        Some(match stopped {
            Some(Ok(permit)) => {
                core::mem::forget(permit);
                // SAFETY: of the channel with this number a permit was forgotten just now.
                match unsafe { send_to_all(this.channels, message, Some(this.full)) } {
                    Err(FanOutError { message, why: NoFanOut::Full(_) }) => {
                        Err(FanOutError { message, why })
                    }
                    other => other,
                }
            }
            Some(Err(StoppedError::Closed)) => {
                Err(FanOutError { message, why: NoFanOut::Closed(this.full) })
            }
            _ => Err(FanOutError { message, why }),
        })
    }
}
