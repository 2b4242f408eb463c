//! One message to several channels: to those that have room, or to all or none.

use core::pin::pin;

use cloakroom::Arena;
use cloakroom::channel::{
    Broadcast, Buffered, Bytes, Conflated, NoFanOut, Priority, Rendezvous, fan_out, fan_out_all,
    try_fan_out_all,
};
use cloakroom::kernel::{CancelToken, TimerQueue, Timers};
use cloakroom::limit::{Operation, Stopped};
use cloakroom::sync::RawMutex;

use crate::check::Outcome;
use crate::fixture::witness;

tests!("fan_out":
    best_effort_counts_and_shares_one_payload,
    all_or_nothing_leaves_nothing_behind,
    a_channel_may_be_named_twice,
    waiting_for_all_holds_no_slot,
    waiting_ends_with_closing_and_limits,
    rule_3_a_slot_handed_over_comes_before_a_timeout,
    more_copies_than_can_be_counted,
);

type Line<'a, M> = Bytes<'a, M, Buffered<1>>;

fn best_effort_counts_and_shares_one_payload<M: RawMutex + 'static>() -> Outcome {
    let arena: Arena<M, 8, 16, 8> = Arena::new();
    let (full, line): (Line<'_, M>, Line<'_, M>) = Default::default();
    let closed: Bytes<'_, M, Priority<2>> = Bytes::new();
    let latest: Bytes<'_, M, Conflated> = Bytes::new();
    let nobody: Bytes<'_, M, Rendezvous> = Bytes::new();
    let news: Bytes<'_, M, Broadcast<2>> = Bytes::new();
    let (mut a, mut b) = (news.channel().subscribe(), news.channel().subscribe());
    check!(full.try_send_bytes(arena.handle(), b"before").is_ok());
    closed.close();

    let message = ok!(arena.try_alloc_from(b"to all"));
    let sent = fan_out(&[&full, &line, &closed, &latest, &nobody, &news], message);
    check_eq!(sent, 3);
    check_eq!((full.snapshot().full, closed.snapshot().refused, nobody.snapshot().full), (1, 1, 1));
    check_eq!(arena.snapshot().live, 2);
    let (one, two) = (ok!(line.try_recv()), ok!(latest.try_recv()));
    let a = expect!(ok!(a.try_recv()).value(), Some(parcel) => ok!(parcel.redeem()));
    let b = expect!(ok!(b.try_recv()).value(), Some(parcel) => ok!(parcel.redeem()));
    for copy in [&one, &two, &a, &b] {
        check!(core::ptr::eq(&**copy, &*one) && **copy == *b"to all");
    }
    drop((one, two, a, b));
    check_eq!(arena.snapshot().live, 1);
    check_eq!(fan_out(&[], ok!(arena.try_alloc(1)).freeze()), 0);
    check_eq!(arena.snapshot().live, 1);
    Ok(())
}

fn all_or_nothing_leaves_nothing_behind<M: RawMutex + 'static>() -> Outcome {
    let arena: Arena<M, 8, 16, 8> = Arena::new();
    let lines: [Line<'_, M>; 3] = Default::default();
    let all = [&lines[0] as _, &lines[1] as _, &lines[2] as _];
    check!(lines[2].try_send_bytes(arena.handle(), b"first").is_ok());
    let message = ok!(arena.try_alloc_from(b"second"));
    let failed = expect!(try_fan_out_all(&all, message), Err(failed) => failed);
    check_eq!(failed.why, NoFanOut::Full(2));
    // The slots that were held are free again.
    check!(lines[..2].iter().all(|line| line.is_empty() && !line.is_full()));
    check_eq!(&*ok!(lines[2].try_recv()), b"first");
    ok!(try_fan_out_all(&all, failed.message));
    check_eq!(arena.snapshot().live, 1);
    for line in &lines {
        check_eq!(&*ok!(line.try_recv()), b"second");
    }
    lines[1].close();
    let failed = expect!(
        try_fan_out_all(&all, ok!(arena.try_alloc_from(b"third"))),
        Err(failed) => failed
    );
    check_eq!(failed.why, NoFanOut::Closed(1));
    check!(!lines[0].is_full() && lines[0].is_empty());
    drop(failed);
    check_eq!(arena.snapshot().live, 0);
    Ok(())
}

fn a_channel_may_be_named_twice<M: RawMutex + 'static>() -> Outcome {
    let arena: Arena<M, 8, 16, 8> = Arena::new();
    let line: Bytes<'_, M, Buffered<2>> = Bytes::new();
    witness!(w);
    ok!(try_fan_out_all(&[&line, &line], ok!(arena.try_alloc_from(b"twice"))));
    check_eq!(line.len(), 2);
    // To wait for two slots of one channel is refused: it might never have both.
    let twice = [&line, &line];
    let mut waits = pin!(fan_out_all(&twice, ok!(arena.try_alloc_from(b"again"))));
    let failed = expect!(ready!(w.poll(waits.as_mut())), Err(failed) => failed);
    check_eq!((failed.why, &*failed.message), (NoFanOut::Twice(1), &b"again"[..]));
    check!(w.poll(waits).is_pending());
    check_eq!(line.channel().drain().count(), 2);
    drop(failed);
    check_eq!(arena.snapshot().live, 0);
    Ok(())
}

fn waiting_for_all_holds_no_slot<M: RawMutex + 'static>() -> Outcome {
    let arena: Arena<M, 8, 16, 8> = Arena::new();
    let lines: [Line<'_, M>; 2] = Default::default();
    let all = [&lines[0], &lines[1]];
    witness!(w);
    check!(lines[1].try_send_bytes(arena.handle(), b"1").is_ok());
    let mut waits = pin!(fan_out_all(&all, ok!(arena.try_alloc_from(b"all"))));
    check!(w.poll(waits.as_mut()).is_pending());
    // Meanwhile the other channel is free for others; so it waits for that one next.
    check!(lines[0].try_send_bytes(arena.handle(), b"0").is_ok());
    check_eq!(&*ok!(lines[1].try_recv()), b"1");
    check_eq!(w.wakes(), 1);
    check!(w.poll(waits.as_mut()).is_pending());
    check_eq!((w.wakes(), lines[1].is_full()), (0, false));
    check_eq!(&*ok!(lines[0].try_recv()), b"0");
    check_eq!(w.wakes(), 1);
    ok!(ready!(w.poll(waits)));
    for line in &lines {
        check_eq!(&*ok!(line.try_recv()), b"all");
    }
    check_eq!(arena.snapshot().live, 0);
    Ok(())
}

fn waiting_ends_with_closing_and_limits<M: RawMutex + 'static>() -> Outcome {
    let arena: Arena<M, 8, 16, 8> = Arena::new();
    let lines: [Line<'_, M>; 2] = Default::default();
    let all = [&lines[0], &lines[1]];
    let (timers, token) = (Timers::<M>::new(), CancelToken::<M>::new());
    witness!(w);
    check!(lines[0].try_send_bytes(arena.handle(), b"0").is_ok());
    let message = || arena.try_alloc_from(b"all").map(|message| fan_out_all(&all, message));

    let mut late = pin!(ok!(message()).deadline(timers.at(3)));
    let mut off = pin!(ok!(message()).cancelled_by(token.cancelled()));
    let mut gone = pin!(ok!(message()));
    check!(w.poll(late.as_mut()).is_pending() && w.poll(off.as_mut()).is_pending());
    check!(w.poll(gone.as_mut()).is_pending());
    timers.advance(3);
    token.cancel();
    let failed = expect!(ready!(w.poll(late)), Err(failed) => failed);
    check_eq!((failed.why, &*failed.message), (NoFanOut::Timeout, &b"all"[..]));
    drop(failed);
    let failed = expect!(ready!(w.poll(off)), Err(failed) => failed);
    check_eq!(failed.why, NoFanOut::Cancelled);
    drop(failed);
    lines[0].close();
    let failed = expect!(ready!(w.poll(gone)), Err(failed) => failed);
    check_eq!(failed.why, NoFanOut::Closed(0));
    drop(failed);
    {
        let mut dropped = pin!(ok!(message()));
        check!(w.poll(dropped.as_mut()).is_ready());
    }
    check!(lines[1].is_empty() && !lines[1].is_full());
    check_eq!(&*ok!(lines[0].try_recv()), b"0");
    check_eq!(arena.snapshot().live, 0);
    Ok(())
}

fn rule_3_a_slot_handed_over_comes_before_a_timeout<M: RawMutex + 'static>() -> Outcome {
    let arena: Arena<M, 8, 16, 8> = Arena::new();
    let lines: [Line<'_, M>; 2] = Default::default();
    let all = [&lines[0], &lines[1]];
    witness!(w);
    check!(lines[1].try_send_bytes(arena.handle(), b"1").is_ok());
    let mut waits = pin!(fan_out_all(&all, ok!(arena.try_alloc_from(b"all"))));
    check!(w.poll(waits.as_mut()).is_pending());
    check!(lines[1].try_recv().is_ok());
    check!(matches!(waits.abandon(Stopped::Timeout), Some(Ok(()))));
    for line in &lines {
        check_eq!(&*ok!(line.try_recv()), b"all");
        check!(line.try_send_bytes(arena.handle(), b"full").is_ok());
    }

    // One slot was handed to it and the other is taken: that is no match.
    let mut waits = pin!(fan_out_all(&all, ok!(arena.try_alloc_from(b"late"))));
    check!(w.poll(waits.as_mut()).is_pending());
    check!(lines[0].try_recv().is_ok());
    let failed = expect!(waits.abandon(Stopped::Timeout), Some(Err(failed)) => failed);
    check_eq!((failed.why, lines[0].is_full()), (NoFanOut::Timeout, false));

    // The channel that it waits for has been closed.
    let mut waits = pin!(fan_out_all(&all, failed.message));
    check!(w.poll(waits.as_mut()).is_pending());
    lines[1].close();
    let failed = expect!(waits.abandon(Stopped::Cancelled), Some(Err(failed)) => failed);
    check_eq!((failed.why, lines[0].is_full()), (NoFanOut::Closed(1), false));
    check!(w.wakes() == 3 && lines[1].try_recv().is_ok());
    drop(failed);
    check_eq!(arena.snapshot().live, 0);
    Ok(())
}

/// A payload is at rest 16,382 times at the most.
fn more_copies_than_can_be_counted<M: RawMutex + 'static>() -> Outcome {
    let arena: Arena<M, 8, 16, 8> = Arena::new();
    let lines: [Line<'_, M>; 2] = Default::default();
    let message = ok!(arena.try_alloc_from(b"often"));
    for _ in 0..16_381 {
        let _ = ok!(message.clone().deposit());
    }
    let both = [&lines[0] as _, &lines[1] as _];
    let failed = expect!(try_fan_out_all(&both, message), Err(failed) => failed);
    check_eq!(failed.why, NoFanOut::TooMany);
    check!(lines.iter().all(|line| line.is_empty() && !line.is_full()));
    check_eq!(fan_out(&both, failed.message), 1);
    check_eq!(&*ok!(lines[0].try_recv()), b"often");
    Ok(())
}
