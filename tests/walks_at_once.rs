//! Walks through many channels at once, on a host: those for which there is no place say so. (A test apart, as places are the
//! program's.)
#![cfg(all(feature = "std", not(any(loom, shuttle))))]

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Waker};

use cloakroom::arena::Ticket;
use cloakroom::channel::{Buffered, Channel};
use cloakroom::std_layer::StdRawMutex as Lock;
use cloakroom::{Arena, Parcel};

type Line = Channel<Lock, Parcel<'static, Lock>, Buffered<1>>;

static ARENA: Arena<Lock, 128, 64, 128> = Arena::new();

/// As many walks as there are places for.
const PLACES: usize = 16;

fn message() -> Parcel<'static, Lock> {
    ARENA.try_alloc(8).expect("memory").into_parcel()
}

fn poll<F: Future>(future: Pin<&mut F>) -> bool {
    future.poll(&mut Context::from_waker(Waker::noop())).is_ready()
}

#[test]
fn who_has_no_place_says_so_and_the_others_see_everything() {
    let lines: Vec<Line> = (0..=PLACES).map(|_| Line::new()).collect();
    for line in &lines {
        line.try_send(message()).expect("room");
    }
    // In each three senders wait. One is looked at; then the next one goes away.
    let mut sends: Vec<[_; 3]> =
        lines.iter().map(|line| [(); 3].map(|()| Box::pin(line.send(message())))).collect();
    for sends in &mut sends {
        assert!(!sends.iter_mut().any(|send| poll(send.as_mut())));
    }
    let mut walks: Vec<_> = lines.iter().map(Channel::waiting).collect();
    let mut late = walks.pop().expect("one more than there are places");
    let first: Vec<_> = walks.iter_mut().map(|walk| walk.next().expect("a sender")).collect();
    for sends in &mut sends {
        let [_, second, _] = sends;
        second.set(lines[0].send(message()));
    }
    for (walk, first) in walks.iter_mut().zip(first) {
        let rest: Vec<_> = walk.map(|waiting| (waiting.parked, waiting.ticket)).collect();
        let parked: Vec<bool> = rest.iter().map(|&(parked, _)| parked).collect();
        assert_eq!(parked, [true, false], "the third sender, and the value");
        let tickets: Vec<Ticket> = rest.iter().map(|&(_, ticket)| ticket).collect();
        assert!(!tickets.contains(&first.ticket) && tickets[0] != tickets[1]);
        assert!(walk.is_whole());
    }
    assert!(late.next().is_none() && !late.is_whole());
    // A walk that is over keeps its place until it is dropped.
    let last = &lines[PLACES];
    let mut none = last.waiting();
    assert!(none.next().is_none() && !none.is_whole());
    walks.clear();
    let mut walk = last.waiting();
    assert_eq!(walk.by_ref().count(), 3);
    assert!(walk.is_whole());
}
