//! Several values at once, and a channel as an iterator, a `Stream` and a `Sink` (flume, tokio, futures).

use std::future::poll_fn;
use std::pin::pin;

use futures_core::Stream;
use futures_sink::Sink;

use crate::crew::{Crew, breathe};
use crate::kinds::Kind;
use crate::random::Random;

on_every_kind!(every_crew: many_at_once, sink_to_stream, iterated);
on_every_kind_with_room!(alone: drained);

const VALUES: u64 = 400;

/// `send_many` on one side in batches, `recv_many` on the other in batches of other sizes.
fn many_at_once<K: Kind>(crew: Crew) {
    let line = K::line::<u64>();
    let sending = line.clone();
    crew.spawn(async move {
        let mut random = Random(1);
        let mut values = 0..VALUES;
        while !values.is_empty() {
            let size = 1 + random.below(20) as usize;
            let expected = size.min(values.clone().count());
            let sent = sending.send_many(values.by_ref().take(size)).await;
            assert_eq!(sent.ok(), Some(expected));
        }
        sending.close();
        let refused = sending.send_many([7, 8]).await.expect_err("it is closed");
        assert_eq!((refused.sent, refused.error.0), (0, 7));
    });
    let received = crew.run(async {
        let mut random = Random(2);
        let mut received = Vec::new();
        loop {
            let (before, limit) = (received.len(), 1 + random.below(30) as usize);
            match line.recv_many(&mut received, limit).await {
                Ok(count) => {
                    assert!((1..=limit).contains(&count), "{count} of {limit}");
                    assert_eq!(received.len(), before + count);
                }
                Err(_) => return received,
            }
        }
    });
    assert!(received.into_iter().eq(0..VALUES));
}

/// A `Sink` into a channel, and the `Stream` out of it.
fn sink_to_stream<K: Kind>(crew: Crew) {
    let line = K::line::<u64>();
    let sending = line.clone();
    crew.spawn(async move {
        {
            let mut sink = pin!(sending.sink());
            for value in 0..VALUES {
                assert!(poll_fn(|cx| sink.as_mut().poll_ready(cx)).await.is_ok());
                assert!(sink.as_mut().start_send(value).is_ok());
                if value % 50 == 0 {
                    assert!(poll_fn(|cx| sink.as_mut().poll_flush(cx)).await.is_ok());
                }
            }
            assert!(poll_fn(|cx| sink.as_mut().poll_close(cx)).await.is_ok());
        }
        sending.close();
    });
    crew.run(async {
        let mut stream = pin!(line.recv());
        let mut next = 0;
        while let Some(value) = poll_fn(|cx| stream.as_mut().poll_next(cx)).await {
            assert_eq!(value, next);
            next += 1;
        }
        assert_eq!(next, VALUES);
    });
}

/// `try_iter` until the channel is closed: it ends when there is nothing at the moment.
fn iterated<K: Kind>(crew: Crew) {
    let line = K::line::<u64>();
    let sending = line.clone();
    crew.spawn(async move {
        for value in 0..VALUES {
            assert!(sending.send(value).await.is_ok());
        }
        sending.close();
    });
    let received = crew.run(async {
        let mut received = Vec::new();
        while !(line.is_closed() && line.is_empty()) {
            received.extend(line.try_iter());
            breathe().await;
        }
        received
    });
    assert!(received.into_iter().eq(0..VALUES));
}

/// `drain` takes what was there when it was called; `try_iter` goes on for as long as there is something.
fn drained<K: Kind>() {
    let line = K::line::<u64>();
    let room = K::CAPACITY.unwrap_or(3).min(3) as u64;
    assert_eq!(line.try_send_many(0..room).ok(), Some(room as usize));
    let mut next = room;
    for (place, value) in line.drain().enumerate() {
        assert_eq!(value, place as u64);
        assert!(line.try_send(next).is_ok(), "it has just made room");
        next += 1;
    }
    assert_eq!((next, line.len() as u64), (2 * room, room));
    let (mut all, end) = (Vec::new(), next + 3);
    for value in line.try_iter() {
        all.push(value);
        if next < end {
            assert!(line.try_send(next).is_ok(), "it has just made room");
            next += 1;
        }
    }
    assert!(all.into_iter().eq(room..end));
}
