//! Overflow policies: what becomes of a send that finds no room.

use super::store::sealed::Sealed;

/// What a send does when there is no room: [`Wait`], [`DropNewest`] or [`DropOldest`].
///
/// Whatever is dropped is counted, and handed to the policy's [`Hook`]. Not for implementing elsewhere.
pub trait Overflow<T>: Sealed {
    #[doc(hidden)]
    const VICTIM: Victim;
    #[doc(hidden)]
    fn dropped(&self, value: T);
}

/// Which value a policy drops.
#[doc(hidden)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Victim {
    None,
    Newest,
    Oldest,
}

/// Policies that can be made in a `const`, without a parameter.
pub trait ConstOverflow: Sealed {
    #[doc(hidden)]
    const POLICY: Self;
}

/// Senders wait for room: nothing is dropped.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wait;

/// A send without room drops its own value. It never waits, and reports success: what it counts as
/// is `sent` and `dropped`.
///
/// A [`Permit`](super::Permit) holds a slot under this policy, too: what it sends is not dropped.
#[derive(Clone, Copy, Debug, Default)]
pub struct DropNewest<H = Discard>(pub H);

/// A send without room drops the oldest value in the channel (or its own, when all slots are held by
/// [`Permit`](super::Permit)s). It never waits.
#[derive(Clone, Copy, Debug, Default)]
pub struct DropOldest<H = Discard>(pub H);

/// What is done with a dropped value, in the context of the sender and outside every lock.
///
/// Any `Fn(T)` is one. It may use the channel.
///
/// ```
/// use core::sync::atomic::{AtomicU32, Ordering};
/// use cloakroom::channel::{Buffered, Channel, DropOldest};
/// use cloakroom::sync::CriticalSectionRawMutex as Lock;
///
/// static MISSED: AtomicU32 = AtomicU32::new(0);
/// static LATEST: Channel<Lock, u32, Buffered<2, DropOldest<fn(u32)>>> =
///     Channel::with(Buffered::with(DropOldest(|_value| MISSED.store(1, Ordering::Relaxed))));
///
/// for reading in 0..3 {
///     LATEST.try_send(reading)?;
/// }
/// assert_eq!(MISSED.load(Ordering::Relaxed), 1);
/// assert_eq!((LATEST.try_recv(), LATEST.snapshot().dropped), (Ok(1), 1));
/// # Ok::<(), cloakroom::TrySendError<u32>>(())
/// ```
pub trait Hook<T> {
    /// `value` found no room, or had to make room.
    fn dropped(&self, value: T);
}

impl<T, F: Fn(T)> Hook<T> for F {
    fn dropped(&self, value: T) {
        self(value);
    }
}

/// The hook that just drops the value.
#[derive(Clone, Copy, Debug, Default)]
pub struct Discard;

impl<T> Hook<T> for Discard {
    fn dropped(&self, value: T) {
        drop(value);
    }
}

impl Sealed for Wait {}
impl<H> Sealed for DropNewest<H> {}
impl<H> Sealed for DropOldest<H> {}

impl<T> Overflow<T> for Wait {
    const VICTIM: Victim = Victim::None;
    fn dropped(&self, value: T) {
        drop(value);
    }
}

impl<T, H: Hook<T>> Overflow<T> for DropNewest<H> {
    const VICTIM: Victim = Victim::Newest;
    fn dropped(&self, value: T) {
        self.0.dropped(value);
    }
}

impl<T, H: Hook<T>> Overflow<T> for DropOldest<H> {
    const VICTIM: Victim = Victim::Oldest;
    fn dropped(&self, value: T) {
        self.0.dropped(value);
    }
}

impl ConstOverflow for Wait {
    const POLICY: Self = Wait;
}

impl ConstOverflow for DropNewest {
    const POLICY: Self = DropNewest(Discard);
}

impl ConstOverflow for DropOldest {
    const POLICY: Self = DropOldest(Discard);
}
