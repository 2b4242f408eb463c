//! Deadlines and cancellation of channel operations, and which of several outcomes counts.

use core::future::{pending, ready};
use core::pin::pin;

use cloakroom::channel::{Buffered, ByteRecvError, Bytes, Channel, Rendezvous};
use cloakroom::error::{RecvTimeoutError, SendTimeoutError};
use cloakroom::kernel::{CancelToken, TimerQueue, Timers};
use cloakroom::limit::Operation;
use cloakroom::sync::RawMutex;

use crate::check::Outcome;
use crate::fixture::{reconciles, witness};

tests!("waiting":
    a_receive_times_out,
    rule_1_a_send_that_times_out_gives_its_value_back,
    a_cancelled_receive_leaves_no_trace,
    rule_1_a_cancelled_send_gives_its_value_back,
    rule_3_match_comes_before_close_cancel_and_timeout,
    rule_3_close_comes_before_cancel_and_timeout,
    rule_3_cancel_comes_before_timeout,
    rule_3_a_promise_is_kept_at_the_deadline,
    rule_2_a_rendezvous_send_that_was_taken_counts_as_sent,
    bytes_know_their_limits_too,
    a_cancelled_tree,
    a_sibling_is_not_cancelled,
    a_dropped_wait_for_cancellation_leaves_no_trace,
);

type Ring<M> = Channel<M, u32, Buffered<1>>;

fn a_receive_times_out<M: RawMutex + 'static>() -> Outcome {
    let (channel, timers) = (Ring::<M>::new(), Timers::<M>::new());
    witness!(w);
    let mut receive = pin!(channel.recv().deadline(timers.at(10)));
    check!(w.poll(receive.as_mut()).is_pending());
    timers.advance(9);
    check_eq!(w.wakes(), 0);
    timers.advance(10);
    check_eq!(w.wakes(), 1);
    check_eq!(ready!(w.poll(receive)), Err(RecvTimeoutError::Timeout));
    check_eq!(channel.snapshot().timeouts(), 1);
    // It waits no longer: the next value stays.
    check_eq!(channel.try_send(1), Ok(()));
    check_eq!(channel.try_recv(), Ok(1));
    Ok(())
}

fn rule_1_a_send_that_times_out_gives_its_value_back<M: RawMutex + 'static>() -> Outcome {
    let (channel, timers) = (Ring::<M>::new(), Timers::<M>::new());
    witness!(w);
    check_eq!(channel.try_send(0), Ok(()));
    let mut send = pin!(channel.send(1).deadline(timers.at(10)));
    check!(w.poll(send.as_mut()).is_pending());
    timers.advance(10);
    check_eq!(ready!(w.poll(send)), Err(SendTimeoutError::Timeout(1)));
    check_eq!(channel.try_recv(), Ok(0));
    check_eq!(channel.len(), 0);
    check!(reconciles(&channel.snapshot()));
    Ok(())
}

fn a_cancelled_receive_leaves_no_trace<M: RawMutex + 'static>() -> Outcome {
    let (channel, token) = (Ring::<M>::new(), CancelToken::<M>::new());
    witness!(w);
    let mut receive = pin!(channel.recv().cancelled_by(token.cancelled()));
    check!(w.poll(receive.as_mut()).is_pending());
    token.cancel();
    check_eq!(w.wakes(), 1);
    check_eq!(ready!(w.poll(receive)), Err(RecvTimeoutError::Cancelled));
    check_eq!(channel.snapshot().cancelled(), 1);
    check_eq!(channel.try_send(1), Ok(()));
    check_eq!(channel.try_recv(), Ok(1));
    Ok(())
}

fn rule_1_a_cancelled_send_gives_its_value_back<M: RawMutex + 'static>() -> Outcome {
    let (channel, token) = (Ring::<M>::new(), CancelToken::<M>::new());
    witness!(w1, w2);
    check_eq!(channel.try_send(0), Ok(()));
    let mut first = pin!(channel.send(1).cancelled_by(token.cancelled()));
    let mut second = pin!(channel.send(2));
    check!(w1.poll(first.as_mut()).is_pending());
    check!(w2.poll(second.as_mut()).is_pending());
    token.cancel();
    check_eq!(ready!(w1.poll(first)), Err(SendTimeoutError::Cancelled(1)));
    check_eq!(channel.try_recv(), Ok(0));
    check_eq!(w2.wakes(), 1);
    check_eq!(ready!(w2.poll(second)), Ok(()));
    Ok(())
}

fn rule_3_match_comes_before_close_cancel_and_timeout<M: RawMutex + 'static>() -> Outcome {
    let channel = Ring::<M>::new();
    witness!(w);
    check_eq!(channel.try_send(1), Ok(()));
    channel.close();
    let receive = channel.recv().cancelled_by(ready(())).deadline(ready(()));
    check_eq!(ready!(w.poll(pin!(receive))), Ok(1));
    Ok(())
}

fn rule_3_close_comes_before_cancel_and_timeout<M: RawMutex + 'static>() -> Outcome {
    let channel = Ring::<M>::new();
    witness!(w);
    channel.close();
    let receive = channel.recv().cancelled_by(ready(())).deadline(ready(()));
    check_eq!(ready!(w.poll(pin!(receive))), Err(RecvTimeoutError::Closed));
    let send = channel.send(1).cancelled_by(ready(())).deadline(ready(()));
    check_eq!(ready!(w.poll(pin!(send))), Err(SendTimeoutError::Closed(1)));
    Ok(())
}

fn rule_3_cancel_comes_before_timeout<M: RawMutex + 'static>() -> Outcome {
    let channel = Ring::<M>::new();
    witness!(w);
    let receive = channel.recv().cancelled_by(ready(())).deadline(ready(()));
    check_eq!(ready!(w.poll(pin!(receive))), Err(RecvTimeoutError::Cancelled));
    let receive = channel.recv().deadline(ready(())).cancelled_by(pending::<()>());
    check_eq!(ready!(w.poll(pin!(receive))), Err(RecvTimeoutError::Timeout));
    Ok(())
}

fn rule_3_a_promise_is_kept_at_the_deadline<M: RawMutex + 'static>() -> Outcome {
    let (channel, timers) = (Ring::<M>::new(), Timers::<M>::new());
    witness!(w);
    let mut receive = pin!(channel.recv().deadline(timers.at(10)));
    check!(w.poll(receive.as_mut()).is_pending());
    check_eq!(channel.try_send(1), Ok(()));
    timers.advance(10);
    check_eq!(ready!(w.poll(receive)), Ok(1));
    check_eq!(channel.snapshot().timeouts(), 0);
    Ok(())
}

fn rule_2_a_rendezvous_send_that_was_taken_counts_as_sent<M: RawMutex + 'static>() -> Outcome {
    let channel: Channel<M, u32, Rendezvous> = Channel::new();
    let timers = Timers::<M>::new();
    witness!(w);
    let mut send = pin!(channel.send(1).deadline(timers.at(10)));
    check!(w.poll(send.as_mut()).is_pending());
    check_eq!(channel.try_recv(), Ok(1));
    timers.advance(10);
    check_eq!(ready!(w.poll(send)), Ok(()));
    check!(reconciles(&channel.snapshot()));
    Ok(())
}

fn bytes_know_their_limits_too<M: RawMutex + 'static>() -> Outcome {
    let channel: Bytes<'_, M, Buffered<1>> = Bytes::new();
    witness!(w);
    let late = pin!(channel.recv().deadline(ready(())));
    check_eq!(ready!(w.poll(late)).err(), Some(ByteRecvError::Timeout));
    let cancelled = pin!(channel.recv().cancelled_by(ready(())));
    check_eq!(ready!(w.poll(cancelled)).err(), Some(ByteRecvError::Cancelled));
    channel.close();
    check_eq!(ready!(w.poll(pin!(channel.recv()))).err(), Some(ByteRecvError::Closed));
    Ok(())
}

fn a_cancelled_tree<M: RawMutex + 'static>() -> Outcome {
    let root = CancelToken::<M>::new();
    let child = pin!(root.child());
    let child = child.as_ref();
    let grandchild = pin!(child.child());
    let grandchild = grandchild.as_ref();
    witness!(w1, w2, w3);
    let (mut a, mut b, mut c) =
        (pin!(root.cancelled()), pin!(child.cancelled()), pin!(grandchild.cancelled()));
    check!(w1.poll(a.as_mut()).is_pending());
    check!(w2.poll(b.as_mut()).is_pending());
    check!(w3.poll(c.as_mut()).is_pending());
    child.cancel();
    check_eq!((w1.wakes(), w2.wakes(), w3.wakes()), (0, 1, 1));
    check!(child.is_cancelled() && grandchild.is_cancelled() && !root.is_cancelled());
    check!(w1.poll(a.as_mut()).is_pending());
    check!(w2.poll(b).is_ready() && w3.poll(c).is_ready());
    root.cancel();
    check_eq!(w1.wakes(), 1);
    check!(w1.poll(a).is_ready());
    Ok(())
}

fn a_sibling_is_not_cancelled<M: RawMutex + 'static>() -> Outcome {
    let root = CancelToken::<M>::new();
    let (first, second) = (pin!(root.child()), pin!(root.child()));
    let (first, second) = (first.as_ref(), second.as_ref());
    witness!(w1, w2);
    let (mut a, mut b) = (pin!(first.cancelled()), pin!(second.cancelled()));
    check!(w1.poll(a.as_mut()).is_pending());
    check!(w2.poll(b.as_mut()).is_pending());
    second.cancel();
    check_eq!((w1.wakes(), w2.wakes()), (0, 1));
    check!(w1.poll(a).is_pending() && w2.poll(b).is_ready());
    Ok(())
}

fn a_dropped_wait_for_cancellation_leaves_no_trace<M: RawMutex + 'static>() -> Outcome {
    let root = CancelToken::<M>::new();
    witness!(w1, w2);
    let mut stays = pin!(root.cancelled());
    {
        let mut gone = pin!(root.cancelled());
        check!(w1.poll(gone.as_mut()).is_pending());
        check!(w2.poll(stays.as_mut()).is_pending());
    }
    root.cancel();
    check_eq!((w1.wakes(), w2.wakes()), (0, 1));
    check!(w2.poll(stays).is_ready());
    Ok(())
}
