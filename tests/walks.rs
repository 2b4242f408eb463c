//! Walks through channels: whatever waits from the beginning of one to its end is seen, on every kind, whoever comes and
//! goes meanwhile.
#![cfg(not(any(loom, shuttle)))]

use std::collections::HashSet;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Waker};

use cloakroom::arena::Ticket;
use cloakroom::channel::{
    Broadcast, Buffered, Channel, Conflated, DropNewest, DropOldest, Priority, Rendezvous,
    SendFuture, Strategy, Unlimited, Waiting,
};
use cloakroom::sync::CriticalSectionRawMutex as Lock;
use cloakroom::{Arena, Parcel};
use proptest::prelude::*;
use proptest::strategy::Strategy as _;

type Message = Parcel<'static, Lock>;
type Sending<S> = Pin<Box<SendFuture<'static, Lock, Message, S>>>;

/// Memory of its own, so that the tests do not take each other's.
fn memory() -> &'static Arena<Lock, 256, 64, 128> {
    Box::leak(Box::default())
}

fn message(arena: &'static Arena<Lock, 256, 64, 128>) -> Message {
    arena.try_alloc(16).expect("memory").into_parcel()
}

/// The ticket of a payload that has just been made: the only new one in a dump.
fn numbered(arena: &'static Arena<Lock, 256, 64, 128>) -> (Message, Ticket) {
    let before: HashSet<u64> = arena.handle().dump().map(|run| run.ticket.to_bits()).collect();
    let message = message(arena);
    let fresh = arena.handle().dump().map(|run| run.ticket);
    let ticket = fresh.into_iter().find(|ticket| !before.contains(&ticket.to_bits()));
    (message, ticket.expect("a payload"))
}

fn is_pending<F: Future>(future: Pin<&mut F>) -> bool {
    future.poll(&mut Context::from_waker(Waker::noop())).is_pending()
}

/// One after the other, as (parked, position).
fn places(walk: impl Iterator<Item = Waiting>) -> Vec<(Ticket, bool, usize)> {
    walk.map(|waiting| (waiting.ticket, waiting.parked, waiting.position)).collect()
}

#[test]
fn what_waits_is_seen_with_its_place() {
    let arena = memory();
    let line: Channel<Lock, Message, Buffered<3>> = Channel::new();
    // Round the ring.
    for _ in 0..2 {
        line.try_send(message(arena)).expect("room");
        drop(line.try_recv());
    }
    let [a, b, c, d, e] = [(); 5].map(|()| numbered(arena));
    for (message, _) in [a.0, b.0, c.0].into_iter().zip(0..) {
        line.try_send(message).expect("room");
    }
    let mut parked = [Box::pin(line.send(d.0)), Box::pin(line.send(e.0))];
    assert!(parked.iter_mut().all(|send| is_pending(send.as_mut())));
    let mut walk = line.waiting();
    let found = places(walk.by_ref());
    assert!(walk.is_whole());
    let expected =
        [(d.1, true, 0), (e.1, true, 1), (c.1, false, 2), (b.1, false, 1), (a.1, false, 0)];
    assert_eq!(found, expected);
    drop(parked);
    assert_eq!(line.waiting().count(), 3);
}

#[test]
fn every_kind_shows_what_is_in_it() {
    let arena = memory();
    let (urgent, urgent_ticket) = numbered(arena);
    let line: Channel<Lock, Message, Priority<4>> = Channel::new();
    line.try_send(message(arena)).expect("room");
    line.try_send_with_priority(urgent, 9).expect("room");
    let found = places(line.waiting());
    assert_eq!((found.len(), found.last().copied()), (2, Some((urgent_ticket, false, 0))));

    let latest: Channel<Lock, Message, Conflated> = Channel::new();
    drop(latest.try_send(message(arena)).expect("open"));
    let (newer, ticket) = numbered(arena);
    drop(latest.try_send(newer).expect("open"));
    assert_eq!(places(latest.waiting()), [(ticket, false, 0)]);

    let news: Channel<Lock, Message, Broadcast<4>> = Channel::new();
    let (mut one, _other) = (news.subscribe(), news.subscribe());
    let (item, ticket) = numbered(arena);
    news.try_send(item).expect("room");
    drop(one.try_recv());
    assert_eq!(places(news.waiting()), [(ticket, false, 0)], "another has yet to read it");

    let meeting: Channel<Lock, Message, Rendezvous> = Channel::new();
    let (item, ticket) = numbered(arena);
    let mut send = Box::pin(meeting.send(item));
    assert!(is_pending(send.as_mut()));
    assert_eq!(places(meeting.waiting()), [(ticket, true, 0)]);

    let log: Channel<Lock, Message, Unlimited<'static, Lock, 3>> = Channel::over(arena);
    let sent = [(); 10].map(|()| numbered(arena));
    let tickets = sent.each_ref().map(|(_, ticket)| *ticket);
    log.try_send_many(sent.map(|(message, _)| message)).expect("memory");
    log.try_iter().take(2).for_each(drop);
    let expected: Vec<_> = (0..8).map(|at| (tickets[at + 2], false, at)).collect();
    assert_eq!(places(log.waiting()), expected, "segments are walked from the front");
}

#[test]
fn tickets_are_seen_as_values_and_numbers_are_not() {
    let arena = memory();
    let tickets: Channel<Lock, Ticket, Buffered<4>> = Channel::new();
    let numbers: Channel<Lock, u64, Buffered<4>> = Channel::new();
    let ticket = arena.try_alloc(8).expect("memory").deposit();
    tickets.try_send(ticket).expect("room");
    numbers.try_send(ticket.to_bits()).expect("room");
    assert_eq!(places(tickets.waiting()), [(ticket, false, 0)]);
    assert_eq!(numbers.waiting().count(), 0);
    // A parcel says of which arena it is, where tickets are the same.
    let (one, other) = (memory(), memory());
    assert!([one, other].iter().all(|arena| arena.handle().set_epoch(7)));
    let line: Channel<Lock, Message, Buffered<4>> = Channel::new();
    line.try_send(message(one)).expect("room");
    let _same = message(other);
    let found = line.waiting().next().expect("a parcel");
    let payloads = [one, other].map(|arena| arena.handle().dump().next().expect("a payload"));
    assert_eq!(payloads[0].ticket, payloads[1].ticket);
    assert!(found.is(one.handle(), &payloads[0]) && !found.is(other.handle(), &payloads[1]));
}

#[test]
fn what_cannot_be_seen_is_told() {
    let arena = memory();
    let whole = |line: &Channel<Lock, Message, Buffered<1>>| {
        let mut walk = line.waiting();
        walk.by_ref().for_each(drop);
        walk.is_whole()
    };
    let line: Channel<Lock, Message, Buffered<1>> = Channel::new();
    assert!(whole(&line));
    let permit = line.try_reserve().expect("room");
    assert!(!whole(&line), "a permit may be used for anything");
    permit.send(message(arena));
    assert!(whole(&line));
    // A sender that has been told and not polled holds its value where nobody sees it.
    let mut send = Box::pin(line.send(message(arena)));
    assert!(is_pending(send.as_mut()) && whole(&line));
    drop(line.try_recv());
    assert_eq!(line.waiting().count(), 0);
    assert!(!whole(&line));
    assert!(!is_pending(send.as_mut()) && whole(&line));
    // A wanted permit may be a select that looks, with a value.
    let mut reserve = Box::pin(line.reserve());
    assert!(is_pending(reserve.as_mut()) && !whole(&line));
    drop(reserve);
    // The latest walk goes on, the one before says that it was cut off.
    let (mut first, mut second) = (line.waiting(), line.waiting());
    assert_eq!((first.next(), first.is_whole()), (None, false));
    assert_eq!((second.by_ref().count(), second.is_whole()), (1, true));
    assert!(!line.waiting().is_whole(), "it has not begun");
    // Closed, and nobody there.
    assert!(!second.is_forlorn());
    line.close();
    let mut walk = line.waiting();
    walk.by_ref().for_each(drop);
    assert!(walk.is_forlorn());
}

/// A step of a random history.
#[derive(Clone, Copy, Debug)]
enum Step {
    Send(u8),
    Recv,
    /// A send that may have to wait.
    Park(u8),
    /// A send that waits is given up.
    Drop(prop::sample::Index),
    Look,
}

fn steps() -> impl proptest::strategy::Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => any::<u8>().prop_map(Step::Send),
        3 => Just(Step::Recv),
        2 => any::<u8>().prop_map(Step::Park),
        1 => any::<prop::sample::Index>().prop_map(Step::Drop),
        4 => Just(Step::Look),
    ];
    prop::collection::vec(step, 0..80)
}

/// Goes through a history with one walk in it, which is begun after some steps and ended after all of them: whatever was
/// there all the time is among what it has seen.
fn is_seen<S: Strategy<Message> + 'static>(
    kind: S,
    history: &[Step],
    begins: usize,
    recv: impl Fn(&'static Channel<Lock, Message, S>),
    send: impl Fn(&'static Channel<Lock, Message, S>, Message, u8),
    pending: impl Fn(&'static Channel<Lock, Message, S>, Message, u8) -> Sending<S>,
) {
    let arena = memory();
    let channel: &'static Channel<Lock, Message, S> = Box::leak(Box::new(Channel::with(kind)));
    let mut sends: Vec<Sending<S>> = Vec::new();
    let mut walk = None;
    let mut seen = HashSet::new();
    // Everything at rest is in the channel or with a sender that waits.
    let there = || -> HashSet<u64> {
        let rests = arena.handle().dump().filter(|run| run.at_rest > 0);
        rests.map(|run| run.ticket.to_bits()).collect()
    };
    let mut stays = HashSet::new();
    for (number, &step) in history.iter().enumerate() {
        if number == begins {
            walk = Some(channel.waiting());
            stays = there();
        }
        match step {
            Step::Send(rank) => send(channel, message(arena), rank),
            Step::Recv => recv(channel),
            Step::Park(rank) => sends.push(pending(channel, message(arena), rank)),
            Step::Drop(index) if !sends.is_empty() => drop(sends.remove(index.index(sends.len()))),
            Step::Drop(_) => {}
            Step::Look => {
                if let Some(found) = walk.as_mut().and_then(Iterator::next) {
                    seen.insert(found.ticket.to_bits());
                }
            }
        }
        // Who was told goes on at once, so that nothing is hidden.
        sends.retain_mut(|send| is_pending(send.as_mut()));
        let now = there();
        stays.retain(|ticket| now.contains(ticket));
    }
    let Some(mut walk) = walk else { return };
    seen.extend(walk.by_ref().map(|found| found.ticket.to_bits()));
    assert!(walk.is_whole());
    assert!(stays.is_subset(&seen), "{stays:x?} stayed, {seen:x?} were seen");
}

/// Declares that test for a kind whose receivers compete.
macro_rules! competing {
    ($($name:ident: $kind:ty = $value:expr;)+) => {
        proptest! {
            $(#[test]
            fn $name(history in steps(), begins in 0_usize..60) {
                type Line = Channel<Lock, Message, $kind>;
                is_seen::<$kind>(
                    $value,
                    &history,
                    begins,
                    |line: &'static Line| drop(line.try_recv()),
                    |line: &'static Line, message, _| drop(line.try_send(message)),
                    |line: &'static Line, message, _| Box::pin(line.send(message)),
                );
            })+
        }
    };
}
competing! {
    nothing_is_missed_in_a_ring: Buffered<5> = Buffered::default();
    nothing_is_missed_where_the_oldest_go: Buffered<5, DropOldest> = Buffered::default();
    nothing_is_missed_where_the_newest_go: Buffered<5, DropNewest> = Buffered::default();
    nothing_is_missed_in_segments: Unlimited<'static, Lock, 2> = Unlimited::over(memory());
    nothing_is_missed_in_one_segment: Unlimited<'static, Lock, 16> = Unlimited::over(memory());
    nothing_is_missed_where_the_latest_counts: Conflated = Conflated;
    nothing_is_missed_at_a_meeting: Rendezvous = Rendezvous;
}

proptest! {
    #[test]
    fn nothing_is_missed_in_a_heap(history in steps(), begins in 0_usize..60) {
        type Line = Channel<Lock, Message, Priority<7>>;
        is_seen::<Priority<7>>(
            Priority::default(),
            &history,
            begins,
            |line: &'static Line| drop(line.try_recv()),
            |line: &'static Line, message, rank| drop(line.try_send_with_priority(message, rank)),
            |line: &'static Line, message, rank| Box::pin(line.send(message).priority(rank)),
        );
    }

    #[test]
    fn nothing_is_missed_in_a_broadcast(history in steps(), begins in 0_usize..60) {
        type Line = Channel<Lock, Message, Broadcast<5>>;
        let reader = std::cell::RefCell::new(None);
        is_seen::<Broadcast<5>>(
            Broadcast::default(),
            &history,
            begins,
            |line: &'static Line| {
                let mut reader = reader.borrow_mut();
                drop(reader.get_or_insert_with(|| line.subscribe()).try_recv());
            },
            |line: &'static Line, message, _| drop(line.try_send(message)),
            |line: &'static Line, message, _| Box::pin(line.send(message)),
        );
    }
}
