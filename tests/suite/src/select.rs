//! Select: one arm happens, the others leave no trace.

use core::pin::pin;
use core::task::Poll;

use cloakroom::Arena;
use cloakroom::channel::{Buffered, Channel, Conflated, Rendezvous};
use cloakroom::kernel::{TimerQueue, Timers};
use cloakroom::select::{Arm, Either, Either4, SelectSet, select};
use cloakroom::sync::RawMutex;

use crate::check::Outcome;
use crate::fixture::{Numbers, reconciles, witness};

tests!("select":
    the_first_of_several_ready_arms_happens,
    rule_4_one_arm_wins_and_the_losers_leave_no_trace,
    rule_4_a_peer_claims_one_arm_only,
    rule_4_a_value_that_was_not_sent_is_recovered,
    rule_4_it_never_matches_itself,
    rule_4_a_permit_does_not_meet_its_own_select,
    rule_4_two_selects_meet_once,
    rule_4_acknowledged_messages_are_not_lost,
    a_dropped_select_passes_its_promise_on,
    a_lost_arm_does_not_hold_up_the_queue,
    every_kind_of_arm,
    an_array_of_arms,
    a_closed_channel_is_an_outcome,
    waiting_for_closing_is_an_arm,
    a_losing_arm_may_be_used_again,
    a_send_that_happened_is_reported_whatever_comes_between,
    looking_at_a_rendezvous_meets_nobody,
    looking_changes_nothing,
);

type Ring<M, const N: usize> = Channel<M, u32, Buffered<N>>;

fn the_first_of_several_ready_arms_happens<M: RawMutex + 'static>() -> Outcome {
    let (a, b) = (Ring::<M, 1>::new(), Ring::<M, 1>::new());
    witness!(w);
    check_eq!((a.try_send(1), b.try_send(2)), (Ok(()), Ok(())));
    check_eq!(ready!(w.poll(pin!(select((a.recv(), b.recv()))))), Either::First(Ok(1)));
    check_eq!((a.len(), b.len()), (0, 1));
    check_eq!(ready!(w.poll(pin!(select((a.recv(), b.recv()))))), Either::Second(Ok(2)));
    Ok(())
}

fn rule_4_one_arm_wins_and_the_losers_leave_no_trace<M: RawMutex + 'static>() -> Outcome {
    let (a, b) = (Ring::<M, 1>::new(), Ring::<M, 1>::new());
    witness!(w);
    let mut either = pin!(select((a.recv(), b.recv())));
    check!(w.poll(either.as_mut()).is_pending());
    check_eq!(b.try_send(2), Ok(()));
    check_eq!(w.wakes(), 1);
    // The select is decided, so this value is nobody's yet.
    check_eq!(a.try_send(1), Ok(()));
    check_eq!(w.wakes(), 0);
    check_eq!(ready!(w.poll(either)), Either::Second(Ok(2)));
    check_eq!(a.try_recv(), Ok(1));
    check!(reconciles(&a.snapshot()) && reconciles(&b.snapshot()));
    Ok(())
}

fn rule_4_a_peer_claims_one_arm_only<M: RawMutex + 'static>() -> Outcome {
    let (a, b) = (Ring::<M, 1>::new(), Ring::<M, 1>::new());
    witness!(w1, w2);
    let mut either = pin!(select((a.recv(), b.recv())));
    check!(w1.poll(either.as_mut()).is_pending());
    let mut next = pin!(a.recv());
    check!(w2.poll(next.as_mut()).is_pending());
    check_eq!(b.try_send(2), Ok(()));
    // The select stands first in this queue and has been decided: the next receiver is served.
    check_eq!(a.try_send(1), Ok(()));
    check_eq!((w1.wakes(), w2.wakes()), (1, 1));
    check_eq!(ready!(w2.poll(next)), Ok(1));
    check_eq!(ready!(w1.poll(either)), Either::Second(Ok(2)));
    Ok(())
}

fn rule_4_a_value_that_was_not_sent_is_recovered<M: RawMutex + 'static>() -> Outcome {
    let (full, inbox) = (Ring::<M, 1>::new(), Ring::<M, 1>::new());
    witness!(w);
    check_eq!(full.try_send(0), Ok(()));
    let mut send = pin!(full.send(7));
    {
        let mut either = pin!(select((inbox.recv(), send.as_mut())));
        check!(w.poll(either.as_mut()).is_pending());
        check_eq!(inbox.try_send(1), Ok(()));
        check!(matches!(ready!(w.poll(either)), Either::First(Ok(1))));
    }
    check_eq!(send.as_mut().take_value(), Some(7));
    check_eq!(send.take_value(), None);
    check_eq!(full.try_recv(), Ok(0));
    check!(full.is_empty());
    Ok(())
}

fn rule_4_it_never_matches_itself<M: RawMutex + 'static>() -> Outcome {
    let meeting: Channel<M, u32, Rendezvous> = Channel::new();
    witness!(w1, w2);
    let mut both = pin!(select((meeting.send(1), meeting.recv())));
    check!(w1.poll(both.as_mut()).is_pending());
    check!(w1.poll(both.as_mut()).is_pending());
    check_eq!(meeting.snapshot().sent, 0);
    // Somebody else is met at once.
    check_eq!(ready!(w2.poll(pin!(meeting.recv()))), Ok(1));
    check!(matches!(ready!(w1.poll(both)), Either::First(Ok(()))));

    // Nor an arm that was waiting when it became one.
    let mut waiting = pin!(meeting.recv());
    check!(w1.poll(waiting.as_mut()).is_pending());
    let mut both = pin!(select((meeting.send(2), waiting.as_mut())));
    check!(w1.poll(both.as_mut()).is_pending());
    check_eq!(meeting.snapshot().sent, 1);
    check_eq!(ready!(w2.poll(pin!(meeting.recv()))), Ok(2));
    check!(matches!(ready!(w1.poll(both)), Either::First(Ok(()))));
    check!(reconciles(&meeting.snapshot()));
    Ok(())
}

fn rule_4_a_permit_does_not_meet_its_own_select<M: RawMutex + 'static>() -> Outcome {
    let meeting: Channel<M, u32, Rendezvous> = Channel::new();
    witness!(w1, w2);
    let mut both = pin!(select((meeting.reserve(), meeting.recv())));
    check!(w1.poll(both.as_mut()).is_pending() && w1.poll(both.as_mut()).is_pending());
    check_eq!(w1.wakes(), 0);
    // A receiver of somebody else's will do.
    let mut other = pin!(meeting.recv());
    check!(w2.poll(other.as_mut()).is_pending());
    check_eq!(w1.wakes(), 1);
    let permit = expect!(ready!(w1.poll(both)), Either::First(Ok(permit)) => permit);
    permit.send(3);
    check_eq!((w2.wakes(), ready!(w2.poll(other))), (1, Ok(3)));
    check!(reconciles(&meeting.snapshot()));
    Ok(())
}

fn rule_4_two_selects_meet_once<M: RawMutex + 'static>() -> Outcome {
    let (a, b) = (Channel::<M, u32, Rendezvous>::new(), Channel::<M, u32, Rendezvous>::new());
    witness!(w1, w2);
    let mut sender = pin!(select((a.send(1), b.send(2))));
    let receiver = pin!(select((b.recv(), a.recv())));
    check!(w1.poll(sender.as_mut()).is_pending());
    check_eq!(ready!(w2.poll(receiver)), Either::First(Ok(2)));
    check!(matches!(ready!(w1.poll(sender)), Either::Second(Ok(()))));
    check_eq!((a.snapshot().sent, b.snapshot().sent), (0, 1));
    check!(a.try_recv().is_err() && b.try_recv().is_err());
    Ok(())
}

/// The C ancestor lost up to 1,868 of 400,000 messages whose sends had been acknowledged.
fn rule_4_acknowledged_messages_are_not_lost<M: RawMutex + 'static>() -> Outcome {
    let (a, b) = (Ring::<M, 2>::new(), Ring::<M, 2>::new());
    let mut numbers = Numbers::new(4711);
    let (mut sent, mut received) = ([0u32; 2], [0u32; 2]);
    witness!(w);
    for _ in 0..500 {
        let mut either = pin!(select((a.recv(), b.recv())));
        let mut decided = false;
        for _ in 0..1 + numbers.below(4) {
            let which = numbers.below(2);
            let channel = if which == 0 { &a } else { &b };
            match numbers.below(3) {
                0 if !decided => {
                    let (which, value) = match w.poll(either.as_mut()) {
                        Poll::Ready(Either::First(value)) => (0, value),
                        Poll::Ready(Either::Second(value)) => (1, value),
                        Poll::Pending => continue,
                    };
                    decided = true;
                    check_eq!(value, Ok(received[which]));
                    received[which] += 1;
                }
                1 => {
                    if let Ok(value) = channel.try_recv() {
                        check_eq!(value, received[which]);
                        received[which] += 1;
                    }
                }
                _ => sent[which] += u32::from(channel.try_send(sent[which]).is_ok()),
            }
        }
        // Decided or not, and polled or not, the select is dropped here.
    }
    for (which, channel) in [&a, &b].into_iter().enumerate() {
        while let Ok(value) = channel.try_recv() {
            check_eq!(value, received[which]);
            received[which] += 1;
        }
        check!(reconciles(&channel.snapshot()));
    }
    check!(sent[0] > 50 && sent[1] > 50);
    check_eq!(sent, received);
    Ok(())
}

fn a_dropped_select_passes_its_promise_on<M: RawMutex + 'static>() -> Outcome {
    let (a, b) = (Ring::<M, 1>::new(), Ring::<M, 1>::new());
    witness!(w1, w2);
    let mut next = pin!(a.recv());
    {
        let mut either = pin!(select((a.recv(), b.recv())));
        check!(w1.poll(either.as_mut()).is_pending());
        check!(w2.poll(next.as_mut()).is_pending());
        check_eq!(a.try_send(1), Ok(()));
        check_eq!((w1.wakes(), w2.wakes()), (1, 0));
    }
    check_eq!(w2.wakes(), 1);
    check_eq!(ready!(w2.poll(next)), Ok(1));
    Ok(())
}

fn a_lost_arm_does_not_hold_up_the_queue<M: RawMutex + 'static>() -> Outcome {
    let (a, b) = (Ring::<M, 1>::new(), Ring::<M, 1>::new());
    witness!(w1, w2);
    check_eq!(a.try_send(0), Ok(()));
    let mut either = pin!(select((a.send(1), b.recv())));
    check!(w1.poll(either.as_mut()).is_pending());
    let mut next = pin!(a.send(2));
    check!(w2.poll(next.as_mut()).is_pending());
    check_eq!(b.try_send(9), Ok(()));
    check_eq!(a.try_recv(), Ok(0));
    check_eq!((w1.wakes(), w2.wakes()), (1, 1));
    check_eq!(ready!(w2.poll(next)), Ok(()));
    check!(matches!(ready!(w1.poll(either)), Either::Second(Ok(9))));
    check_eq!(a.try_recv(), Ok(2));
    Ok(())
}

fn every_kind_of_arm<M: RawMutex + 'static>() -> Outcome {
    let arena: Arena<M, 4, 16, 4> = Arena::new();
    let (inbox, outbox, timers) = (Ring::<M, 1>::new(), Ring::<M, 1>::new(), Timers::<M>::new());
    witness!(w);
    for round in 0..4u32 {
        let now = timers.now();
        let taken = ok!(arena.try_alloc(64));
        check_eq!(outbox.try_send(0), Ok(()));
        let arms = (inbox.recv(), outbox.send(1), arena.alloc(1), timers.at(now + 5));
        let mut either = pin!(select(arms));
        check!(w.poll(either.as_mut()).is_pending());
        match round {
            0 => check_eq!(inbox.try_send(8), Ok(())),
            1 => check_eq!(outbox.try_recv(), Ok(0)),
            2 => drop(taken),
            _ => timers.advance(now + 5),
        }
        check_eq!(w.wakes(), 1);
        match (round, ready!(w.poll(either))) {
            (0, Either4::First(value)) => check_eq!(value, Ok(8)),
            (1, Either4::Second(sent)) => check!(sent.is_ok()),
            (2, Either4::Third(lease)) => check_eq!(ok!(lease).len(), 1),
            (3, Either4::Fourth(())) => {}
            _ => check!(false),
        }
        while outbox.try_recv().is_ok() {}
        check!(timers.next_deadline().is_none());
    }
    check_eq!(arena.snapshot().live, 0);
    check!(arena.try_alloc(64).is_ok());
    Ok(())
}

fn an_array_of_arms<M: RawMutex + 'static>() -> Outcome {
    let channels: [Ring<M, 1>; 4] = [const { Channel::new() }; 4];
    witness!(w);
    let mut any = pin!(select([0, 1, 2, 3].map(|number: usize| channels[number].recv())));
    check!(w.poll(any.as_mut()).is_pending());
    check_eq!(channels[2].try_send(5), Ok(()));
    check_eq!(ready!(w.poll(any)), (2, Ok(5)));
    for channel in &channels {
        check_eq!(channel.try_send(6), Ok(()));
        check_eq!(channel.try_recv(), Ok(6));
    }
    Ok(())
}

fn a_closed_channel_is_an_outcome<M: RawMutex + 'static>() -> Outcome {
    let (a, b) = (Ring::<M, 1>::new(), Channel::<M, u32, Conflated>::new());
    witness!(w);
    let mut either = pin!(select((a.recv(), b.recv())));
    check!(w.poll(either.as_mut()).is_pending());
    b.close();
    check_eq!(w.wakes(), 1);
    check!(matches!(ready!(w.poll(either)), Either::Second(Err(_))));
    check_eq!((a.try_send(1), a.try_recv()), (Ok(()), Ok(1)));
    Ok(())
}

fn waiting_for_closing_is_an_arm<M: RawMutex + 'static>() -> Outcome {
    let (a, b) = (Ring::<M, 1>::new(), Ring::<M, 1>::new());
    witness!(w);
    let mut either = pin!(select((a.recv(), b.closed())));
    check!(w.poll(either.as_mut()).is_pending());
    b.close();
    check_eq!(w.wakes(), 1);
    check_eq!(ready!(w.poll(either)), Either::Second(()));
    check_eq!((a.try_send(1), a.try_recv()), (Ok(()), Ok(1)));

    // Something else comes first, between the closing and the poll: then that is what happens.
    let c = Ring::<M, 1>::new();
    let mut either = pin!(select((a.recv(), c.closed())));
    check!(w.poll(either.as_mut()).is_pending());
    c.close();
    check_eq!(a.try_send(2), Ok(()));
    check_eq!(ready!(w.poll(either)), Either::First(Ok(2)));
    Ok(())
}

fn a_losing_arm_may_be_used_again<M: RawMutex + 'static>() -> Outcome {
    let (a, b) = (Ring::<M, 1>::new(), Ring::<M, 1>::new());
    witness!(w);
    let mut keep = pin!(a.recv());
    for round in 0..3 {
        let mut either = pin!(select((keep.as_mut(), b.recv())));
        check!(w.poll(either.as_mut()).is_pending());
        check_eq!(b.try_send(round), Ok(()));
        check!(matches!(ready!(w.poll(either)), Either::Second(Ok(_))));
    }
    check!(w.poll(keep.as_mut()).is_pending());
    check_eq!(a.try_send(7), Ok(()));
    check_eq!(ready!(w.poll(keep)), Ok(7));
    Ok(())
}

/// A receiver takes the value out of a waiting send, and before that is polled its set is changed, it has
/// become an arm beside another one that has happened, too, or its select has been asked what is ready.
fn a_send_that_happened_is_reported_whatever_comes_between<M: RawMutex + 'static>() -> Outcome {
    let meeting: Channel<M, u32, Rendezvous> = Channel::new();
    witness!(w);
    let mut first = pin!(meeting.send(1).mapped(|sent| sent.is_ok()));
    let mut second = pin!(meeting.send(2).mapped(|sent| sent.is_ok()));
    {
        let mut set = pin!(SelectSet::<dyn Arm<Output = bool>, 2>::new());
        check!(set.as_mut().add(first.as_mut()).is_ok());
        check!(w.poll(set.as_mut()).is_pending());
        check_eq!(meeting.try_recv(), Ok(1));
        check!(set.as_mut().add(second.as_mut()).is_ok());
        check_eq!(ready!(w.poll(set.as_mut())), (0, true));
        check!(w.poll(set.as_mut()).is_pending());
        check_eq!(meeting.try_recv(), Ok(2));
        check_eq!(ready!(w.poll(set)), (1, true));
    }

    let (mut a, mut b) = (pin!(meeting.send(3)), pin!(meeting.send(4)));
    check!(w.poll(a.as_mut()).is_pending() && w.poll(b.as_mut()).is_pending());
    check_eq!((meeting.try_recv(), meeting.try_recv()), (Ok(3), Ok(4)));
    check_eq!(ready!(w.poll(pin!(select((a.as_mut(), b.as_mut()))))), Either::First(Ok(())));
    check_eq!(b.as_mut().take_value(), None);
    check_eq!(ready!(w.poll(b.as_mut())), Ok(()));
    check!(w.poll(b).is_pending());

    let line = Ring::<M, 1>::new();
    let mut either = pin!(select((line.recv(), meeting.send(5))));
    check!(w.poll(either.as_mut()).is_pending());
    check_eq!(meeting.try_recv(), Ok(5));
    check_eq!(either.as_mut().try_ready(), Some(1));
    check_eq!(line.try_send(6), Ok(()));
    check!(matches!(ready!(w.poll(either)), Either::Second(Ok(()))));
    check_eq!(line.try_recv(), Ok(6));
    check!(reconciles(&meeting.snapshot()));
    Ok(())
}

/// A select that asks what is ready neither sends nor receives, also where both sides must meet.
fn looking_at_a_rendezvous_meets_nobody<M: RawMutex + 'static>() -> Outcome {
    let (meeting, other) = (Channel::<M, u32, Rendezvous>::new(), Ring::<M, 1>::new());
    witness!(w1, w2);
    {
        let mut send = pin!(meeting.send(5));
        let mut sends = pin!(select((send.as_mut(), other.recv())));
        {
            let mut ready = pin!(sends.as_mut().ready());
            check!(w1.poll(ready.as_mut()).is_pending());
            check!(meeting.try_recv().is_err());
            let mut receive = pin!(meeting.recv());
            check!(w2.poll(receive.as_mut()).is_pending());
            check_eq!((w1.wakes(), meeting.snapshot().sent), (1, 0));
            check_eq!(ready!(w1.poll(ready)), 0);
            check!(w2.poll(receive.as_mut()).is_pending());
            check_eq!((meeting.try_send(6), w2.wakes()), (Ok(()), 1));
            check_eq!(ready!(w2.poll(receive)), Ok(6));
        }
        check!(w1.poll(sends.as_mut()).is_pending());
        check_eq!((meeting.try_recv(), w1.wakes()), (Ok(5), 1));
        check!(matches!(ready!(w1.poll(sends)), Either::First(Ok(()))));
    }

    let mut receives = pin!(select((meeting.recv(), other.recv())));
    let mut send = pin!(meeting.send(2));
    {
        let mut ready = pin!(receives.as_mut().ready());
        check!(w1.poll(ready.as_mut()).is_pending());
        check!(meeting.try_send(1).is_err());
        check!(w2.poll(send.as_mut()).is_pending());
        check_eq!((w1.wakes(), w2.wakes()), (1, 0));
        check_eq!(ready!(w1.poll(ready)), 0);
    }
    check!(w2.poll(send.as_mut()).is_pending());
    check_eq!(receives.as_mut().try_now(), Some(Either::First(Ok(2))));
    check_eq!(ready!(w2.poll(send)), Ok(()));
    // Looking, then waiting, in one select, whatever it was left in.
    core::mem::forget(receives.as_mut().ready());
    check!(w1.poll(receives.as_mut()).is_pending());
    check_eq!(other.try_send(9), Ok(()));
    check_eq!(receives.as_mut().try_ready(), Some(1));
    check_eq!(ready!(w1.poll(receives)), Either::Second(Ok(9)));
    check!(reconciles(&meeting.snapshot()) && reconciles(&other.snapshot()));
    Ok(())
}

fn looking_changes_nothing<M: RawMutex + 'static>() -> Outcome {
    let (full, inbox, timers) = (Ring::<M, 1>::new(), Ring::<M, 1>::new(), Timers::<M>::new());
    witness!(w1, w2);
    check_eq!(full.try_send(1), Ok(()));
    let mut send = pin!(full.send(2));
    let mut looks = pin!(select((inbox.recv(), send.as_mut(), timers.at(5))));
    for _ in 0..2 {
        check_eq!(looks.as_mut().try_ready(), None);
        let mut waits = pin!(inbox.recv());
        let mut ready = pin!(looks.as_mut().ready());
        check!(w1.poll(ready.as_mut()).is_pending());
        check!(w2.poll(waits.as_mut()).is_pending());
        // It stands first, is told, and hands on what it was promised.
        check_eq!(inbox.try_send(7), Ok(()));
        check_eq!((w1.wakes(), w2.wakes()), (1, 0));
        check_eq!(ready!(w1.poll(ready)), 0);
        check_eq!(w2.wakes(), 1);
        check_eq!(ready!(w2.poll(waits)), Ok(7));
    }
    check_eq!(full.try_recv(), Ok(1));
    check_eq!(looks.as_mut().try_ready(), Some(1));
    check!(full.is_empty());
    check_eq!(full.try_send(3), Ok(()));
    timers.advance(5);
    check_eq!(looks.as_mut().try_ready(), Some(2));
    check_eq!((full.try_recv(), inbox.is_empty()), (Ok(3), true));
    Ok(())
}
