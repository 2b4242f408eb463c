//! A select whose arms are known only at run time.

use core::pin::Pin;
use core::task::{Context, Poll};

use super::{Arm, Arms, Attempt, MOST, Select, sealed, select};
use crate::sync::claim::Claim;
use crate::unwind::to_the_end;

/// A [`Select`] over up to `N` arms that are added and removed at run time, without a heap.
///
/// The arms are pinned references, all of one type `F`, which may be a trait object: bring arms of different
/// kinds to one result by [`Arm::mapped`]. It returns the number of the arm that happened, as [`add`](Self::add)
/// gave it, and its result. An arm stays in the set until it is removed; one that has nothing more to do (a send
/// that was sent) stays silent. Two words an arm for a trait object, one for a type.
///
/// As any select it can be awaited again and again, made fair, limited, tried, or asked what is ready; with
/// no arms it never ends. Sending from a set without a value at hand: add a
/// [`Reserve`](crate::channel::Reserve), which returns a permit.
///
/// ```
/// use std::pin::pin;
/// use cloakroom::channel::{Buffered, Channel};
/// use cloakroom::kernel::Timers;
/// use cloakroom::select::{Arm, SelectSet};
/// use cloakroom::sync::CriticalSectionRawMutex as Lock;
///
/// static LINES: [Channel<Lock, u8, Buffered<4>>; 8] = [const { Channel::new() }; 8];
/// static TIMERS: Timers<Lock> = Timers::new();
///
/// #[derive(Debug, PartialEq)]
/// enum Event {
///     Byte(u8),
///     Closed,
///     Late,
/// }
///
/// let mut lines = LINES.each_ref().map(|line| {
///     Box::pin(line.recv().mapped(|byte| byte.map_or(Event::Closed, Event::Byte)))
/// });
/// let mut late = pin!(TIMERS.at(1_000).mapped(|()| Event::Late));
///
/// let mut events = pin!(SelectSet::<dyn Arm<Output = Event> + Send, 9>::new());
/// for line in &mut lines {
///     assert!(events.as_mut().add(line.as_mut()).is_ok());
/// }
/// assert!(events.as_mut().add(late.as_mut()).is_ok());
///
/// LINES[3].try_send(7)?;
/// assert_eq!(events.as_mut().try_now(), Some((3, Event::Byte(7)))); // or events.as_mut().await
/// # Ok::<(), cloakroom::TrySendError<u8>>(())
/// ```
pub type SelectSet<'a, F, const N: usize> = Select<ArmSet<'a, F, N>>;

/// The arms of a [`SelectSet`].
pub struct ArmSet<'a, F: ?Sized, const N: usize> {
    arms: [Option<Pin<&'a mut F>>; N],
}

impl<'a, F: Arm + ?Sized, const N: usize> SelectSet<'a, F, N> {
    /// A set without arms.
    pub fn new() -> Self {
        select(ArmSet { arms: [const { None }; N] })
    }

    /// Adds an arm and returns its number, the lowest that is free. If the set is being awaited its arms are
    /// withdrawn first, and stand at the end of their queues afterwards.
    ///
    /// # Errors
    /// The arm comes back when there are `N` already.
    pub fn add(self: Pin<&mut Self>, arm: Pin<&'a mut F>) -> Result<usize, Pin<&'a mut F>> {
        let mut places = self.places().iter_mut().enumerate();
        match places.find(|(_, place)| place.is_none()) {
            Some((number, place)) => {
                *place = Some(arm);
                Ok(number)
            }
            None => Err(arm),
        }
    }

    /// Takes an arm out; `None` if there is none of this number. As for [`add`](Self::add).
    pub fn remove(self: Pin<&mut Self>, number: usize) -> Option<Pin<&'a mut F>> {
        self.places().get_mut(number)?.take()
    }

    /// How many arms there are.
    pub fn len(&self) -> usize {
        self.arms.arms.iter().flatten().count()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The places, while no arm is part of a select.
    fn places(mut self: Pin<&mut Self>) -> &mut [Option<Pin<&'a mut F>>; N] {
        self.as_mut().part();
        // SAFETY: the references are not pinned, only what they refer to.
        &mut unsafe { self.get_unchecked_mut() }.arms.arms
    }
}

impl<F: Arm + ?Sized, const N: usize> Default for SelectSet<'_, F, N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<F: ?Sized, const N: usize> sealed::Sealed for ArmSet<'_, F, N> {}

impl<F: Arm + ?Sized, const N: usize> ArmSet<'_, F, N> {
    fn arm(self: Pin<&mut Self>, number: u16) -> Option<Pin<&mut F>> {
        // SAFETY: the references are not pinned, only what they refer to.
        let this = unsafe { self.get_unchecked_mut() };
        this.arms.get_mut(usize::from(number))?.as_mut().map(Pin::as_mut)
    }
}

impl<F: Arm + ?Sized, const N: usize> Arms for ArmSet<'_, F, N> {
    type Output = (usize, F::Output);

    fn count(&self) -> u16 {
        const { assert!(N <= MOST as usize, "at most 65,533 arms") };
        N as u16
    }

    fn draw(&self, below: fn(u16) -> u16) -> u16 {
        let mut taken = (0..).zip(&self.arms).filter(|(_, arm)| arm.is_some());
        // One of the arms, not of the places: an arm behind a gap would gain by it. Lossless: at most `N`.
        let nth = below(taken.clone().count() as u16);
        taken.nth(usize::from(nth)).map_or(0, |(number, _)| number)
    }

    unsafe fn join(mut self: Pin<&mut Self>, claim: *const Claim, first: u16) {
        for number in 0..self.count() {
            if let Some(arm) = self.as_mut().arm(number) {
                // SAFETY: passed on. Should the select be leaked, its pinned memory, and the claim in it, stay.
                unsafe { arm.join(claim, first + number) }
            }
        }
    }

    fn poll_arm(self: Pin<&mut Self>, number: u16, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.arm(number) {
            Some(arm) => arm.poll(cx).map(|output| (usize::from(number), output)),
            None => Poll::Pending,
        }
    }

    fn poll_arm_ready(self: Pin<&mut Self>, number: u16, cx: &mut Context<'_>) -> Poll<()> {
        self.arm(number).map_or(Poll::Pending, |arm| arm.poll_ready(cx))
    }

    fn are_fresh(&self) -> bool {
        self.arms.iter().flatten().all(|arm| arm.as_ref().get_ref().is_fresh())
    }

    fn attempt_arm(self: Pin<&mut Self>, number: u16) -> Attempt<Self::Output> {
        match self.arm(number) {
            Some(arm) => arm.attempt().map(|output| (usize::from(number), output)),
            None => Attempt::NotNow,
        }
    }

    fn withdraw(mut self: Pin<&mut Self>) {
        let mut numbers = 0..self.count();
        to_the_end(|| {
            let Some(number) = numbers.next() else { return false };
            if let Some(arm) = self.as_mut().arm(number) {
                arm.withdraw();
            }
            true
        });
    }
}
