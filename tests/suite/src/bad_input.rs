//! What must not be done is refused, and harms nothing else.

use core::pin::pin;

use cloakroom::channel::{Buffered, Bytes, BytesError, Channel};
use cloakroom::sync::RawMutex;
use cloakroom::{Arena, RedeemError, Ticket, TryAllocError, TryRecvError};

use crate::check::Outcome;
use crate::fixture::{Numbers, witness};

tests!("bad_input":
    random_numbers_are_no_tickets,
    a_redeemed_message_is_not_received_twice,
    the_wrong_layout_is_refused_and_the_payload_kept,
    absurd_lengths_are_refused,
    an_arena_without_pages_or_descriptors,
    futures_polled_after_their_end,
    a_future_that_was_never_polled,
    a_closed_channel_stays_closed,
);

fn random_numbers_are_no_tickets<M: RawMutex + 'static>() -> Outcome {
    let arena: Arena<M, 4, 16, 4> = Arena::new();
    check!(arena.handle().set_epoch(0x1357_9bdf));
    let genuine = ok!(arena.try_alloc_from(b"mine").map(|lease| lease.deposit()));
    let genuine = ok!(genuine);
    let mut numbers = Numbers::new(1);
    for _ in 0..2_000 {
        let high = u64::from(numbers.next());
        let forged = Ticket::from_bits(high << 32 | u64::from(numbers.next()));
        check!(arena.redeem(forged).is_err());
        check!(arena.handle().redeem_scattered(forged).is_err());
        check!(arena.handle().discard(forged).is_err());
    }
    for bits in [0, 1, u64::MAX, u64::MAX - 1, 1 << 63] {
        check!(arena.redeem(Ticket::from_bits(bits)).is_err());
    }
    check!(arena.handle().verify().is_clean());
    check_eq!(&*ok!(arena.redeem(genuine)), b"mine");
    Ok(())
}

/// A dump shows the number of a queued message. Whoever redeems it takes the message, once.
fn a_redeemed_message_is_not_received_twice<M: RawMutex + 'static>() -> Outcome {
    let arena: Arena<M, 4, 16, 4> = Arena::new();
    let channel: Bytes<'_, M, Buffered<2>> = Bytes::new();
    check_eq!(channel.try_send_bytes(arena.handle(), b"once"), Ok(()));
    let shown = expect!(arena.handle().dump().next(), Some(payload) => payload.ticket);
    let taken = ok!(arena.redeem(shown));
    check!(channel.try_recv().is_err());
    check_eq!(&*taken, b"once");
    drop(taken);
    check_eq!(arena.snapshot().live, 0);
    check!(arena.handle().verify().is_clean());
    Ok(())
}

fn the_wrong_layout_is_refused_and_the_payload_kept<M: RawMutex + 'static>() -> Outcome {
    let arena: Arena<M, 4, 16, 8> = Arena::new();
    let handle = arena.handle();
    let contiguous = ok!(arena.try_alloc(20)).deposit();
    let scattered = ok!(handle.try_alloc_scattered(20)).deposit();
    check!(matches!(handle.redeem_scattered(contiguous), Err(RedeemError::Layout)));
    check!(matches!(handle.redeem(scattered), Err(RedeemError::Layout)));
    check_eq!(arena.snapshot().free, 0);
    ok!(handle.discard(scattered));
    ok!(handle.discard(contiguous));
    check_eq!(arena.snapshot().free, 4);
    check!(handle.verify().is_clean());
    Ok(())
}

fn absurd_lengths_are_refused<M: RawMutex + 'static>() -> Outcome {
    let arena: Arena<M, 4, 16, 8> = Arena::new();
    for len in [65, 4_096, usize::MAX / 2, usize::MAX - 15, usize::MAX] {
        check!(matches!(arena.try_alloc(len), Err(TryAllocError::TooLarge)));
        check!(arena.handle().try_alloc_scattered(len).is_err());
    }
    let mut lease = ok!(arena.try_alloc(1));
    check!(lease.set_len(usize::MAX).is_err());
    check_eq!(lease.len(), 1);
    let channel: Bytes<'_, M, Buffered<1>> = Bytes::new();
    check_eq!(
        channel.try_send_bytes(arena.handle(), &[0; 65]),
        Err(BytesError::Memory(TryAllocError::TooLarge))
    );
    Ok(())
}

fn an_arena_without_pages_or_descriptors<M: RawMutex + 'static>() -> Outcome {
    let no_pages: Arena<M, 0, 16, 2> = Arena::new();
    check!(matches!(no_pages.try_alloc(1), Err(TryAllocError::TooLarge)));
    check!(no_pages.try_alloc(0).is_ok());
    check!(no_pages.compact(usize::MAX).finished);
    check!(no_pages.handle().verify().is_clean());
    let no_descriptors: Arena<M, 2, 16, 0> = Arena::new();
    check!(no_descriptors.try_alloc(1).is_err());
    check!(no_descriptors.redeem(Ticket::from_bits(0)).is_err());
    check!(no_descriptors.handle().verify().is_clean());
    Ok(())
}

fn futures_polled_after_their_end<M: RawMutex + 'static>() -> Outcome {
    let channel: Channel<M, u8, Buffered<2>> = Channel::new();
    witness!(w);
    let mut send = pin!(channel.send(1));
    check_eq!(ready!(w.poll(send.as_mut())), Ok(()));
    check!(w.poll(send.as_mut()).is_pending());
    let mut receive = pin!(channel.recv());
    check_eq!(ready!(w.poll(receive.as_mut())), Ok(1));
    check!(w.poll(receive.as_mut()).is_pending());
    check_eq!(channel.try_send(2), Ok(()));
    check_eq!(ready!(w.poll(receive)), Ok(2));
    check_eq!(channel.try_recv(), Err(TryRecvError::Empty));
    Ok(())
}

fn a_future_that_was_never_polled<M: RawMutex + 'static>() -> Outcome {
    let channel: Channel<M, u8, Buffered<1>> = Channel::new();
    drop(channel.send(1));
    drop(channel.recv());
    let arena: Arena<M, 4, 16, 8> = Arena::new();
    drop(arena.alloc(1));
    let snapshot = channel.snapshot();
    check_eq!((snapshot.sent, snapshot.send_waits, snapshot.recv_waits), (0, 0, 0));
    check_eq!(arena.snapshot().live, 0);
    Ok(())
}

fn a_closed_channel_stays_closed<M: RawMutex + 'static>() -> Outcome {
    let channel: Channel<M, u8, Buffered<1>> = Channel::new();
    check!(channel.close());
    for _ in 0..3 {
        check!(!channel.close());
        check!(channel.try_send(1).is_err_and(|error| error.is_closed()));
        check_eq!(channel.try_recv(), Err(TryRecvError::Closed));
    }
    check_eq!(channel.snapshot().refused, 3);
    Ok(())
}
