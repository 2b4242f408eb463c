//! One operation of a select, whatever it sends or receives.

use std::boxed::Box;
use std::future::Future;
use std::mem::ManuallyDrop;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use super::handoff::{Handoff, PacketToFill, packet};
use super::outcome::{Attempted, Outcome, Word};
use super::receiver::Source;
use super::sender::Target;
use super::timer::Delivery;
use super::{Receiver, RecvError, Sender};
use crate::channel::{Permit, Strategy};
use crate::error::{ClosedError, TryRecvError, TryReserveError, TrySendError};
use crate::select::{Arm, Arms, never, sealed::Sealed};
use crate::std_layer::StdRawMutex;
use crate::std_layer::channel::{Bounded, Unbounded};
use crate::sync::claim::Claim;
use crate::unwind::to_the_end;

/// What a select needs of a sender or a receiver.
pub(super) trait Endpoint {
    /// Does its operation, if that takes no waiting. What comes of it: a [`Granted<T>`](Granted) of a sender, a
    /// [`Received<T>`](Received) of a receiver, or the value itself.
    fn attempt(&self, outcome: &mut Outcome) -> Attempted;
    /// Its operation, for who waits.
    fn case(&self) -> Pin<Box<dyn Case + '_>>;
    /// When the operation may become ready though nobody comes.
    fn due(&self) -> Option<Instant>;
}

/// An operation of a select that waits. It keeps what comes of it until somebody asks.
pub(super) trait Case: Arm<Output = ()> {
    /// Whether it has been done. What came of it, as of an [attempt](Endpoint::attempt); then it begins anew.
    fn finish(self: Pin<&mut Self>, outcome: &mut Outcome) -> bool;
}

/// What came of a receive: a value, perhaps one that its sender has yet to say. Nobody drops it but who asks for it, as it may belong
/// to another thread than the select is on.
pub(super) type Received<T> = ManuallyDrop<Result<Handoff<T>, RecvError>>;

/// What came of a send: a place for the value; `None` if all receivers have gone.
pub(super) type Granted<'a, T> = Option<Place<'a, T>>;

/// A place for a value.
pub(super) enum Place<'a, T> {
    Bounded(Permit<'a, StdRawMutex, T, Bounded>),
    Unbounded(Permit<'a, StdRawMutex, T, Unbounded<'static>>),
    /// A receiver waits for it.
    Rendezvous(PacketToFill<T>),
}

impl<T> Place<'_, T> {
    pub(super) fn send(self, value: T) {
        match self {
            Self::Bounded(permit) => permit.send(value),
            Self::Unbounded(permit) => permit.send(value),
            Self::Rendezvous(packet) => packet.fill(value),
        }
    }
}

impl<T> Endpoint for Sender<T> {
    fn attempt(&self, outcome: &mut Outcome) -> Attempted {
        let granted: Option<Granted<'_, T>> = match &self.0 {
            Target::Bounded(channel) => held(channel.try_reserve(), Place::Bounded),
            Target::Unbounded(channel) => held(channel.try_reserve(), Place::Unbounded),
            Target::Rendezvous(channel) => {
                // Nobody to meet: then nothing is made for it. Closed, it is told below.
                if channel.is_full() && !channel.is_closed() {
                    return Attempted::NotNow;
                }
                let (to_fill, packet) = packet();
                match channel.try_send(Handoff::Later(packet)) {
                    Ok(()) => Some(Some(Place::Rendezvous(to_fill))),
                    Err(TrySendError::Full(_)) => None,
                    Err(TrySendError::Closed(_)) => Some(None),
                }
            }
        };
        let Some(granted) = granted else { return Attempted::NotNow };
        outcome.set(granted);
        Attempted::Kept
    }

    fn case(&self) -> Pin<Box<dyn Case + '_>> {
        match &self.0 {
            Target::Bounded(channel) => {
                Holding::boxed(|| channel.reserve().mapped(|held| place(held, Place::Bounded)))
            }
            Target::Unbounded(channel) => {
                Holding::boxed(|| channel.reserve().mapped(|held| place(held, Place::Unbounded)))
            }
            Target::Rendezvous(channel) => Holding::boxed(|| {
                let (to_fill, packet) = packet();
                let mut to_fill = Some(to_fill);
                let send = channel.send(Handoff::Later(packet));
                // It is sent once, so the packet is still there.
                send.mapped(move |sent| -> Granted<'_, T> {
                    sent.ok().and_then(|()| to_fill.take()).map(Place::Rendezvous)
                })
            }),
        }
    }

    fn due(&self) -> Option<Instant> {
        None
    }
}

fn place<'a, T, S: Strategy<T>>(
    held: Result<Permit<'a, StdRawMutex, T, S>, ClosedError>,
    place: fn(Permit<'a, StdRawMutex, T, S>) -> Place<'a, T>,
) -> Granted<'a, T> {
    held.ok().map(place)
}

/// The same of a try; `None` if it would have to wait.
fn held<'a, T, S: Strategy<T>>(
    tried: Result<Permit<'a, StdRawMutex, T, S>, TryReserveError>,
    place: fn(Permit<'a, StdRawMutex, T, S>) -> Place<'a, T>,
) -> Option<Granted<'a, T>> {
    match tried {
        Ok(permit) => Some(Some(place(permit))),
        Err(TryReserveError::Closed) => Some(None),
        Err(TryReserveError::Full) => None,
    }
}

impl<T> Endpoint for Receiver<T> {
    #[inline]
    fn attempt(&self, outcome: &mut Outcome) -> Attempted {
        // Of the channels themselves, not their endpoints: those would be calls.
        match &self.0 {
            Source::Bounded(channel) => {
                tried(channel.channel().try_recv().map(Handoff::Value), outcome)
            }
            Source::Unbounded(channel) => {
                tried(channel.channel().try_recv().map(Handoff::Value), outcome)
            }
            Source::Rendezvous(channel) => tried(channel.try_recv(), outcome),
            Source::Timer(timer) => {
                let value = timer.try_recv().map_err(|_| TryRecvError::Empty);
                tried(value.map(Handoff::Value), outcome)
            }
            Source::Nobody => Attempted::NotNow,
        }
    }

    fn case(&self) -> Pin<Box<dyn Case + '_>> {
        match &self.0 {
            Source::Bounded(channel) => Holding::boxed(|| channel.recv().mapped(received)),
            Source::Unbounded(channel) => Holding::boxed(|| channel.recv().mapped(received)),
            Source::Rendezvous(channel) => Holding::boxed(|| {
                channel.recv().mapped(|result| -> Received<T> {
                    ManuallyDrop::new(result.map_err(|_| RecvError))
                })
            }),
            Source::Timer(timer) => {
                Holding::boxed(|| Delivery::of(timer).mapped(|value| received(Ok(value))))
            }
            Source::Nobody => Holding::boxed(never::<Received<T>>),
        }
    }

    fn due(&self) -> Option<Instant> {
        match &self.0 {
            Source::Timer(timer) => timer.due(),
            _ => None,
        }
    }
}

/// What came of a try. Part of each of its callers, so that a value stays in a register there.
#[inline(always)]
fn tried<T>(tried: Result<Handoff<T>, TryRecvError>, outcome: &mut Outcome) -> Attempted {
    let received = match tried {
        Ok(Handoff::Value(value)) => match Word::of(value) {
            Ok(word) => return Attempted::Received(word),
            Err(value) => Ok(Handoff::Value(value)),
        },
        Ok(later) => Ok(later),
        Err(TryRecvError::Closed) => Err(RecvError),
        Err(TryRecvError::Empty) => return Attempted::NotNow,
    };
    outcome.set::<Received<T>>(ManuallyDrop::new(received));
    Attempted::Kept
}

fn received<T>(result: Result<T, crate::RecvError>) -> Received<T> {
    ManuallyDrop::new(result.map(Handoff::Value).map_err(|_| RecvError))
}

/// An arm that keeps its result.
struct Holding<A: Arm, F> {
    arm: A,
    outcome: Option<A::Output>,
    /// Makes the arm.
    make: F,
}

impl<A: Arm, F: Fn() -> A> Holding<A, F> {
    fn boxed<'a>(make: F) -> Pin<Box<dyn Case + 'a>>
    where
        A: 'a,
        F: 'a,
    {
        Box::pin(Self { arm: make(), outcome: None, make })
    }
}

impl<A: Arm, F> Holding<A, F> {
    fn parts(self: Pin<&mut Self>) -> (Pin<&mut A>, &mut Option<A::Output>, &F) {
        // SAFETY: the arm is pinned with the whole; its result, and the function, never are.
        unsafe {
            let this = self.get_unchecked_mut();
            (Pin::new_unchecked(&mut this.arm), &mut this.outcome, &this.make)
        }
    }
}

impl<A: Arm, F> Future for Holding<A, F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let (arm, outcome, _) = self.parts();
        *outcome = Some(ready!(arm.poll(cx)));
        Poll::Ready(())
    }
}

impl<A: Arm, F> Sealed for Holding<A, F> {}

impl<A: Arm, F> Arm for Holding<A, F> {
    unsafe fn join(self: Pin<&mut Self>, claim: *const Claim, arm: u16) {
        // SAFETY: passed on.
        unsafe { self.parts().0.join(claim, arm) }
    }

    fn withdraw(self: Pin<&mut Self>) {
        self.parts().0.withdraw();
    }

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.parts().0.poll_ready(cx)
    }
}

impl<A: Arm, F: Fn() -> A> Case for Holding<A, F> {
    fn finish(self: Pin<&mut Self>, outcome: &mut Outcome) -> bool {
        let (mut arm, kept, make) = self.parts();
        let Some(kept) = kept.take() else { return false };
        // In its place: a send has ended.
        arm.set(make());
        outcome.set(kept);
        true
    }
}

/// An operation that waits, of any type.
pub(super) type BoxedCase<'a> = Pin<Box<dyn Case + 'a>>;

/// The cases of a select as its arms. The output is the number of the one that happened.
pub(super) struct Cases<'s, 'a>(pub(super) &'s mut [BoxedCase<'a>]);

impl<'a> Cases<'_, 'a> {
    fn case(self: Pin<&mut Self>, number: u16) -> Option<Pin<&mut (dyn Case + 'a)>> {
        // The boxes are not pinned, only what is in them.
        self.get_mut().0.get_mut(usize::from(number)).map(Pin::as_mut)
    }
}

impl Sealed for Cases<'_, '_> {}

impl Arms for Cases<'_, '_> {
    type Output = usize;

    fn count(&self) -> u16 {
        // Lossless: `Select` takes no more.
        self.0.len() as u16
    }

    unsafe fn join(mut self: Pin<&mut Self>, claim: *const Claim, first: u16) {
        for number in 0..self.count() {
            if let Some(case) = self.as_mut().case(number) {
                // SAFETY: passed on; the boxes outlive the select, which withdraws them.
                unsafe { case.join(claim, first + number) }
            }
        }
    }

    fn poll_arm(self: Pin<&mut Self>, number: u16, cx: &mut Context<'_>) -> Poll<usize> {
        match self.case(number) {
            Some(case) => case.poll(cx).map(|()| usize::from(number)),
            None => Poll::Pending,
        }
    }

    fn poll_arm_ready(self: Pin<&mut Self>, number: u16, cx: &mut Context<'_>) -> Poll<()> {
        self.case(number).map_or(Poll::Pending, |case| case.poll_ready(cx))
    }

    fn withdraw(mut self: Pin<&mut Self>) {
        let mut numbers = 0..self.count();
        to_the_end(|| {
            let Some(number) = numbers.next() else { return false };
            if let Some(case) = self.as_mut().case(number) {
                case.withdraw();
            }
            true
        });
    }
}
