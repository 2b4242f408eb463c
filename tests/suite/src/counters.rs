//! Every figure of a snapshot, by something that moves it.

use core::pin::{Pin, pin};
use core::task::Poll;

use cloakroom::channel::{
    Broadcast, Buffered, Bytes, Channel, ChannelState, Conflated, Counted, PayloadMode, Rendezvous,
    Shortage, endpoints,
};
use cloakroom::kernel::{CancelToken, Timers};
use cloakroom::limit::Operation;
use cloakroom::select::{plain, select};
use cloakroom::sync::RawMutex;
use cloakroom::{Arena, RecvTimeoutError, SendTimeoutError, StoppedError};

use crate::check::Outcome;
use crate::fixture::{reconciles, witness};

tests!("counters":
    failures_are_counted_by_cause_and_side,
    those_who_wait_are_counted_while_they_do,
    those_who_wait_at_a_rendezvous_are_counted,
    what_is_dropped_while_it_waits_is_counted,
    a_channel_says_why_senders_wait,
    bytes_are_counted_both_ways,
    copies_are_told_from_what_is_not_copied,
    each_subscriber_receives_bytes,
    bytes_are_counted_at_a_rendezvous,
    what_a_deserted_channel_drops_is_counted,
    allocations_that_wait_are_counted_while_they_do,
    allocations_that_are_stopped_are_counted,
    pages_are_told_by_home_and_by_how_they_are_held,
    sleeps_are_counted_while_they_last,
);

fn failures_are_counted_by_cause_and_side<M: RawMutex + 'static>() -> Outcome {
    let channel: Channel<M, u8, Buffered<1>> = Channel::new();
    let timers: Timers<M> = Timers::new();
    let cancel: CancelToken<M> = CancelToken::new();
    let cancel = pin!(cancel);
    let cancel = cancel.as_ref();
    cancel.cancel();
    witness!(w);

    let recv = pin!(channel.recv().deadline(timers.at(0)));
    check_eq!(ready!(w.poll(recv)), Err(RecvTimeoutError::Timeout));
    for _ in 0..2 {
        let recv = pin!(channel.recv().cancelled_by(cancel.cancelled()));
        check_eq!(ready!(w.poll(recv)), Err(RecvTimeoutError::Cancelled));
    }
    check_eq!(channel.try_send(1), Ok(()));
    for _ in 0..3 {
        let send = pin!(channel.send(2).deadline(timers.at(0)));
        check!(matches!(ready!(w.poll(send)), Err(SendTimeoutError::Timeout(2))));
    }
    let reserve = pin!(channel.reserve().cancelled_by(cancel.cancelled()));
    check!(matches!(ready!(w.poll(reserve)), Err(StoppedError::Cancelled)));
    let closed = pin!(channel.closed().cancelled_by(cancel.cancelled()));
    check!(ready!(w.poll(closed)).is_err());

    let now = channel.snapshot();
    check_eq!((now.send_timeouts, now.recv_timeouts, now.timeouts()), (3, 1, 4));
    check_eq!((now.send_cancelled, now.recv_cancelled, now.cancelled()), (2, 2, 4));
    check_eq!((now.refused, now.ended, now.abandoned), (0, 0, 0));

    channel.close();
    check_eq!(channel.try_recv(), Ok(1));
    check!(channel.try_recv().is_err());
    check!(ready!(w.poll(pin!(channel.recv()))).is_err());
    check!(channel.try_send(3).is_err() && channel.try_reserve().is_err());
    check!(ready!(w.poll(pin!(channel.send(4)))).is_err());
    let now = channel.snapshot();
    check_eq!((now.ended, now.refused, now.full, now.empty), (2, 3, 0, 0));
    check_eq!(now.cancels(), 8);
    check!(now.reconciles());
    Ok(())
}

fn those_who_wait_are_counted_while_they_do<M: RawMutex + 'static>() -> Outcome {
    let channel: Channel<M, u8, Buffered<1>> = Channel::new();
    let parked = || (channel.snapshot().parked_senders, channel.snapshot().parked_receivers);
    witness!(w);
    {
        let mut first = pin!(channel.recv());
        let mut second = pin!(channel.recv());
        check!(w.poll(first.as_mut()).is_pending() && w.poll(second.as_mut()).is_pending());
        check_eq!(parked(), (0, 2));
        // Who has been promised a value does not wait any more.
        check_eq!(channel.try_send(1), Ok(()));
        check_eq!(parked(), (0, 1));
        // The second one is dropped here, and then the first.
    }
    check_eq!(parked(), (0, 0));
    let mut send = pin!(channel.send(2));
    let mut reserve = pin!(channel.reserve());
    let mut limited = pin!(channel.send(3).cancelled_by(core::future::pending::<()>()));
    check!(w.poll(send.as_mut()).is_pending() && w.poll(reserve.as_mut()).is_pending());
    check!(w.poll(limited.as_mut()).is_pending());
    check_eq!(parked(), (3, 0));
    check_eq!(send.as_mut().take_value(), Some(2));
    check_eq!(parked(), (2, 0));
    channel.close();
    check_eq!(parked(), (0, 0));
    check!(ready!(w.poll(reserve)).is_err() && ready!(w.poll(limited)).is_err());
    // The receiver that was promised a value is abandoned, too; the sender has its value back.
    check_eq!(channel.snapshot().abandoned, 3);
    Ok(())
}

fn those_who_wait_at_a_rendezvous_are_counted<M: RawMutex + 'static>() -> Outcome {
    let channel: Channel<M, u8, Rendezvous> = Channel::new();
    let parked = || (channel.snapshot().parked_senders, channel.snapshot().parked_receivers);
    witness!(w);
    let mut reserve = pin!(channel.reserve());
    let mut send = pin!(channel.send(1));
    check!(w.poll(reserve.as_mut()).is_pending() && w.poll(send.as_mut()).is_pending());
    check_eq!(parked(), (2, 0));
    check_eq!(channel.snapshot().state(), ChannelState::Throttled(Shortage::Receiver));
    check_eq!(channel.try_recv(), Ok(1));
    check_eq!(parked(), (1, 0));
    let mut recv = pin!(channel.recv());
    check!(w.poll(recv.as_mut()).is_pending());
    // The permit is had; the receiver stays until it is used.
    check_eq!(parked(), (0, 1));
    ok!(ready!(w.poll(reserve))).send(2);
    check_eq!(ready!(w.poll(recv)), Ok(2));
    check_eq!(parked(), (0, 0));
    check_eq!((channel.snapshot().matches(), channel.snapshot().cancels()), (Some(2), 0));
    check!(reconciles(&channel.snapshot()));
    Ok(())
}

fn what_is_dropped_while_it_waits_is_counted<M: RawMutex + 'static>() -> Outcome {
    let channel: Channel<M, u8, Rendezvous> = Channel::new();
    witness!(w);
    // Never polled: it has not come.
    drop(channel.recv());
    check_eq!(channel.snapshot().cancels(), 0);
    check!(w.poll(pin!(channel.recv())).is_pending());
    check!(w.poll(pin!(channel.send(1))).is_pending());
    check!(w.poll(pin!(channel.reserve())).is_pending());
    check_eq!(channel.snapshot().abandoned, 3);
    // What has lost a select leaves no trace.
    let select = select((channel.recv(), plain(core::future::ready(()))));
    check!(matches!(w.poll(pin!(select)), Poll::Ready(_)));
    check_eq!((channel.snapshot().abandoned, channel.snapshot().matches()), (3, Some(0)));
    Ok(())
}

fn a_channel_says_why_senders_wait<M: RawMutex + 'static>() -> Outcome {
    let channel: Channel<M, u8, Buffered<1>> = Channel::new();
    witness!(w);
    check_eq!(channel.snapshot().state(), ChannelState::Open);
    check_eq!(channel.try_send(1), Ok(()));
    check_eq!(channel.snapshot().state(), ChannelState::Open);
    let mut send = pin!(channel.send(2));
    check!(w.poll(send.as_mut()).is_pending());
    check_eq!(channel.snapshot().state(), ChannelState::Throttled(Shortage::Room));
    channel.close();
    check_eq!(channel.snapshot().state(), ChannelState::Closed);
    check!(ready!(w.poll(send)).is_err());
    Ok(())
}

fn bytes_are_counted_both_ways<M: RawMutex + 'static>() -> Outcome {
    let arena: Arena<M, 16, 16, 8> = Arena::new();
    let channel: Bytes<'_, M, Conflated> = Bytes::new();
    let bytes = || (channel.snapshot().bytes_sent, channel.snapshot().bytes_received);
    check_eq!(channel.snapshot().mode, PayloadMode::Messages);
    let numbers: Channel<M, u32, Conflated> = Channel::new();
    check_eq!(numbers.try_send(1), Ok(None));
    check_eq!((numbers.snapshot().mode, numbers.snapshot().bytes_sent), (PayloadMode::Values, 0));
    check_eq!((numbers.snapshot().zero_copy_sent(), numbers.snapshot().copied), (0, 0));

    check!(channel.try_send(ok!(arena.try_alloc(30))).is_ok());
    check_eq!(bytes(), (30, 0));
    // Replaced: sent, and never received.
    check!(channel.try_send(ok!(arena.try_alloc(5))).is_ok());
    check_eq!(bytes(), (35, 0));
    check_eq!(ok!(channel.try_recv()).len(), 5);
    check_eq!(bytes(), (35, 5));
    // Cut to what was written: that counts, and not what was allocated.
    let mut frame = ok!(arena.try_alloc(100));
    check_eq!(frame.set_len(7), Ok(()));
    let permit = ok!(channel.channel().try_reserve());
    permit.send(frame.into_parcel());
    check_eq!(bytes(), (42, 5));
    check_eq!(ok!(ok!(channel.channel().try_recv()).redeem()).len(), 7);
    check_eq!(bytes(), (42, 12));
    Ok(())
}

fn copies_are_told_from_what_is_not_copied<M: RawMutex + 'static>() -> Outcome {
    let arena: Arena<M, 16, 16, 8> = Arena::new();
    let channel: Bytes<'_, M, Buffered<2>> = Bytes::new();
    let sent = || (channel.snapshot().zero_copy_sent(), channel.snapshot().copied);
    witness!(w);
    check_eq!(channel.try_send_bytes(arena.handle(), b"copied"), Ok(()));
    check_eq!(sent(), (0, 1));
    check!(channel.try_send(ok!(arena.try_alloc(6))).is_ok());
    check_eq!(sent(), (1, 1));
    // Refused: nothing was sent.
    check!(channel.try_send_bytes(arena.handle(), b"full").is_err());
    check_eq!(sent(), (1, 1));
    // Passed on as it is.
    let parcel = ok!(channel.channel().try_recv());
    check!(channel.try_send_parcel(parcel).is_ok());
    check_eq!(sent(), (2, 1));
    check!(channel.try_recv().is_ok());
    check_eq!(ready!(w.poll(pin!(channel.send_bytes(arena.handle(), b"again")))), Ok(()));
    check_eq!(sent(), (2, 2));
    check!(channel.try_recv().is_ok() && channel.try_recv().is_ok());
    let now = channel.snapshot();
    check_eq!((now.zero_copy_received(), now.received), (4, 4));
    check_eq!(now.bytes_sent, now.bytes_received);
    check!(now.reconciles());
    check_eq!(arena.snapshot().live, 0);
    Ok(())
}

fn each_subscriber_receives_bytes<M: RawMutex + 'static>() -> Outcome {
    let arena: Arena<M, 16, 16, 8> = Arena::new();
    let news: Bytes<'_, M, Broadcast<2>> = Bytes::new();
    let (mut a, mut b) = (news.channel().subscribe(), news.channel().subscribe());
    check_eq!(news.try_send_bytes(arena.handle(), b"twelve bytes"), Ok(()));
    drop(ok!(a.try_recv()));
    check_eq!((news.snapshot().bytes_sent, news.snapshot().bytes_received), (12, 12));
    drop(ok!(b.try_recv()));
    check_eq!((news.snapshot().bytes_received, news.snapshot().copied), (24, 1));
    check_eq!((news.snapshot().delivered, news.snapshot().received), (2, 1));
    Ok(())
}

fn bytes_are_counted_at_a_rendezvous<M: RawMutex + 'static>() -> Outcome {
    let arena: Arena<M, 16, 16, 8> = Arena::new();
    let channel: Bytes<'_, M, Rendezvous> = Bytes::new();
    witness!(w);
    // Out of the hands of a sender that waits.
    let mut send = pin!(channel.send_bytes(arena.handle(), b"hand to hand"));
    check!(w.poll(send.as_mut()).is_pending());
    check_eq!(channel.snapshot().bytes_sent, 0);
    check_eq!(ok!(channel.try_recv()).len(), 12);
    check_eq!(ready!(w.poll(send)), Ok(()));
    // Into the meeting point.
    let mut recv = pin!(channel.recv());
    check!(w.poll(recv.as_mut()).is_pending());
    check!(channel.try_send(ok!(arena.try_alloc(3))).is_ok());
    check_eq!((channel.snapshot().bytes_sent, channel.snapshot().bytes_received), (15, 12));
    check!(ready!(w.poll(recv)).is_ok());
    let now = channel.snapshot();
    check_eq!((now.bytes_sent, now.bytes_received, now.copied), (15, 15, 1));
    Ok(())
}

fn what_a_deserted_channel_drops_is_counted<M: RawMutex + 'static>() -> Outcome {
    let line: Counted<M, u8, Buffered<2>> = Counted::new();
    let (sender, receiver) = endpoints(&line);
    check_eq!(sender.try_send(1), Ok(()));
    let permit = ok!(sender.try_reserve());
    drop(receiver);
    permit.send(2);
    let now = sender.snapshot();
    check_eq!((now.sent, now.dropped, now.depth), (2, 2, 0));
    check!(now.reconciles());
    Ok(())
}

fn allocations_that_wait_are_counted_while_they_do<M: RawMutex + 'static>() -> Outcome {
    let arena: Arena<M, 4, 16, 8> = Arena::new();
    let home = ok!(arena.handle().open_home(1, 0));
    let waiting = || arena.snapshot().waiting;
    witness!(w);
    let in_home = ok!(home.try_alloc(16));
    let rest = ok!(arena.try_alloc(3 * 16));
    let mut capped = pin!(home.alloc(16));
    check!(w.poll(capped.as_mut()).is_pending());
    check_eq!(waiting(), 1);
    {
        let mut first = pin!(arena.alloc(16));
        let mut second = pin!(arena.alloc(16));
        check!(w.poll(first.as_mut()).is_pending() && w.poll(second.as_mut()).is_pending());
        check_eq!(waiting(), 3);
        // The first one may try; the second one waits for it.
        drop(rest);
        check_eq!(waiting(), 2);
        drop(ok!(ready!(w.poll(first))));
        check_eq!(waiting(), 1);
        // The second one is dropped while it holds the baton.
    }
    check_eq!(waiting(), 1);
    drop(in_home);
    check_eq!(waiting(), 0);
    check!(ready!(w.poll(capped)).is_ok());
    check_eq!((waiting(), arena.snapshot().waited), (0, 3));
    check!(arena.handle().verify().is_clean());
    Ok(())
}

fn allocations_that_are_stopped_are_counted<M: RawMutex + 'static>() -> Outcome {
    let arena: Arena<M, 4, 16, 8> = Arena::new();
    let timers: Timers<M> = Timers::new();
    witness!(w);
    let _all = ok!(arena.try_alloc(64));
    let alloc = pin!(arena.alloc(1).deadline(timers.at(0)));
    check!(ready!(w.poll(alloc)).is_err());
    let now = arena.snapshot();
    check_eq!((now.stopped, now.waiting, now.waited, now.failed), (1, 0, 1, 0));
    Ok(())
}

fn pages_are_told_by_home_and_by_how_they_are_held<M: RawMutex + 'static>() -> Outcome {
    let arena: Arena<M, 16, 16, 8> = Arena::new();
    let handle = arena.handle();
    let home = ok!(handle.open_home(8, 2));
    let frame = ok!(home.try_alloc(3 * 16));
    let ticket = ok!(arena.try_alloc(4 * 16)).deposit();
    let shared = ok!(arena.try_alloc_from(b"both"));
    let share = ok!(shared.clone().into_parcel());
    let used = |id: usize| handle.homes().nth(id).map(|home| home.used);
    check_eq!((used(0), used(1), used(2)), (Some(5), Some(3), None));
    let census = handle.census();
    check_eq!((census.pages_in_hand, census.pages_at_rest), (4, 4));
    check_eq!((census.runs_in_hand, census.runs_at_rest), (2, 1));
    check_eq!(arena.snapshot().used(), 8);
    drop(shared);
    drop(frame);
    check_eq!((used(0), used(1)), (Some(5), Some(0)));
    let census = handle.census();
    check_eq!((census.pages_in_hand, census.pages_at_rest), (0, 5));
    drop(share);
    ok!(handle.discard(ticket));
    check_eq!((used(0), handle.census()), (Some(0), Default::default()));
    Ok(())
}

fn sleeps_are_counted_while_they_last<M: RawMutex + 'static>() -> Outcome {
    use cloakroom::kernel::TimerQueue;

    let timers: Timers<M> = Timers::new();
    witness!(w);
    let mut short = pin!(timers.at(5));
    {
        let mut long = pin!(timers.at(1 << 40));
        check!(w.poll(short.as_mut()).is_pending() && w.poll(long.as_mut()).is_pending());
        check_eq!(timers.pending(), 2);
        timers.advance(4);
        check_eq!(timers.pending(), 2);
    }
    check_eq!(timers.pending(), 1);
    timers.advance(5);
    check_eq!(timers.pending(), 0);
    let _: () = ready!(w.poll(short as Pin<&mut _>));
    Ok(())
}
