//! Endpoints: views of one side, counted ones, and channels that live in an arena.

use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use cloakroom::channel::{
    Broadcast, Buffered, Channel, Counted, CountedSender, Delivery, Subscriber, endpoints,
};
use cloakroom::sync::RawMutex;
use cloakroom::{Arena, TryRecvError, TrySendError};

use crate::check::Outcome;
use crate::fixture::{Counted as Alive, reconciles};

tests!("endpoints":
    a_side_is_the_same_channel,
    the_last_sender_closes,
    the_last_receiver_closes_and_drops_what_is_in,
    a_weak_sender_keeps_nothing_open,
    a_channel_comes_and_goes_in_an_arena,
    the_last_sender_ends_a_broadcast,
);

type Line<M> = Counted<M, u32, Buffered<2>>;

fn a_side_is_the_same_channel<M: RawMutex + 'static>() -> Outcome {
    let (a, b): (Channel<M, u32, Buffered<2>>, Channel<M, u32, Buffered<2>>) = Default::default();
    check_eq!(a.sender().try_send(1), Ok(()));
    check_eq!((a.receiver().len(), a.receiver().try_recv()), (1, Ok(1)));
    check!(a.sender().same_channel(a.sender()) && !a.sender().same_channel(b.sender()));
    check!(a.receiver().close() && a.sender().is_closed() && !b.is_closed());
    Ok(())
}

fn the_last_sender_closes<M: RawMutex + 'static>() -> Outcome {
    let line = Line::<M>::new();
    let (sender, receiver) = endpoints(&line);
    let other = sender.clone();
    check_eq!((sender.sender_count(), receiver.receiver_count()), (2, 1));
    drop(sender);
    check_eq!((other.try_send(1), receiver.is_closed()), (Ok(()), false));
    drop(other);
    check!(receiver.is_closed());
    check_eq!((receiver.try_recv(), receiver.try_recv()), (Ok(1), Err(TryRecvError::Closed)));
    // Whoever comes later comes to a closed channel.
    check_eq!(CountedSender::of(&line).try_send(2), Err(TrySendError::Closed(2)));
    Ok(())
}

fn the_last_receiver_closes_and_drops_what_is_in<M: RawMutex + 'static>() -> Outcome {
    let alive = AtomicU32::new(0);
    let line: Counted<M, Alive<'_>, Buffered<2>> = Counted::new();
    let (sender, receiver) = endpoints(&line);
    check!(sender.try_send(Alive::new(&alive)).is_ok());
    let other = receiver.clone();
    drop(receiver);
    check_eq!((alive.load(Relaxed), sender.is_closed()), (1, false));
    drop(other);
    check_eq!((alive.load(Relaxed), sender.is_closed()), (0, true));
    check!(matches!(sender.try_send(Alive::new(&alive)), Err(TrySendError::Closed(_))));
    let snapshot = sender.snapshot();
    check!(reconciles(&snapshot) && snapshot.dropped == 1);
    check_eq!(alive.load(Relaxed), 0);
    Ok(())
}

fn a_weak_sender_keeps_nothing_open<M: RawMutex + 'static>() -> Outcome {
    let line = Line::<M>::new();
    let (sender, receiver) = endpoints(&line);
    let weak = sender.downgrade();
    {
        let strong = expect!(weak.upgrade(), Some(strong) => strong);
        check_eq!((strong.sender_count(), strong.try_send(1)), (2, Ok(())));
    }
    check_eq!(sender.sender_count(), 1);
    drop(sender);
    check!(weak.upgrade().is_none() && receiver.is_closed());
    Ok(())
}

fn a_channel_comes_and_goes_in_an_arena<M: RawMutex + 'static>() -> Outcome {
    let arena: Arena<M, 16, 64, 4> = Arena::new();
    for round in 0..3 {
        let line = expect!(arena.try_alloc_value(Line::<M>::new()), Ok(line) => line.share());
        let (sender, receiver) = endpoints(line);
        check_eq!((sender.try_send(round), arena.snapshot().live), (Ok(()), 1));
        drop(sender);
        check_eq!((receiver.try_recv(), arena.snapshot().live), (Ok(round), 1));
        drop(receiver);
        check_eq!(arena.snapshot().live, 0);
    }
    check!(arena.handle().verify().is_clean());
    Ok(())
}

fn the_last_sender_ends_a_broadcast<M: RawMutex + 'static>() -> Outcome {
    let news: Counted<M, u32, Broadcast<2>> = Counted::new();
    let sender = CountedSender::of(&news);
    check_eq!((sender.try_send(1), sender.snapshot().dropped), (Ok(()), 1));
    let mut a = sender.subscribe();
    check_eq!(sender.try_send(2), Ok(()));
    let mut b: Subscriber<&Counted<M, u32, Broadcast<2>>> = a.resubscribe();
    drop(sender);
    check_eq!(
        (a.len(), a.try_recv(), a.try_recv()),
        (1, Ok(Delivery::Value(2)), Err(TryRecvError::Closed))
    );
    check_eq!(b.try_recv(), Err(TryRecvError::Closed));
    check!(reconciles(&a.channel().snapshot()));
    Ok(())
}
