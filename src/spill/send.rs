//! A pending send: a future, an arm of a select, an operation that can be limited.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, ready};

use super::channel::SpillBytes;
use super::counting::Counting;
use super::side::Side;
use super::slot::Slot;
use crate::arena::Parcel;
use crate::channel::{Reserve, Strategy};
use crate::error::{ClosedError, SendError, SendTimeoutError, StoppedError};
use crate::limit::{Operation, Stopped};
use crate::select::{Arm, sealed::Sealed};
use crate::sync::RawMutex;
use crate::sync::claim::Claim;

/// A pending [`SpillBytes::send`].
///
/// It waits for a slot of the queue; where the payload goes is seen when it has one. Cancel safety: dropping it before it has returned
/// frees the payload, and sends nothing; [`take_value`](Self::take_value) recovers the payload instead. Polled again after its end it
/// stays pending.
///
/// ```
/// use cloakroom::channel::{Buffered, Channel};
/// use cloakroom::select::{Either, select};
/// # use cloakroom::spill::{Class, Extents, MemoryTarget, Policy, Spill, SpillBytes, Watermarks, Word};
/// # use cloakroom::{Arena, sync::CriticalSectionRawMutex as Lock};
/// # static ARENA: Arena<Lock, 8, 64, 8> = Arena::new();
/// # let mut psram = [0; 512];
/// # let target = MemoryTarget::new(&mut psram, Extents::new([Class { bytes: 64, count: 8 }], Word::free::<1>()));
/// # let spill = Spill::over(&ARENA, &target, Watermarks::new(0, 0));
/// let log: SpillBytes<'_, Lock, Buffered<1>> = SpillBytes::new(&spill, Policy::ColdFirst);
/// static STOP: Channel<Lock, (), Buffered<1>> = Channel::new();
///
/// log.try_send_bytes(b"a line")?;
/// STOP.try_send(())?;
/// # let done = core::cell::Cell::new(false);
/// # let run = async {
/// let mut send = std::pin::pin!(log.send(ARENA.try_alloc(6).expect("it has room")));
/// match select((send.as_mut(), STOP.recv())).await {
///     Either::First(sent) => unreachable!("the channel is full, and yet {sent:?}"),
///     Either::Second(_) => assert_eq!(send.take_value().expect("not sent").len(), 6),
/// }
/// # done.set(true);
/// # };
/// # let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
/// # assert!(std::pin::pin!(run).poll(&mut cx).is_ready() && done.get());
/// # use std::future::Future;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "futures do nothing unless polled"]
pub struct SpillSend<'c, 'a, M: RawMutex, S: Strategy<Slot<'a, M>>> {
    channel: &'c SpillBytes<'a, M, S>,
    /// A slot. Pinned. Of a kind that drops values it is never polled: there is nothing to wait for.
    slot: Reserve<'c, M, Slot<'a, M>, Counting<S>>,
    /// Of such a kind only.
    side: Side,
    /// Until it has been sent.
    parcel: Option<Parcel<'a, M>>,
}

impl<'c, 'a, M: RawMutex, S: Strategy<Slot<'a, M>>> SpillSend<'c, 'a, M, S> {
    pub(super) fn new(channel: &'c SpillBytes<'a, M, S>, parcel: Parcel<'a, M>) -> Self {
        let slot = channel.queue.reserve();
        Self { channel, slot, side: Side::none(), parcel: Some(parcel) }
    }

    /// Stops waiting, and gives the payload back, at rest, if it has not been sent.
    pub fn take_value(mut self: Pin<&mut Self>) -> Option<Parcel<'a, M>> {
        self.as_mut().withdraw();
        self.parcel().take()
    }

    fn slot(self: Pin<&mut Self>) -> Pin<&mut Reserve<'c, M, Slot<'a, M>, Counting<S>>> {
        // SAFETY: it is pinned with the whole, and not moved.
        unsafe { self.map_unchecked_mut(|this| &mut this.slot) }
    }

    fn parcel(self: Pin<&mut Self>) -> &mut Option<Parcel<'a, M>> {
        // SAFETY: the payload is not pinned.
        unsafe { &mut self.get_unchecked_mut().parcel }
    }
}

impl<'a, M: RawMutex, S: Strategy<Slot<'a, M>>> Future for SpillSend<'_, 'a, M, S> {
    type Output = Result<(), SendError<Parcel<'a, M>>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.parcel.is_none() || (S::LOSES && !self.side.wins()) {
            return Poll::Pending;
        }
        let channel = self.channel;
        let slot = if S::LOSES { None } else { Some(ready!(self.as_mut().slot().poll(cx))) };
        let Some(parcel) = self.parcel().take() else { return Poll::Pending };
        Poll::Ready(match slot {
            None => channel.try_send_parcel(parcel).map_err(|error| SendError(error.into_inner())),
            Some(Ok(slot)) => {
                channel.send_into(slot, parcel);
                Ok(())
            }
            Some(Err(ClosedError)) => Err(SendError(parcel)),
        })
    }
}

impl<'a, M: RawMutex, S: Strategy<Slot<'a, M>>> Operation for SpillSend<'_, 'a, M, S> {
    type Limited = Result<(), SendTimeoutError<Parcel<'a, M>>>;

    fn finish(output: Self::Output) -> Self::Limited {
        output.map_err(|SendError(parcel)| SendTimeoutError::Closed(parcel))
    }

    fn abandon(mut self: Pin<&mut Self>, why: Stopped) -> Option<Self::Limited> {
        let channel = self.channel;
        let parcel = self.as_mut().parcel().take()?;
        let slot = self.slot().abandon(why);
        Some(match slot {
            Some(Ok(slot)) => {
                channel.send_into(slot, parcel);
                Ok(())
            }
            Some(Err(StoppedError::Closed)) => Err(SendTimeoutError::Closed(parcel)),
            _ => Err(SendTimeoutError::stopped(why, parcel)),
        })
    }
}

impl<'a, M: RawMutex, S: Strategy<Slot<'a, M>>> Sealed for SpillSend<'_, 'a, M, S> {}

impl<'a, M: RawMutex, S: Strategy<Slot<'a, M>>> Arm for SpillSend<'_, 'a, M, S> {
    unsafe fn join(self: Pin<&mut Self>, claim: *const Claim, arm: u16) {
        // SAFETY: passed on.
        unsafe { if S::LOSES { self.side.join(claim, arm) } else { self.slot().join(claim, arm) } }
    }

    fn withdraw(self: Pin<&mut Self>) {
        if S::LOSES { self.side.leave() } else { self.slot().withdraw() }
    }

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.parcel.is_none() {
            return Poll::Pending;
        }
        if S::LOSES { Poll::Ready(()) } else { self.slot().poll_ready(cx) }
    }
}
