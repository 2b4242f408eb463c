//! Parked senders and receivers are served in order, by handing over, whatever goes away meanwhile.

use core::pin::pin;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use cloakroom::channel::{Buffered, Bytes, Channel, Rendezvous};
use cloakroom::sync::RawMutex;
use cloakroom::{Arena, RecvError, SendError, TryRecvError, TrySendError};

use crate::check::Outcome;
use crate::fixture::{Counted, reconciles, witness};

tests!("handover":
    rule_5_parked_receivers_are_served_in_order,
    rule_5_parked_senders_are_served_in_order,
    rule_5_a_newcomer_does_not_take_a_promised_value,
    rule_5_a_newcomer_does_not_take_a_promised_slot,
    rule_2_a_promised_value_passes_on_when_its_receiver_goes,
    rule_2_a_promised_slot_passes_on_when_its_sender_goes,
    rule_2_a_value_goes_back_to_the_front,
    rule_2_a_pending_send_that_is_dropped_is_not_sent,
    rule_1_close_gives_parked_values_back,
    close_ends_parked_receives,
    a_promised_send_is_received_after_close,
    rule_7_each_waiter_is_woken_once,
    a_rendezvous_meets_a_parked_sender,
    a_rendezvous_meets_a_parked_receiver,
    rule_2_a_rendezvous_value_goes_to_the_next_receiver,
    rendezvous_pairs_wait_for_the_meeting_point,
    parked_bytes_are_given_back,
);

type Ring<M, const N: usize> = Channel<M, u32, Buffered<N>>;

fn rule_5_parked_receivers_are_served_in_order<M: RawMutex + 'static>() -> Outcome {
    let channel: Ring<M, 2> = Channel::new();
    witness!(w1, w2, w3);
    let (mut r1, mut r2, mut r3) =
        (pin!(channel.recv()), pin!(channel.recv()), pin!(channel.recv()));
    check!(w1.poll(r1.as_mut()).is_pending());
    check!(w2.poll(r2.as_mut()).is_pending());
    check!(w3.poll(r3.as_mut()).is_pending());
    check_eq!(channel.try_send(1), Ok(()));
    check_eq!(channel.try_send(2), Ok(()));
    check_eq!((w1.wakes(), w2.wakes(), w3.wakes()), (1, 1, 0));
    // Polled in the other order, each gets the value it was promised a turn for.
    check_eq!(ready!(w2.poll(r2)), Ok(1));
    check_eq!(ready!(w1.poll(r1)), Ok(2));
    check_eq!(channel.try_send(3), Ok(()));
    check_eq!(ready!(w3.poll(r3)), Ok(3));
    check_eq!(channel.snapshot().recv_waits, 3);
    check!(reconciles(&channel.snapshot()));
    Ok(())
}

fn rule_5_parked_senders_are_served_in_order<M: RawMutex + 'static>() -> Outcome {
    let channel: Ring<M, 1> = Channel::new();
    witness!(w1, w2);
    check_eq!(channel.try_send(0), Ok(()));
    let (mut s1, mut s2) = (pin!(channel.send(1)), pin!(channel.send(2)));
    check!(w1.poll(s1.as_mut()).is_pending());
    check!(w2.poll(s2.as_mut()).is_pending());
    check_eq!(channel.try_recv(), Ok(0));
    check_eq!((w1.wakes(), w2.wakes()), (1, 0));
    check!(w2.poll(s2.as_mut()).is_pending());
    check_eq!(ready!(w1.poll(s1)), Ok(()));
    check_eq!(channel.try_recv(), Ok(1));
    check_eq!(w2.wakes(), 1);
    check_eq!(ready!(w2.poll(s2)), Ok(()));
    check_eq!(channel.try_recv(), Ok(2));
    check_eq!(channel.snapshot().send_waits, 2);
    check!(reconciles(&channel.snapshot()));
    Ok(())
}

fn rule_5_a_newcomer_does_not_take_a_promised_value<M: RawMutex + 'static>() -> Outcome {
    let channel: Ring<M, 2> = Channel::new();
    witness!(w1, w2);
    let mut parked = pin!(channel.recv());
    check!(w1.poll(parked.as_mut()).is_pending());
    check_eq!(channel.try_send(1), Ok(()));
    check_eq!(channel.try_recv(), Err(TryRecvError::Empty));
    let mut newcomer = pin!(channel.recv());
    check!(w2.poll(newcomer.as_mut()).is_pending());
    check_eq!(ready!(w1.poll(parked)), Ok(1));
    check_eq!(channel.try_send(2), Ok(()));
    check_eq!(ready!(w2.poll(newcomer)), Ok(2));
    Ok(())
}

fn rule_5_a_newcomer_does_not_take_a_promised_slot<M: RawMutex + 'static>() -> Outcome {
    let channel: Ring<M, 1> = Channel::new();
    witness!(w);
    check_eq!(channel.try_send(0), Ok(()));
    let mut parked = pin!(channel.send(1));
    check!(w.poll(parked.as_mut()).is_pending());
    check_eq!(channel.try_recv(), Ok(0));
    check_eq!(channel.try_send(9), Err(TrySendError::Full(9)));
    check_eq!(ready!(w.poll(parked)), Ok(()));
    check_eq!(channel.try_recv(), Ok(1));
    Ok(())
}

fn rule_2_a_promised_value_passes_on_when_its_receiver_goes<M: RawMutex + 'static>() -> Outcome {
    let channel: Ring<M, 1> = Channel::new();
    witness!(w1, w2);
    let mut second = pin!(channel.recv());
    {
        let mut first = pin!(channel.recv());
        check!(w1.poll(first.as_mut()).is_pending());
        check!(w2.poll(second.as_mut()).is_pending());
        check_eq!(channel.try_send(5), Ok(()));
        check_eq!((w1.wakes(), w2.wakes()), (1, 0));
    }
    check_eq!(w2.wakes(), 1);
    check_eq!(ready!(w2.poll(second)), Ok(5));
    check!(reconciles(&channel.snapshot()));
    Ok(())
}

fn rule_2_a_promised_slot_passes_on_when_its_sender_goes<M: RawMutex + 'static>() -> Outcome {
    let channel: Ring<M, 1> = Channel::new();
    witness!(w1, w2);
    check_eq!(channel.try_send(0), Ok(()));
    let mut second = pin!(channel.send(2));
    {
        let mut first = pin!(channel.send(1));
        check!(w1.poll(first.as_mut()).is_pending());
        check!(w2.poll(second.as_mut()).is_pending());
        check_eq!(channel.try_recv(), Ok(0));
        check_eq!((w1.wakes(), w2.wakes()), (1, 0));
    }
    check_eq!(w2.wakes(), 1);
    check_eq!(ready!(w2.poll(second)), Ok(()));
    check_eq!((channel.try_recv(), channel.len()), (Ok(2), 0));
    check!(reconciles(&channel.snapshot()));
    Ok(())
}

fn rule_2_a_value_goes_back_to_the_front<M: RawMutex + 'static>() -> Outcome {
    let channel: Ring<M, 2> = Channel::new();
    witness!(w);
    {
        let mut gone = pin!(channel.recv());
        check!(w.poll(gone.as_mut()).is_pending());
        check_eq!(channel.try_send(1), Ok(()));
        check_eq!(channel.try_send(2), Ok(()));
    }
    check_eq!((channel.try_recv(), channel.try_recv()), (Ok(1), Ok(2)));
    Ok(())
}

fn rule_2_a_pending_send_that_is_dropped_is_not_sent<M: RawMutex + 'static>() -> Outcome {
    let count = AtomicU32::new(0);
    let channel: Channel<M, Counted<'_>, Buffered<1>> = Channel::new();
    witness!(w);
    check!(channel.try_send(Counted::new(&count)).is_ok());
    {
        let mut gone = pin!(channel.send(Counted::new(&count)));
        check!(w.poll(gone.as_mut()).is_pending());
        check_eq!(count.load(Relaxed), 2);
    }
    check_eq!(count.load(Relaxed), 1);
    drop(channel.try_recv());
    check_eq!((channel.len(), count.load(Relaxed)), (0, 0));
    check!(channel.try_send(Counted::new(&count)).is_ok());
    Ok(())
}

fn rule_1_close_gives_parked_values_back<M: RawMutex + 'static>() -> Outcome {
    let channel: Ring<M, 1> = Channel::new();
    witness!(w1, w2);
    check_eq!(channel.try_send(0), Ok(()));
    let (mut s1, mut s2) = (pin!(channel.send(1)), pin!(channel.send(2)));
    check!(w1.poll(s1.as_mut()).is_pending());
    check!(w2.poll(s2.as_mut()).is_pending());
    check!(channel.close());
    check_eq!((w1.wakes(), w2.wakes()), (1, 1));
    check_eq!(ready!(w1.poll(s1)), Err(SendError(1)));
    check_eq!(ready!(w2.poll(s2)), Err(SendError(2)));
    check_eq!((channel.try_recv(), channel.try_recv()), (Ok(0), Err(TryRecvError::Closed)));
    check_eq!(channel.snapshot().refused, 2);
    Ok(())
}

fn close_ends_parked_receives<M: RawMutex + 'static>() -> Outcome {
    let channel: Ring<M, 1> = Channel::new();
    witness!(w1, w2);
    let (mut r1, mut r2) = (pin!(channel.recv()), pin!(channel.recv()));
    check!(w1.poll(r1.as_mut()).is_pending());
    check!(w2.poll(r2.as_mut()).is_pending());
    check_eq!(channel.try_send(1), Ok(()));
    channel.close();
    check_eq!((w1.wakes(), w2.wakes()), (1, 0));
    // A match comes before closing; the other one learns of it when nothing can come any more.
    check_eq!(ready!(w1.poll(r1)), Ok(1));
    check_eq!(w2.wakes(), 1);
    check_eq!(ready!(w2.poll(r2)), Err(RecvError));
    Ok(())
}

fn a_promised_send_is_received_after_close<M: RawMutex + 'static>() -> Outcome {
    let channel: Ring<M, 1> = Channel::new();
    witness!(w1, w2);
    check_eq!(channel.try_send(0), Ok(()));
    let mut sender = pin!(channel.send(1));
    check!(w1.poll(sender.as_mut()).is_pending());
    check_eq!(channel.try_recv(), Ok(0));
    channel.close();
    let mut receiver = pin!(channel.recv());
    check!(w2.poll(receiver.as_mut()).is_pending());
    check_eq!(ready!(w1.poll(sender)), Ok(()));
    check_eq!(ready!(w2.poll(receiver.as_mut())), Ok(1));
    check_eq!(ready!(w2.poll(receiver)), Err(RecvError));
    Ok(())
}

fn rule_7_each_waiter_is_woken_once<M: RawMutex + 'static>() -> Outcome {
    let channel: Ring<M, 4> = Channel::new();
    witness!(w);
    let mut receiver = pin!(channel.recv());
    check!(w.poll(receiver.as_mut()).is_pending());
    check!(w.poll(receiver.as_mut()).is_pending());
    for value in 0..4 {
        check_eq!(channel.try_send(value), Ok(()));
    }
    channel.close();
    check_eq!(w.wakes(), 1);
    check_eq!(ready!(w.poll(receiver)), Ok(0));
    check_eq!(w.wakes(), 0);
    Ok(())
}

fn a_rendezvous_meets_a_parked_sender<M: RawMutex + 'static>() -> Outcome {
    let channel: Channel<M, u32, Rendezvous> = Channel::new();
    witness!(w);
    let mut sender = pin!(channel.send(1));
    check!(w.poll(sender.as_mut()).is_pending());
    check_eq!(channel.len(), 0);
    check_eq!(channel.try_recv(), Ok(1));
    check_eq!(w.wakes(), 1);
    check_eq!(ready!(w.poll(sender)), Ok(()));
    check!(reconciles(&channel.snapshot()));
    Ok(())
}

fn a_rendezvous_meets_a_parked_receiver<M: RawMutex + 'static>() -> Outcome {
    let channel: Channel<M, u32, Rendezvous> = Channel::new();
    witness!(w);
    let mut receiver = pin!(channel.recv());
    check!(w.poll(receiver.as_mut()).is_pending());
    check_eq!(channel.try_send(1), Ok(()));
    check_eq!(w.wakes(), 1);
    // The value is on its way to that receiver, and nobody else's.
    check_eq!(channel.try_recv(), Err(TryRecvError::Empty));
    check_eq!(channel.try_send(2), Err(TrySendError::Full(2)));
    check_eq!(ready!(w.poll(receiver)), Ok(1));
    check!(reconciles(&channel.snapshot()));
    Ok(())
}

fn rule_2_a_rendezvous_value_goes_to_the_next_receiver<M: RawMutex + 'static>() -> Outcome {
    let channel: Channel<M, u32, Rendezvous> = Channel::new();
    witness!(w1, w2);
    {
        let mut gone = pin!(channel.recv());
        check!(w1.poll(gone.as_mut()).is_pending());
        check_eq!(channel.try_send(1), Ok(()));
    }
    check!(reconciles(&channel.snapshot()));
    check_eq!(ready!(w2.poll(pin!(channel.recv()))), Ok(1));
    check!(reconciles(&channel.snapshot()));
    Ok(())
}

fn rendezvous_pairs_wait_for_the_meeting_point<M: RawMutex + 'static>() -> Outcome {
    let channel: Channel<M, u32, Rendezvous> = Channel::new();
    witness!(w1, w2, w3);
    let (mut r1, mut r2) = (pin!(channel.recv()), pin!(channel.recv()));
    check!(w1.poll(r1.as_mut()).is_pending());
    check!(w2.poll(r2.as_mut()).is_pending());
    check_eq!(channel.try_send(1), Ok(()));
    let mut sender = pin!(channel.send(2));
    check!(w3.poll(sender.as_mut()).is_pending());
    check_eq!(ready!(w1.poll(r1)), Ok(1));
    check_eq!((w2.wakes(), w3.wakes()), (1, 1));
    check_eq!(ready!(w2.poll(r2)), Ok(2));
    check_eq!(ready!(w3.poll(sender)), Ok(()));
    check!(reconciles(&channel.snapshot()));
    Ok(())
}

fn parked_bytes_are_given_back<M: RawMutex + 'static>() -> Outcome {
    let arena: Arena<M, 8, 16, 8> = Arena::new();
    let channel: Bytes<'_, M, Buffered<1>> = Bytes::new();
    witness!(w1, w2);
    check!(channel.try_send(ok!(arena.try_alloc(1))).is_ok());
    let mut frame = ok!(arena.try_alloc(4));
    frame.copy_from_slice(b"back");
    let mut parked = pin!(channel.send(frame));
    check!(w1.poll(parked.as_mut()).is_pending());
    let mut copied = pin!(channel.send_bytes(arena.handle(), b"copied"));
    check!(w2.poll(copied.as_mut()).is_pending());
    channel.close();
    let SendError(parcel) = expect!(ready!(w1.poll(parked)), Err(error) => error);
    check_eq!(&*ok!(parcel.redeem()), b"back");
    check!(ready!(w2.poll(copied)).is_err());
    check_eq!(arena.snapshot().live, 1);
    Ok(())
}
