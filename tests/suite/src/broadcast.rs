//! Broadcasts: every subscriber reads every value, in order, or is told what it missed.

use core::pin::pin;

use cloakroom::TryRecvError;
use cloakroom::channel::{Broadcast, Channel, Delivery, DropNewest, DropOldest};
use cloakroom::sync::RawMutex;

use crate::check::Outcome;
use crate::fixture::{reconciles, witness};

tests!("broadcast":
    every_subscriber_reads_what_is_sent_after_it_came,
    a_slow_subscriber_is_told_what_it_missed,
    the_newest_is_missed_by_all,
    senders_wait_for_the_slowest,
    one_that_leaves_lets_senders_go_on,
    all_that_wait_are_woken_once,
    what_nobody_reads_is_dropped,
);

type Waiting<M> = Channel<M, u32, Broadcast<2>>;
type Lagging<M> = Channel<M, u32, Broadcast<2, DropOldest>>;

fn every_subscriber_reads_what_is_sent_after_it_came<M: RawMutex + 'static>() -> Outcome {
    let news = Waiting::<M>::new();
    let mut a = news.subscribe();
    check_eq!(news.try_send(1), Ok(()));
    let mut b = news.subscribe();
    check_eq!(news.try_send(2), Ok(()));
    check_eq!((a.len(), b.len(), news.subscribers()), (2, 1, 2));
    check!(a.drain().eq([Delivery::Value(1), Delivery::Value(2)]));
    check_eq!((b.try_recv(), b.try_recv()), (Ok(Delivery::Value(2)), Err(TryRecvError::Empty)));
    let snapshot = news.snapshot();
    check_eq!((snapshot.sent, snapshot.received, snapshot.delivered), (2, 2, 3));
    news.close();
    check_eq!((a.try_recv(), b.try_recv()), (Err(TryRecvError::Closed), Err(TryRecvError::Closed)));
    Ok(())
}

fn a_slow_subscriber_is_told_what_it_missed<M: RawMutex + 'static>() -> Outcome {
    let news = Lagging::<M>::new();
    let (mut slow, mut quick) = (news.subscribe(), news.subscribe());
    for value in 0..5 {
        check_eq!(news.try_send(value), Ok(()));
        check_eq!(quick.try_recv(), Ok(Delivery::Value(value)));
    }
    check_eq!(slow.len(), 5);
    check_eq!(slow.try_recv(), Ok(Delivery::Lagged(3)));
    check_eq!(slow.try_recv(), Ok(Delivery::Value(3)));
    check_eq!(slow.try_recv(), Ok(Delivery::Value(4)));
    let snapshot = news.snapshot();
    check_eq!((snapshot.lagged, snapshot.dropped, snapshot.delivered), (3, 3, 7));
    check!(reconciles(&snapshot));
    Ok(())
}

fn the_newest_is_missed_by_all<M: RawMutex + 'static>() -> Outcome {
    let news: Channel<M, u32, Broadcast<1, DropNewest>> = Channel::new();
    let (mut slow, mut quick) = (news.subscribe(), news.subscribe());
    check_eq!((news.try_send(1), quick.try_recv()), (Ok(()), Ok(Delivery::Value(1))));
    check_eq!((news.try_send(2), quick.try_recv()), (Ok(()), Err(TryRecvError::Empty)));
    check_eq!(
        (slow.try_recv(), slow.try_recv()),
        (Ok(Delivery::Value(1)), Err(TryRecvError::Empty))
    );
    check_eq!((news.try_send(3), slow.try_recv()), (Ok(()), Ok(Delivery::Value(3))));
    check_eq!((news.snapshot().dropped, news.snapshot().lagged), (1, 0));
    Ok(())
}

fn senders_wait_for_the_slowest<M: RawMutex + 'static>() -> Outcome {
    let news = Waiting::<M>::new();
    let (mut slow, mut quick) = (news.subscribe(), news.subscribe());
    witness!(w);
    check_eq!(news.try_send_many([1, 2]), Ok(2));
    check_eq!(quick.drain().count(), 2);
    let mut send = pin!(news.send(3));
    check!(w.poll(send.as_mut()).is_pending());
    check_eq!((slow.try_recv(), w.wakes()), (Ok(Delivery::Value(1)), 1));
    check_eq!(ready!(w.poll(send)), Ok(()));
    check!(slow.drain().eq([Delivery::Value(2), Delivery::Value(3)]));
    check_eq!(quick.try_recv(), Ok(Delivery::Value(3)));
    check!(reconciles(&news.snapshot()));
    Ok(())
}

fn one_that_leaves_lets_senders_go_on<M: RawMutex + 'static>() -> Outcome {
    let news = Waiting::<M>::new();
    let (leaving, mut stays) = (news.subscribe(), news.subscribe());
    witness!(w);
    check_eq!(news.try_send_many([1, 2]), Ok(2));
    check_eq!(stays.drain().count(), 2);
    let mut send = pin!(news.send(3));
    check!(w.poll(send.as_mut()).is_pending());
    drop(leaving);
    check_eq!((w.wakes(), news.subscribers()), (1, 1));
    check_eq!(ready!(w.poll(send)), Ok(()));
    check_eq!(stays.try_recv(), Ok(Delivery::Value(3)));
    check!(reconciles(&news.snapshot()) && news.is_empty());
    Ok(())
}

fn all_that_wait_are_woken_once<M: RawMutex + 'static>() -> Outcome {
    let news = Waiting::<M>::new();
    let (mut a, mut b) = (news.subscribe(), news.subscribe());
    witness!(w1, w2);
    {
        let (mut one, mut two) = (pin!(a.recv()), pin!(b.recv()));
        check!(w1.poll(one.as_mut()).is_pending() && w2.poll(two.as_mut()).is_pending());
        check_eq!((news.try_send(1), news.try_send(2)), (Ok(()), Ok(())));
        check_eq!((w1.wakes(), w2.wakes()), (1, 1));
        check_eq!(ready!(w2.poll(two)), Ok(Delivery::Value(1)));
        // The other goes away without having looked: nothing is lost.
        check_eq!(w1.wakes(), 0);
    }
    check_eq!(a.try_recv(), Ok(Delivery::Value(1)));
    {
        // Both are behind, so neither waits, whoever is asked first.
        check_eq!(ready!(w1.poll(pin!(b.recv()))), Ok(Delivery::Value(2)));
        let mut late = pin!(b.recv());
        check!(w2.poll(late.as_mut()).is_pending());
        check_eq!(ready!(w1.poll(pin!(a.recv()))), Ok(Delivery::Value(2)));
        news.close();
        check_eq!(w2.wakes(), 1);
        check!(ready!(w2.poll(late)).is_err());
    }
    Ok(())
}

fn what_nobody_reads_is_dropped<M: RawMutex + 'static>() -> Outcome {
    let news = Lagging::<M>::new();
    check_eq!((news.try_send(1), news.len(), news.snapshot().dropped), (Ok(()), 0, 1));
    let reader = news.subscribe();
    check_eq!((news.try_send(2), news.len()), (Ok(()), 1));
    drop(reader);
    check_eq!((news.len(), news.snapshot().dropped, news.snapshot().received), (0, 2, 0));
    check!(reconciles(&news.snapshot()));
    Ok(())
}
