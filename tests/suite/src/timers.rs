//! Sleeps: in order, not early, and gone without a trace when they are dropped.

use core::pin::{Pin, pin};

use cloakroom::TryRecvError;
use cloakroom::kernel::{Sleep, TimerQueue, Timers};
use cloakroom::sync::RawMutex;

use crate::check::Outcome;
use crate::fixture::{Numbers, Witness, witness};

tests!("timers":
    a_sleep_ends_at_its_deadline,
    what_is_due_already_does_not_sleep,
    time_does_not_go_back,
    sleeps_end_in_time_whatever_their_order,
    sleeps_of_one_deadline_end_together,
    a_cancelled_sleep_leaves_no_trace,
    the_next_deadline_is_never_late,
    far_sleeps_end_too,
    a_sleep_is_woken_once,
    random_sleeps,
    trying_for_a_tick_leaves_no_trace,
);

fn a_sleep_ends_at_its_deadline<M: RawMutex + 'static>() -> Outcome {
    let timers = Timers::<M>::new();
    witness!(w);
    let mut sleep = pin!(timers.at(100));
    check_eq!(sleep.deadline(), 100);
    check!(w.poll(sleep.as_mut()).is_pending());
    check_eq!(timers.next_deadline(), Some(100));
    timers.advance(99);
    check!(w.poll(sleep.as_mut()).is_pending());
    check_eq!(w.wakes(), 0);
    timers.advance(100);
    check_eq!(w.wakes(), 1);
    check!(w.poll(sleep).is_ready());
    check_eq!(timers.next_deadline(), None);
    Ok(())
}

fn what_is_due_already_does_not_sleep<M: RawMutex + 'static>() -> Outcome {
    let timers = Timers::<M>::new();
    witness!(w);
    timers.advance(50);
    check!(w.poll(pin!(timers.at(50))).is_ready());
    check!(w.poll(pin!(timers.at(3))).is_ready());
    check!(w.poll(pin!(timers.after(0))).is_ready());
    check_eq!(timers.after(u64::MAX).deadline(), u64::MAX);
    Ok(())
}

fn time_does_not_go_back<M: RawMutex + 'static>() -> Outcome {
    let timers = Timers::<M>::new();
    witness!(w);
    timers.advance(50);
    timers.advance(20);
    check_eq!(timers.now(), 50);
    let mut sleep = pin!(timers.at(60));
    check!(w.poll(sleep.as_mut()).is_pending());
    timers.advance(20);
    check_eq!((timers.now(), w.wakes()), (50, 0));
    timers.advance(u64::MAX);
    check!(w.poll(sleep).is_ready());
    Ok(())
}

fn sleeps_end_in_time_whatever_their_order<M: RawMutex + 'static>() -> Outcome {
    let timers = Timers::<M>::new();
    witness!(w1, w2, w3);
    let (mut a, mut b, mut c) = (pin!(timers.at(300)), pin!(timers.at(7)), pin!(timers.at(45)));
    check!(w1.poll(a.as_mut()).is_pending());
    check!(w2.poll(b.as_mut()).is_pending());
    check!(w3.poll(c.as_mut()).is_pending());
    check_eq!(timers.next_deadline(), Some(7));
    timers.advance(7);
    check_eq!((w1.wakes(), w2.wakes(), w3.wakes()), (0, 1, 0));
    timers.advance(46);
    check_eq!((w1.wakes(), w2.wakes(), w3.wakes()), (0, 0, 1));
    timers.advance(299);
    check_eq!(w1.wakes(), 0);
    timers.advance(1_000);
    check_eq!(w1.wakes(), 1);
    check!(w1.poll(a).is_ready() && w2.poll(b).is_ready() && w3.poll(c).is_ready());
    Ok(())
}

fn sleeps_of_one_deadline_end_together<M: RawMutex + 'static>() -> Outcome {
    let timers = Timers::<M>::new();
    witness!(w);
    let (mut a, mut b, mut c) = (pin!(timers.at(9)), pin!(timers.at(9)), pin!(timers.at(9)));
    for sleep in [&mut a, &mut b, &mut c] {
        check!(w.poll(sleep.as_mut()).is_pending());
    }
    timers.advance(9);
    check_eq!(w.wakes(), 3);
    Ok(())
}

fn a_cancelled_sleep_leaves_no_trace<M: RawMutex + 'static>() -> Outcome {
    let timers = Timers::<M>::new();
    witness!(w1, w2, w3);
    let (mut a, mut c) = (pin!(timers.at(9)), pin!(timers.at(9)));
    {
        let mut b = pin!(timers.at(9));
        check!(w1.poll(a.as_mut()).is_pending());
        check!(w2.poll(b.as_mut()).is_pending());
        check!(w3.poll(c.as_mut()).is_pending());
    }
    timers.advance(9);
    check_eq!((w1.wakes(), w2.wakes(), w3.wakes()), (1, 0, 1));
    {
        let mut last = pin!(timers.at(20));
        check!(w1.poll(last.as_mut()).is_pending());
    }
    check_eq!(timers.next_deadline(), None);
    Ok(())
}

fn the_next_deadline_is_never_late<M: RawMutex + 'static>() -> Outcome {
    let timers = Timers::<M>::new();
    witness!(w);
    // More sleeps in one bucket than are looked at: the answer may be early, but never late.
    let mut sleeps = pin!([127, 126, 125, 124, 123, 122, 121].map(|tick| timers.at(tick)));
    for number in 0..7 {
        check!(w.poll(element(sleeps.as_mut(), number)).is_pending());
    }
    let mut steps = 0;
    while let Some(tick) = timers.next_deadline() {
        check!(tick > timers.now());
        timers.advance(tick);
        steps += 1;
        check!(steps <= 20);
    }
    check_eq!((timers.now(), w.wakes()), (127, 7));
    Ok(())
}

fn far_sleeps_end_too<M: RawMutex + 'static>() -> Outcome {
    let timers = Timers::<M>::new();
    witness!(w1, w2);
    let far = 1 << 40;
    let (mut a, mut b) = (pin!(timers.at(far)), pin!(timers.at(far + 3)));
    check!(w1.poll(a.as_mut()).is_pending());
    check!(w2.poll(b.as_mut()).is_pending());
    for tick in [1, 1 << 20, 1 << 33, 1 << 39, far - 1] {
        timers.advance(tick);
        check_eq!((w1.wakes(), w2.wakes()), (0, 0));
    }
    timers.advance(far);
    check_eq!((w1.wakes(), w2.wakes()), (1, 0));
    timers.advance(far + 3);
    check_eq!(w2.wakes(), 1);
    Ok(())
}

fn a_sleep_is_woken_once<M: RawMutex + 'static>() -> Outcome {
    let timers = Timers::<M>::new();
    witness!(w1, w2);
    let mut sleep = pin!(timers.at(5));
    check!(w1.poll(sleep.as_mut()).is_pending());
    // Another waker takes over.
    check!(w2.poll(sleep.as_mut()).is_pending());
    timers.advance(5);
    timers.advance(6);
    check_eq!((w1.wakes(), w2.wakes()), (0, 1));
    check!(w2.poll(sleep).is_ready());
    Ok(())
}

/// Inserted and advanced at random, each ends at the first advance that reaches its deadline.
fn random_sleeps<M: RawMutex + 'static>() -> Outcome {
    const SLEEPS: usize = 12;
    let timers = Timers::<M>::new();
    let mut numbers = Numbers::new(31);
    let witnesses = pin!(core::array::from_fn::<_, SLEEPS, _>(|_| Witness::new()));
    let witnesses = witnesses.as_ref();
    for _ in 0..40 {
        let base = timers.now();
        let mut sleeps = pin!(core::array::from_fn::<_, SLEEPS, _>(|_| {
            let delay = numbers.next() >> (8 + numbers.below(24));
            timers.at(base + 1 + u64::from(delay))
        }));
        for number in 0..SLEEPS {
            check!(shared(witnesses, number).poll(element(sleeps.as_mut(), number)).is_pending());
        }
        for _ in 0..6 {
            let before = timers.now();
            timers.advance(before + 1 + u64::from(numbers.next() >> (8 + numbers.below(24))));
            for number in 0..SLEEPS {
                let deadline = element(sleeps.as_mut(), number).deadline();
                let due = (before + 1..=timers.now()).contains(&deadline);
                check_eq!(shared(witnesses, number).wakes(), u32::from(due));
            }
        }
        // Those that still sleep are cancelled.
    }
    check_eq!(timers.next_deadline(), None);
    Ok(())
}

fn element<'s, 't, M: RawMutex, const N: usize>(
    sleeps: Pin<&'s mut [Sleep<'t, M>; N]>,
    number: usize,
) -> Pin<&'s mut Sleep<'t, M>> {
    // SAFETY: an element is pinned with its array, which is not moved.
    unsafe { sleeps.map_unchecked_mut(|sleeps| &mut sleeps[number]) }
}

fn shared<const N: usize>(witnesses: Pin<&[Witness; N]>, number: usize) -> Pin<&Witness> {
    // SAFETY: as in `element`.
    unsafe { witnesses.map_unchecked(|witnesses| &witnesses[number]) }
}

fn trying_for_a_tick_leaves_no_trace<M: RawMutex + 'static>() -> Outcome {
    let timers = Timers::<M>::new();
    witness!(w);
    let mut tick = pin!(timers.tick(10));
    check_eq!(tick.as_mut().try_recv(), Err(TryRecvError::Empty));
    check_eq!(timers.next_deadline(), None);
    // Nor does it put anybody to sleep who waits.
    check!(w.poll(tick.as_mut()).is_pending());
    check_eq!(tick.as_mut().try_recv(), Err(TryRecvError::Empty));
    timers.advance(10);
    check_eq!(w.wakes(), 1);
    check_eq!(tick.as_mut().try_recv(), Ok(10));
    check_eq!((tick.as_mut().try_recv(), timers.next_deadline()), (Err(TryRecvError::Empty), None));

    let mut once = pin!(timers.once_at(20));
    timers.advance(20);
    check_eq!((once.as_mut().try_recv(), once.try_recv()), (Ok(20), Err(TryRecvError::Empty)));
    Ok(())
}
