//! The kinds of channels, one operation after the other.

use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use cloakroom::channel::{
    Buffered, ByteTryRecvError, Bytes, BytesError, Channel, Conflated, Kind, Rendezvous,
};
use cloakroom::sync::RawMutex;
use cloakroom::{Arena, TryAllocError, TryRecvError, TrySendError};

use crate::check::Outcome;
use crate::fixture::{Counted, reconciles};

tests!("channels":
    rule_5_buffered_is_first_in_first_out,
    rule_5_full_and_empty_are_honest,
    rule_6_what_is_queued_outlives_close,
    rule_1_a_refused_value_comes_back,
    rule_2_a_dropped_channel_drops_its_values,
    conflated_hands_the_old_value_back,
    rendezvous_has_no_room_of_its_own,
    every_counter_moves,
    bytes_are_not_copied,
    bytes_copied_in_once,
    rule_1_bytes_come_back_from_a_full_channel,
    bytes_at_rest_may_be_moved,
    a_dropped_channel_frees_its_messages,
    one_payload_in_several_channels,
);

fn rule_5_buffered_is_first_in_first_out<M: RawMutex + 'static>() -> Outcome {
    let channel: Channel<M, u32, Buffered<3>> = Channel::new();
    // Round the ring several times, at every depth.
    let (mut next_in, mut next_out) = (0, 0);
    for round in 0..20 {
        for _ in 0..1 + round % 3 {
            check_eq!(channel.try_send(next_in), Ok(()));
            next_in += 1;
        }
        check_eq!(channel.len() as u32, next_in - next_out);
        while let Ok(value) = channel.try_recv() {
            check_eq!(value, next_out);
            next_out += 1;
        }
    }
    check_eq!(next_in, next_out);
    Ok(())
}

fn rule_5_full_and_empty_are_honest<M: RawMutex + 'static>() -> Outcome {
    let channel: Channel<M, u8, Buffered<2>> = Channel::new();
    check_eq!(channel.capacity(), Some(2));
    check_eq!(channel.try_recv(), Err(TryRecvError::Empty));
    check_eq!(channel.try_send(1), Ok(()));
    check_eq!(channel.try_send(2), Ok(()));
    check_eq!(channel.try_send(3), Err(TrySendError::Full(3)));
    check_eq!(channel.try_recv(), Ok(1));
    check_eq!(channel.try_send(4), Ok(()));
    check_eq!((channel.try_recv(), channel.try_recv()), (Ok(2), Ok(4)));
    check_eq!(channel.try_recv(), Err(TryRecvError::Empty));
    Ok(())
}

fn rule_6_what_is_queued_outlives_close<M: RawMutex + 'static>() -> Outcome {
    let channel: Channel<M, u8, Buffered<2>> = Channel::new();
    check_eq!(channel.try_send(1), Ok(()));
    check!(channel.close());
    check!(channel.is_closed());
    check!(!channel.close());
    check_eq!(channel.try_send(2), Err(TrySendError::Closed(2)));
    check_eq!(channel.try_recv(), Ok(1));
    check_eq!(channel.try_recv(), Err(TryRecvError::Closed));

    let channel: Channel<M, u8, Conflated> = Channel::new();
    check_eq!(channel.try_send(1), Ok(None));
    channel.close();
    check_eq!(channel.try_recv(), Ok(1));
    check_eq!(channel.try_recv(), Err(TryRecvError::Closed));

    let channel: Channel<M, u8, Rendezvous> = Channel::new();
    channel.close();
    check_eq!(channel.try_send(1), Err(TrySendError::Closed(1)));
    check_eq!(channel.try_recv(), Err(TryRecvError::Closed));
    Ok(())
}

fn rule_1_a_refused_value_comes_back<M: RawMutex + 'static>() -> Outcome {
    let count = AtomicU32::new(0);
    let channel: Channel<M, Counted<'_>, Buffered<1>> = Channel::new();
    check!(channel.try_send(Counted::new(&count)).is_ok());
    let back = expect!(channel.try_send(Counted::new(&count)), Err(TrySendError::Full(v)) => v);
    check_eq!(count.load(Relaxed), 2);
    channel.close();
    let back = expect!(channel.try_send(back), Err(TrySendError::Closed(value)) => value);
    check_eq!(count.load(Relaxed), 2);
    drop(back);
    check_eq!(count.load(Relaxed), 1);
    Ok(())
}

fn rule_2_a_dropped_channel_drops_its_values<M: RawMutex + 'static>() -> Outcome {
    let count = AtomicU32::new(0);
    {
        let channel: Channel<M, Counted<'_>, Buffered<4>> = Channel::new();
        for _ in 0..3 {
            check!(channel.try_send(Counted::new(&count)).is_ok());
        }
        // Not from the ring's first slot on.
        check!(channel.try_recv().is_ok());
        check!(channel.try_send(Counted::new(&count)).is_ok());
        check_eq!(count.load(Relaxed), 3);
    }
    check_eq!(count.load(Relaxed), 0);
    Ok(())
}

fn conflated_hands_the_old_value_back<M: RawMutex + 'static>() -> Outcome {
    let channel: Channel<M, u8, Conflated> = Channel::new();
    check_eq!(channel.try_send(1), Ok(None));
    check_eq!(channel.try_send(2), Ok(Some(1)));
    check_eq!(channel.try_send(3), Ok(Some(2)));
    check_eq!((channel.try_recv(), channel.try_recv()), (Ok(3), Err(TryRecvError::Empty)));
    let snapshot = channel.snapshot();
    check_eq!((snapshot.kind, snapshot.sent, snapshot.dropped), (Kind::Conflated, 3, 2));
    check!(reconciles(&snapshot));
    Ok(())
}

fn rendezvous_has_no_room_of_its_own<M: RawMutex + 'static>() -> Outcome {
    let channel: Channel<M, u8, Rendezvous> = Channel::new();
    check_eq!(channel.capacity(), Some(0));
    check_eq!(channel.try_send(1), Err(TrySendError::Full(1)));
    check_eq!(channel.try_recv(), Err(TryRecvError::Empty));
    check!(reconciles(&channel.snapshot()));
    Ok(())
}

fn every_counter_moves<M: RawMutex + 'static>() -> Outcome {
    let channel: Channel<M, u8, Buffered<2>> = Channel::new();
    let _ = channel.try_recv();
    for value in 0..3 {
        let _ = channel.try_send(value);
    }
    let _ = channel.try_recv();
    channel.close();
    let _ = channel.try_send(9);
    let snapshot = channel.snapshot();
    check_eq!((snapshot.kind, snapshot.capacity), (Kind::Buffered, Some(2)));
    check_eq!((snapshot.sent, snapshot.received, snapshot.depth), (2, 1, 1));
    check_eq!((snapshot.full, snapshot.empty, snapshot.refused), (1, 1, 1));
    check_eq!((snapshot.high_water, snapshot.closed), (2, true));
    check!(reconciles(&snapshot));
    Ok(())
}

fn bytes_are_not_copied<M: RawMutex + 'static>() -> Outcome {
    let arena: Arena<M, 8, 16, 8> = Arena::new();
    let channel: Bytes<'_, M, Buffered<2>> = Bytes::new();
    let mut frame = ok!(arena.try_alloc(20));
    frame.fill(3);
    let address = frame.as_ptr();
    check!(channel.try_send(frame).is_ok());
    let frame = ok!(channel.try_recv());
    check_eq!(frame.as_ptr(), address);
    check_eq!(&*frame, &[3; 20]);
    check_eq!(channel.try_recv().err(), Some(ByteTryRecvError::Empty));
    drop(frame);
    check_eq!(arena.snapshot().live, 0);
    Ok(())
}

fn bytes_copied_in_once<M: RawMutex + 'static>() -> Outcome {
    let arena: Arena<M, 2, 16, 8> = Arena::new();
    let channel: Bytes<'_, M, Buffered<1>> = Bytes::new();
    let handle = arena.handle();
    check_eq!(
        channel.try_send_bytes(handle, &[0; 40]),
        Err(BytesError::Memory(TryAllocError::TooLarge))
    );
    check_eq!(channel.try_send_bytes(handle, b""), Ok(()));
    check_eq!(channel.try_send_bytes(handle, b"more"), Err(BytesError::Full));
    check_eq!(arena.snapshot().live, 1);
    check!(ok!(channel.try_recv()).is_empty());
    channel.close();
    check_eq!(channel.try_send_bytes(handle, b"late"), Err(BytesError::Closed));
    check_eq!(arena.snapshot().live, 0);
    Ok(())
}

fn rule_1_bytes_come_back_from_a_full_channel<M: RawMutex + 'static>() -> Outcome {
    let arena: Arena<M, 8, 16, 8> = Arena::new();
    let channel: Bytes<'_, M, Buffered<1>> = Bytes::new();
    check!(channel.try_send(ok!(arena.try_alloc(1))).is_ok());
    let mut frame = ok!(arena.try_alloc(4));
    frame.copy_from_slice(b"back");
    let back = expect!(channel.try_send(frame), Err(TrySendError::Full(parcel)) => parcel);
    let frame = ok!(back.redeem());
    check_eq!(&*frame, b"back");
    // Nothing of it is at rest any more, so it may be written again.
    check!(frame.try_into_mut().is_ok());
    Ok(())
}

fn bytes_at_rest_may_be_moved<M: RawMutex + 'static>() -> Outcome {
    let arena: Arena<M, 8, 16, 8> = Arena::new();
    let channel: Bytes<'_, M, Buffered<4>> = Bytes::new();
    let gap = ok!(arena.try_alloc(16));
    check_eq!(channel.try_send_bytes(arena.handle(), b"moves while it waits"), Ok(()));
    drop(gap);
    check_eq!(arena.compact(usize::MAX).pages_moved, 2);
    check_eq!(&*ok!(channel.try_recv()), b"moves while it waits");
    check!(arena.handle().verify().is_clean());
    Ok(())
}

fn a_dropped_channel_frees_its_messages<M: RawMutex + 'static>() -> Outcome {
    let arena: Arena<M, 8, 16, 8> = Arena::new();
    {
        let channel: Bytes<'_, M, Buffered<4>> = Bytes::new();
        for len in [1, 20, 0] {
            check!(channel.try_send(ok!(arena.try_alloc(len))).is_ok());
        }
        check_eq!(arena.snapshot().live, 3);
    }
    check_eq!((arena.snapshot().live, arena.snapshot().free), (0, 8));
    Ok(())
}

fn one_payload_in_several_channels<M: RawMutex + 'static>() -> Outcome {
    let arena: Arena<M, 8, 16, 8> = Arena::new();
    let channels: [Bytes<'_, M, Buffered<1>>; 3] = [Bytes::new(), Bytes::new(), Bytes::new()];
    let lease = ok!(arena.try_alloc_from(b"fan out"));
    for channel in &channels {
        let share = ok!(lease.clone().into_parcel());
        check!(channel.try_send_parcel(share).is_ok());
    }
    drop(lease);
    check_eq!(arena.snapshot().live, 1);
    let first = ok!(channels[0].try_recv());
    let second = ok!(channels[1].try_recv());
    check_eq!((&*first, first.as_ptr()), (&b"fan out"[..], second.as_ptr()));
    drop((first, second));
    check_eq!(arena.snapshot().live, 1);
    drop(channels);
    check_eq!(arena.snapshot().live, 0);
    Ok(())
}
