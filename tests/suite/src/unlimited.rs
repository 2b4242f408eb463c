//! Unlimited channels: full when memory is, and never dead.

use core::pin::pin;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use cloakroom::Arena;
use cloakroom::channel::{Bytes, Channel, Kind, Unlimited};
use cloakroom::select::select;
use cloakroom::{SendError, TryRecvError, TrySendError};

use crate::check::Outcome;
use crate::fixture::{Counted, Place, reconciles, witness};

tests_at_a_place!("unlimited":
    values_stay_in_order_over_segments,
    exhausted_memory_is_full_not_dead,
    senders_wait_for_memory_in_order,
    a_sender_that_waited_for_memory_may_go,
    close_gives_parked_values_back,
    a_dropped_channel_drops_its_values_and_frees_its_memory,
    messages_and_their_queue_share_one_arena,
    permits_that_are_not_used_give_their_memory_back,
);

type Queue<'a, M> = Channel<M, u32, Unlimited<'a, M, 4>>;

fn values_stay_in_order_over_segments<P: Place>() -> Outcome {
    let arena: Arena<P::Lock, 16, 16, 8> = Arena::new();
    let channel: Queue<'_, P::Lock> = Channel::over(&arena);
    check_eq!((channel.capacity(), channel.snapshot().kind), (None, Kind::Unlimited));
    let (mut next_in, mut next_out) = (0, 0);
    for round in 0..12 {
        for _ in 0..round % 7 + 1 {
            check_eq!(channel.try_send(next_in), Ok(()));
            next_in += 1;
        }
        for _ in 0..round % 5 + 1 {
            if channel.try_recv() == Ok(next_out) {
                next_out += 1;
            }
        }
    }
    while channel.try_recv() == Ok(next_out) {
        next_out += 1;
    }
    check_eq!(next_in, next_out);
    check!(reconciles(&channel.snapshot()));
    // At most one segment is kept.
    check!(arena.snapshot().live <= 1);
    Ok(())
}

fn exhausted_memory_is_full_not_dead<P: Place>() -> Outcome {
    let arena: Arena<P::Lock, 8, 16, 8> = Arena::new();
    let channel: Queue<'_, P::Lock> = Channel::over(&arena);
    for _ in 0..3 {
        let mut sent = 0;
        while channel.try_send(sent).is_ok() {
            sent += 1;
        }
        check!(sent >= 4);
        check_eq!(channel.try_send(99), Err(TrySendError::Full(99)));
        for value in 0..sent {
            check_eq!(channel.try_recv(), Ok(value));
        }
        check_eq!(channel.try_recv(), Err(TryRecvError::Empty));
    }
    check!(reconciles(&channel.snapshot()));
    Ok(())
}

fn senders_wait_for_memory_in_order<P: Place>() -> Outcome {
    let arena: Arena<P::Lock, 8, 16, 8> = Arena::new();
    let channel: Queue<'_, P::Lock> = Channel::over(&arena);
    witness!(w1, w2);
    let taken = ok!(arena.try_alloc(8 * 16));
    let (mut s1, mut s2) = (pin!(channel.send(1)), pin!(channel.send(2)));
    check!(w1.poll(s1.as_mut()).is_pending());
    check!(w2.poll(s2.as_mut()).is_pending());
    check_eq!(channel.try_send(3), Err(TrySendError::Full(3)));
    drop(taken);
    check_eq!((w1.wakes(), w2.wakes()), (1, 0));
    check_eq!(ready!(w1.poll(s1)), Ok(()));
    check_eq!(w2.wakes(), 1);
    check_eq!(ready!(w2.poll(s2)), Ok(()));
    check_eq!(channel.try_send(3), Ok(()));
    for value in 1..=3 {
        check_eq!(channel.try_recv(), Ok(value));
    }
    check!(reconciles(&channel.snapshot()));
    Ok(())
}

fn a_sender_that_waited_for_memory_may_go<P: Place>() -> Outcome {
    let arena: Arena<P::Lock, 8, 16, 8> = Arena::new();
    let channel: Queue<'_, P::Lock> = Channel::over(&arena);
    witness!(w1, w2);
    let taken = ok!(arena.try_alloc(8 * 16));
    let mut second = pin!(channel.send(2));
    {
        let mut first = pin!(channel.send(1));
        check!(w1.poll(first.as_mut()).is_pending());
        check!(w2.poll(second.as_mut()).is_pending());
    }
    // The second one is the first now, and has to be told so, to ask for memory itself.
    check_eq!(w2.wakes(), 1);
    check!(w2.poll(second.as_mut()).is_pending());
    drop(taken);
    check_eq!(w2.wakes(), 1);
    check_eq!(ready!(w2.poll(second)), Ok(()));
    check_eq!((channel.try_recv(), channel.len()), (Ok(2), 0));
    Ok(())
}

fn close_gives_parked_values_back<P: Place>() -> Outcome {
    let arena: Arena<P::Lock, 8, 16, 8> = Arena::new();
    let channel: Queue<'_, P::Lock> = Channel::over(&arena);
    witness!(w);
    let taken = ok!(arena.try_alloc(8 * 16));
    let mut parked = pin!(channel.send(1));
    check!(w.poll(parked.as_mut()).is_pending());
    channel.close();
    check_eq!(w.wakes(), 1);
    check_eq!(ready!(w.poll(parked)), Err(SendError(1)));
    drop(taken);
    // It stands in the arena's queue no longer.
    check!(arena.try_alloc(8 * 16).is_ok());
    Ok(())
}

fn a_dropped_channel_drops_its_values_and_frees_its_memory<P: Place>() -> Outcome {
    let count = AtomicU32::new(0);
    let arena: Arena<P::Lock, 16, 16, 8> = Arena::new();
    {
        let channel: Channel<P::Lock, Counted<'_>, Unlimited<'_, P::Lock, 4>> =
            Channel::over(&arena);
        for _ in 0..10 {
            check!(channel.try_send(Counted::new(&count)).is_ok());
        }
        drop(channel.try_recv());
        check_eq!(count.load(Relaxed), 9);
    }
    check_eq!((count.load(Relaxed), arena.snapshot().live), (0, 0));
    check!(arena.handle().verify().is_clean());
    Ok(())
}

fn messages_and_their_queue_share_one_arena<P: Place>() -> Outcome {
    let arena: Arena<P::Lock, 24, 16, 16> = Arena::new();
    {
        let channel: Bytes<'_, P::Lock, Unlimited<'_, P::Lock, 2>> = Bytes::over(&arena);
        let mut sent = 0u8;
        while channel.try_send_bytes(arena.handle(), &[sent; 16]).is_ok() {
            sent += 1;
        }
        check!(sent >= 4);
        for number in 0..sent {
            check_eq!(&*ok!(channel.try_recv()), &[number; 16]);
        }
        check!(channel.try_send_bytes(arena.handle(), b"again").is_ok());
    }
    check_eq!(arena.snapshot().live, 0);
    Ok(())
}

fn permits_that_are_not_used_give_their_memory_back<P: Place>() -> Outcome {
    let arena: Arena<P::Lock, 16, 16, 8> = Arena::new();
    let channel: Queue<'_, P::Lock> = Channel::over(&arena);
    check_eq!(channel.try_send(0), Ok(()));
    let mut permits: [_; 12] = core::array::from_fn(|_| channel.try_reserve().ok());
    check!(permits.iter().all(Option::is_some));
    check_eq!(arena.snapshot().live, 4);
    // The values stay in order, wherever their memory was put.
    for (value, permit) in (1..).zip(permits[..6].iter_mut().filter_map(Option::take)) {
        permit.send(value);
    }
    check_eq!(arena.snapshot().live, 4);
    permits.fill_with(|| None);
    check_eq!(arena.snapshot().live, 2);
    check_eq!(channel.try_send(7), Ok(()));
    check_eq!(arena.snapshot().live, 2);
    check!(channel.drain().eq(0..8));
    check_eq!(arena.snapshot().live, 1);

    // Nor does a sender keep any that only asks whether there is some.
    witness!(w);
    for value in 0..4 {
        check_eq!(channel.try_send(value), Ok(()));
    }
    // All descriptors are taken.
    let hogs: [_; 8] = core::array::from_fn(|_| arena.try_alloc(0).ok());
    let mut either = pin!(select([channel.send(4)]));
    {
        let mut ready = pin!(either.as_mut().ready());
        check!(w.poll(ready.as_mut()).is_pending());
        drop(hogs);
        check_eq!((w.wakes(), ready!(w.poll(ready))), (1, 0));
    }
    check_eq!((arena.snapshot().live, channel.len()), (1, 4));
    check!(matches!(ready!(w.poll(either)), (0, Ok(()))));
    check!(channel.drain().eq(0..5));
    Ok(())
}
