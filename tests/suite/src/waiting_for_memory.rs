//! Waiting for memory: first come, first served, and nothing is left behind.

use core::pin::pin;

use cloakroom::error::AllocTimeoutError;
use cloakroom::limit::Operation;
use cloakroom::sync::RawMutex;
use cloakroom::{AllocError, Arena, TryAllocError};

use crate::check::Outcome;
use crate::fixture::witness;

tests!("waiting_for_memory":
    memory_that_is_there_is_given_at_once,
    what_can_never_be_met_does_not_wait,
    waiters_are_served_in_order,
    a_large_waiter_is_not_overtaken,
    a_newcomer_does_not_overtake,
    a_dropped_waiter_leaves_no_trace,
    a_dropped_turn_goes_to_the_next,
    a_waiter_held_back_by_its_cap_lets_others_pass,
    a_waiter_is_helped_by_compaction,
    a_deadline_ends_the_wait,
    memory_comes_before_cancellation,
);

fn memory_that_is_there_is_given_at_once<M: RawMutex + 'static>() -> Outcome {
    let arena: Arena<M, 4, 16, 4> = Arena::new();
    witness!(w);
    let lease = ok!(ready!(w.poll(pin!(arena.alloc(50)))));
    check_eq!((lease.len(), arena.snapshot().waited, w.wakes()), (50, 0, 0));
    Ok(())
}

fn what_can_never_be_met_does_not_wait<M: RawMutex + 'static>() -> Outcome {
    let arena: Arena<M, 4, 16, 4> = Arena::new();
    witness!(w);
    check!(matches!(ready!(w.poll(pin!(arena.alloc(65)))), Err(AllocError)));
    Ok(())
}

fn waiters_are_served_in_order<M: RawMutex + 'static>() -> Outcome {
    let arena: Arena<M, 4, 16, 8> = Arena::new();
    witness!(w1, w2, w3);
    let taken = ok!(arena.try_alloc(64));
    let (mut first, mut second, mut third) =
        (pin!(arena.alloc(16)), pin!(arena.alloc(16)), pin!(arena.alloc(16)));
    check!(w1.poll(first.as_mut()).is_pending());
    check!(w2.poll(second.as_mut()).is_pending());
    check!(w3.poll(third.as_mut()).is_pending());
    drop(taken);
    check_eq!((w1.wakes(), w2.wakes(), w3.wakes()), (1, 0, 0));
    // Not even a waiter may go before its turn.
    check!(w3.poll(third.as_mut()).is_pending());
    let a = ok!(ready!(w1.poll(first)));
    check_eq!((w2.wakes(), w3.wakes()), (1, 0));
    let b = ok!(ready!(w2.poll(second)));
    check_eq!(w3.wakes(), 1);
    let c = ok!(ready!(w3.poll(third)));
    check_eq!(arena.snapshot().free, 1);
    drop((a, b, c));
    check_eq!((arena.snapshot().free, arena.snapshot().waited), (4, 3));
    Ok(())
}

fn a_large_waiter_is_not_overtaken<M: RawMutex + 'static>() -> Outcome {
    let arena: Arena<M, 4, 16, 8> = Arena::new();
    witness!(w1, w2);
    let (half, rest) = (ok!(arena.try_alloc(32)), ok!(arena.try_alloc(32)));
    let (mut large, mut small) = (pin!(arena.alloc(64)), pin!(arena.alloc(1)));
    check!(w1.poll(large.as_mut()).is_pending());
    check!(w2.poll(small.as_mut()).is_pending());
    drop(half);
    check_eq!((w1.wakes(), w2.wakes()), (0, 0));
    check!(w2.poll(small.as_mut()).is_pending());
    drop(rest);
    check_eq!((w1.wakes(), w2.wakes()), (1, 0));
    let whole = ok!(ready!(w1.poll(large)));
    check_eq!(w2.wakes(), 0);
    drop(whole);
    check_eq!(w2.wakes(), 1);
    check!(ready!(w2.poll(small)).is_ok());
    Ok(())
}

fn a_newcomer_does_not_overtake<M: RawMutex + 'static>() -> Outcome {
    let arena: Arena<M, 4, 16, 8> = Arena::new();
    witness!(w);
    let taken = ok!(arena.try_alloc(16));
    let mut large = pin!(arena.alloc(64));
    check!(w.poll(large.as_mut()).is_pending());
    // Three pages are free, but somebody was here before.
    check!(matches!(arena.try_alloc(1), Err(TryAllocError::Full)));
    drop(taken);
    // The turn has been given, so it is so still.
    check!(matches!(arena.try_alloc(1), Err(TryAllocError::Full)));
    check!(ready!(w.poll(large)).is_ok());
    check!(arena.try_alloc(1).is_ok());
    Ok(())
}

fn a_dropped_waiter_leaves_no_trace<M: RawMutex + 'static>() -> Outcome {
    let arena: Arena<M, 4, 16, 8> = Arena::new();
    witness!(w1, w2);
    let taken = ok!(arena.try_alloc(16));
    let mut small = pin!(arena.alloc(1));
    {
        let mut large = pin!(arena.alloc(64));
        check!(w1.poll(large.as_mut()).is_pending());
        check!(w2.poll(small.as_mut()).is_pending());
    }
    // The one who stood in the way is gone, and there is room for the other.
    check_eq!((w1.wakes(), w2.wakes()), (0, 1));
    check!(ready!(w2.poll(small)).is_ok());
    drop(taken);
    check!(arena.try_alloc(64).is_ok());
    Ok(())
}

fn a_dropped_turn_goes_to_the_next<M: RawMutex + 'static>() -> Outcome {
    let arena: Arena<M, 4, 16, 8> = Arena::new();
    witness!(w1, w2);
    let taken = ok!(arena.try_alloc(64));
    let mut second = pin!(arena.alloc(64));
    {
        let mut first = pin!(arena.alloc(64));
        check!(w1.poll(first.as_mut()).is_pending());
        check!(w2.poll(second.as_mut()).is_pending());
        drop(taken);
        check_eq!((w1.wakes(), w2.wakes()), (1, 0));
    }
    check_eq!(w2.wakes(), 1);
    check!(ready!(w2.poll(second)).is_ok());
    check!(arena.try_alloc(64).is_ok());
    Ok(())
}

fn a_waiter_held_back_by_its_cap_lets_others_pass<M: RawMutex + 'static>() -> Outcome {
    let arena: Arena<M, 4, 16, 8> = Arena::new();
    let home = ok!(arena.handle().open_home(1, 0));
    witness!(w1, w2);
    let (own, others) = (ok!(home.try_alloc(16)), ok!(arena.try_alloc(48)));
    let (mut capped, mut free) = (pin!(home.alloc(16)), pin!(arena.alloc(16)));
    check!(w1.poll(capped.as_mut()).is_pending());
    check!(w2.poll(free.as_mut()).is_pending());
    drop(others);
    check_eq!((w1.wakes(), w2.wakes()), (0, 1));
    check!(ready!(w2.poll(free)).is_ok());
    drop(own);
    check_eq!(w1.wakes(), 1);
    check!(ready!(w1.poll(capped)).is_ok());
    check_eq!(home.snapshot().used, 0);
    Ok(())
}

fn a_waiter_is_helped_by_compaction<M: RawMutex + 'static>() -> Outcome {
    let arena: Arena<M, 4, 16, 8> = Arena::new();
    witness!(w);
    let a = ok!(arena.try_alloc(16));
    let b = ok!(arena.try_alloc(16));
    let c = ok!(arena.try_alloc(16));
    let rest = ok!(arena.try_alloc(16));
    drop((a, c));
    // Two pages are free, with a lease in hand between them and one behind.
    let mut pair = pin!(arena.alloc(32));
    check!(w.poll(pair.as_mut()).is_pending());
    let ticket = b.deposit();
    check!(w.wakes() > 0);
    check!(ready!(w.poll(pair)).is_ok());
    check!(arena.redeem(ticket).is_ok());
    drop(rest);
    check!(arena.handle().verify().is_clean());
    Ok(())
}

fn a_deadline_ends_the_wait<M: RawMutex + 'static>() -> Outcome {
    let arena: Arena<M, 4, 16, 8> = Arena::new();
    witness!(w1, w2);
    let taken = ok!(arena.try_alloc(64));
    let mut second = pin!(arena.alloc(64));
    {
        let mut passed = false;
        let deadline = core::future::poll_fn(|_| {
            let now = core::mem::replace(&mut passed, true);
            if now { core::task::Poll::Ready(()) } else { core::task::Poll::Pending }
        });
        let mut first = pin!(arena.alloc(1).deadline(deadline));
        check!(w1.poll(first.as_mut()).is_pending());
        check!(w2.poll(second.as_mut()).is_pending());
        check!(matches!(ready!(w1.poll(first)), Err(AllocTimeoutError::Timeout)));
    }
    drop(taken);
    check_eq!((w1.wakes(), w2.wakes()), (0, 1));
    check!(ready!(w2.poll(second)).is_ok());
    Ok(())
}

fn memory_comes_before_cancellation<M: RawMutex + 'static>() -> Outcome {
    let arena: Arena<M, 4, 16, 8> = Arena::new();
    let never = arena.alloc(16).cancelled_by(core::future::ready(()));
    witness!(w);
    check!(ready!(w.poll(pin!(never))).is_ok());
    let taken = ok!(arena.try_alloc(64));
    let cancelled = arena.alloc(16).cancelled_by(core::future::ready(()));
    check!(matches!(ready!(w.poll(pin!(cancelled))), Err(AllocTimeoutError::Cancelled)));
    drop(taken);
    check!(arena.try_alloc(64).is_ok());
    Ok(())
}
