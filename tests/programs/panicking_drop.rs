//! Values whose `Drop` panics, or uses the channel. The panic goes to whoever made the value go away; the
//! channel works on, and no other value is lost or dropped twice.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::pin;
use std::sync::{Arc, Weak};
use std::task::Poll;

use cloakroom::Arena;
use cloakroom::channel::{
    Broadcast, Buffered, Channel, Counted, DropNewest, DropOldest, Unlimited, endpoints,
};
use cloakroom::select::select;
use cloakroom::std_layer::ArcShare;

use crate::crew::poll_once;
use crate::kinds::{Conflated, Kind, Line, Lock, Rendezvous};
use crate::ledger::{Entry, Ledger};

on_every_kind!(alone: in_a_pending_send, in_an_error, in_a_losing_arm);
on_every_kind_with_room!(alone: in_a_dropped_channel);

/// Does something that drops an explosive value.
fn explodes(work: impl FnOnce()) {
    let Err(panic) = catch_unwind(AssertUnwindSafe(work)) else { panic!("nothing has exploded") };
    if !panic.downcast_ref::<String>().is_some_and(|message| message.ends_with("explodes")) {
        resume_unwind(panic);
    }
}

fn in_a_dropped_channel<K: Kind>() {
    // Which of three it is.
    for explosive in 0..3 {
        let (line, ledger) = (K::line(), Ledger::default());
        let fits = K::CAPACITY.unwrap_or(3).min(3);
        for number in 0..fits {
            let value = if number == explosive { ledger.explosive() } else { ledger.entry() };
            assert!(line.try_send(value).is_ok());
        }
        if explosive < fits {
            explodes(|| drop(line));
        } else {
            drop(line);
        }
        ledger.is_balanced();
    }
}

#[test]
fn at_the_meeting_point_of_a_dropped_channel() {
    let (line, ledger) = (Rendezvous::line(), Ledger::default());
    {
        let mut receive = pin!(line.recv());
        assert!(poll_once(receive.as_mut()).is_pending());
        assert!(line.try_send(ledger.explosive()).is_ok());
    }
    explodes(|| drop(line));
    ledger.is_balanced();
}

/// The memory comes back, too.
#[test]
fn in_a_dropped_unlimited_channel() {
    for explosive in 0..5 {
        let arena: Arena<Lock, 64, 64, 16> = Arena::new();
        let ledger = Ledger::default();
        let line: Channel<Lock, Entry, Unlimited<'_, Lock, 2>> = Channel::over(&arena);
        for number in 0..5 {
            let value = if number == explosive { ledger.explosive() } else { ledger.entry() };
            assert!(line.try_send(value).is_ok());
        }
        explodes(|| drop(line));
        ledger.is_balanced();
        assert_eq!(arena.snapshot().live, 0, "memory was lost");
    }
}

/// Sends as many as there is room for.
fn fill<K: Kind>(line: &Line<K, Entry>, ledger: &Ledger) {
    while line.try_send(ledger.entry()).is_ok() {}
}

/// A sender that waits and one behind it: whatever becomes of the first, the second is served.
fn in_a_pending_send<K: Kind>() {
    for granted in [false, true] {
        if granted && K::CAPACITY == Some(0) {
            // The value is the receiver's then.
            continue;
        }
        let (line, ledger) = (K::line(), Ledger::default());
        fill::<K>(&line, &ledger);
        let mut second = Box::pin(line.send(ledger.entry()));
        let mut first = Box::pin(line.send(ledger.explosive()));
        assert!(poll_once(first.as_mut()).is_pending());
        assert!(poll_once(second.as_mut()).is_pending());
        let make_room = || (0..K::STEP).for_each(|_| drop(line.try_recv().expect("a value")));
        if granted {
            make_room();
        }
        explodes(|| drop(first));
        if !granted {
            make_room();
        }
        assert!(matches!(poll_once(second.as_mut()), Poll::Ready(Ok(_))));
        drop(second);
        // And it is as it was: as many go in as go out.
        fill::<K>(&line, &ledger);
        if K::CAPACITY != Some(0) {
            make_room();
            assert!(line.try_send(ledger.entry()).is_ok());
        }
        drop(line);
        ledger.is_balanced();
    }
}

fn in_an_error<K: Kind>() {
    let (line, ledger) = (K::line(), Ledger::default());
    fill::<K>(&line, &ledger);
    explodes(|| drop(line.try_send(ledger.explosive())));
    let mut send = Box::pin(line.send(ledger.explosive()));
    assert!(poll_once(send.as_mut()).is_pending());
    let mut behind = Box::pin(line.send(ledger.entry()));
    assert!(poll_once(behind.as_mut()).is_pending());
    line.close();
    explodes(|| drop(poll_once(send.as_mut())));
    drop(send);
    assert!(matches!(poll_once(behind.as_mut()), Poll::Ready(Err(_))));
    drop(behind);
    explodes(|| drop(line.try_send(ledger.explosive())));
    while line.try_recv().is_ok() {}
    assert!(line.try_recv().is_err_and(|why| why == cloakroom::TryRecvError::Closed));
    ledger.is_balanced();
}

/// A select that is dropped with two sends that wait, one of them explosive.
fn in_a_losing_arm<K: Kind>() {
    for explosive in 0..2 {
        let (a, b, ledger) = (K::line(), K::line(), Ledger::default());
        fill::<K>(&a, &ledger);
        fill::<K>(&b, &ledger);
        let value = |arm| if arm == explosive { ledger.explosive() } else { ledger.entry() };
        let mut selected = Box::pin(select((a.send(value(0)), b.send(value(1)))));
        assert!(poll_once(selected.as_mut()).is_pending());
        explodes(|| drop(selected));
        // Nobody waits: no value of the select is received, and those that come are not for it.
        for line in [&a, &b] {
            while line.try_recv().is_ok() {}
            let mut receive = pin!(line.recv());
            assert!(poll_once(receive.as_mut()).is_pending());
            let sent = ledger.entry();
            let number = sent.number;
            assert!(line.try_send(sent).is_ok());
            let Poll::Ready(Ok(received)) = poll_once(receive) else { panic!("it was sent") };
            assert_eq!(received.number, number);
        }
        drop((a, b));
        ledger.is_balanced();
    }
}

#[test]
fn in_the_hands_of_who_replaced_it() {
    let (line, ledger) = (Conflated::line(), Ledger::default());
    assert!(line.try_send(ledger.explosive()).is_ok());
    explodes(|| drop(line.try_send(ledger.entry())));
    assert_eq!(line.try_recv().map(|value| value.number).ok(), Some(1));
    assert!(line.try_recv().is_err());
    ledger.is_balanced();
}

/// A value that is dropped by policy explodes in the send that drops it. That send has happened all the same.
fn when_dropped_by_policy<P>(policy: P, oldest: bool)
where
    Buffered<2, P>: cloakroom::channel::Compete<Entry, Receipt = ()>,
{
    let ledger = Ledger::default();
    let line: Channel<Lock, Entry, _> = Channel::with(Buffered::<2, P>::with(policy));
    let (old, new) = (
        || if oldest { ledger.explosive() } else { ledger.entry() },
        || if oldest { ledger.entry() } else { ledger.explosive() },
    );
    assert!(line.try_send(old()).is_ok() && line.try_send(old()).is_ok());
    explodes(|| drop(line.try_send(new())));
    explodes(|| drop(poll_once(pin!(line.send(new())))));
    let end = line.snapshot();
    assert_eq!((end.sent, end.dropped, end.depth), (4, 2, 2));
    let left: Vec<_> = std::iter::from_fn(|| line.try_recv().ok()).collect();
    let numbers: Vec<_> = left.iter().map(|value| value.number).collect();
    assert_eq!(numbers, if oldest { [2, 3] } else { [0, 1] });
    assert!(line.try_send(ledger.entry()).is_ok());
    drop((left, line));
    ledger.is_balanced();
}

#[test]
fn when_it_is_the_oldest() {
    when_dropped_by_policy(DropOldest(drop::<Entry>), true);
}

#[test]
fn when_it_is_the_newest() {
    when_dropped_by_policy(DropNewest(drop::<Entry>), false);
}

/// A subscriber that goes takes the last handle to a value with it. It has gone all the same: nothing waits for
/// it any more.
#[test]
fn in_a_subscriber_that_goes() {
    for explosive in 0..2 {
        let ledger = Ledger::default();
        let line: Channel<Lock, ArcShare<Entry>, Broadcast<2>> = Channel::new();
        let subscriber = line.subscribe();
        let send = |explodes: bool| {
            let value = if explodes { ledger.explosive() } else { ledger.entry() };
            line.send(ArcShare(Arc::new(value)))
        };
        for number in 0..2 {
            assert!(poll_once(pin!(send(number == explosive))).is_ready());
        }
        let mut waits = pin!(send(false));
        assert!(poll_once(waits.as_mut()).is_pending());
        explodes(|| drop(subscriber));
        assert_eq!(line.subscribers(), 0);
        assert!(poll_once(waits).is_ready(), "the sender was forgotten");
        let end = line.snapshot();
        assert_eq!((end.sent, end.dropped, end.depth), (3, 3, 0));
        ledger.is_balanced();
    }
}

/// As does the last counted receiver with what is in the channel.
#[test]
fn in_a_channel_whose_last_receiver_goes() {
    for explosive in 0..3 {
        let ledger = Ledger::default();
        let line: Counted<Lock, Entry, Buffered<3>> = Counted::new();
        let (sender, receiver) = endpoints(&line);
        for number in 0..3 {
            let value = if number == explosive { ledger.explosive() } else { ledger.entry() };
            assert!(sender.try_send(value).is_ok());
        }
        explodes(|| drop(receiver));
        ledger.is_balanced();
        let end = sender.snapshot();
        assert!(end.closed);
        assert_eq!((end.sent, end.dropped, end.depth), (3, 3, 0));
    }
}

/// A value that sends another one into the channel that drops it, and asks it this and that: a channel that
/// dropped it under its lock would never return.
struct Echo<K: Kind> {
    line: Weak<EchoChannel<K>>,
    echoes: u32,
}

type EchoChannel<K> = Channel<Lock, Echo<K>, <K as Kind>::Of<Echo<K>>>;

impl<K: Kind> Drop for Echo<K> {
    fn drop(&mut self) {
        let Some(line) = self.line.upgrade() else { return };
        assert!(line.snapshot().sent > 0);
        if self.echoes > 0 {
            let _ = line.try_send(Echo { line: self.line.clone(), echoes: self.echoes - 1 });
        }
    }
}

on_every_kind!(alone: values_that_use_the_channel);
on_kinds!(alone values_that_replace_themselves: conflated on Conflated);

fn values_that_use_the_channel<K: Kind>() {
    let line: Line<K, Echo<K>> = K::line();
    let echo = || Echo { line: Arc::downgrade(&line), echoes: 2 };
    {
        // The first one is taken out of a sender or a receiver that waits, if it has to be.
        let mut receive = pin!(line.recv());
        let _ = poll_once(receive.as_mut());
        assert!(line.try_send(echo()).is_ok());
        assert!(matches!(poll_once(receive), Poll::Ready(Ok(_))), "and drops it");
    }
    let mut rounds = 0;
    while line.try_send(echo()).is_ok() && rounds < 200 {
        rounds += 1;
    }
    {
        let mut send = Box::pin(line.send(echo()));
        let _ = poll_once(send.as_mut());
        drop(send);
        let mut send = Box::pin(line.send(echo()));
        let _ = poll_once(send.as_mut());
        drop(send.as_mut().take_value());
    }
    line.close();
    while line.try_recv().is_ok() {}
    assert_eq!(line.len(), 0);
}

fn values_that_replace_themselves<K: Kind>() {
    let line: Line<K, Echo<K>> = K::line();
    for _ in 0..5 {
        // Each one that is replaced replaces the next.
        drop(line.try_send(Echo { line: Arc::downgrade(&line), echoes: 2 }));
    }
    assert_eq!(line.len(), 1);
    let end = line.snapshot();
    assert_eq!(end.sent, end.dropped + 1);
}

/// With a policy, the value is dropped by the channel itself.
#[test]
fn values_dropped_by_policy_use_the_channel() {
    crate::crew::alone(|| {
        struct Last(Weak<Policed>, u32);
        type Policed = Channel<Lock, Last, Buffered<1, DropOldest>>;
        impl Drop for Last {
            fn drop(&mut self) {
                if let (Some(line), true) = (self.0.upgrade(), self.1 > 0) {
                    assert!(line.try_send(Last(self.0.clone(), self.1 - 1)).is_ok());
                }
            }
        }
        let line: Arc<Policed> = Arc::new(Channel::new());
        for _ in 0..5 {
            assert!(line.try_send(Last(Arc::downgrade(&line), 2)).is_ok());
        }
        let end = line.snapshot();
        assert_eq!((end.depth, end.sent), (1, end.dropped + 1));
    });
}

/// Not even a future that has ended holds anything back.
#[test]
fn an_ended_send_drops_nothing() {
    let (line, ledger) = (crate::kinds::Buffered1::line(), Ledger::default());
    let mut send = Box::pin(line.send(ledger.explosive()));
    assert!(
        send.as_mut()
            .poll(&mut std::task::Context::from_waker(std::task::Waker::noop()))
            .is_ready()
    );
    drop(send);
    assert_eq!(ledger.alive(), 1);
    explodes(|| drop(line.try_recv()));
    ledger.is_balanced();
}
