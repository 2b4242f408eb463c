//! An unlimited channel that runs out of memory.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Waker};

use cloakroom::Arena;
use cloakroom::channel::{Channel, Permit, Reserve, SendFuture, Unlimited};

use crate::random::Random;
use crate::{Ledger, Lock, Value, ended};

type Kind<'a> = Unlimited<'a, Lock, 3>;

/// Somebody who waits for memory.
enum Sender<'a, 'c> {
    Value(usize, Pin<Box<SendFuture<'c, Lock, Value, Kind<'a>>>>),
    Permit(Pin<Box<Reserve<'c, Lock, Value, Kind<'a>>>>),
}

/// Who got in: a value, or a permit.
enum Got<'a, 'c> {
    Sent(usize),
    Held(Permit<'c, Lock, Value, Kind<'a>>),
}

impl<'a, 'c> Sender<'a, 'c> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Option<Got<'a, 'c>> {
        match self {
            Self::Value(id, send) => ended(send.as_mut().poll(cx)).map(|sent| {
                sent.map_err(drop).expect("open");
                Got::Sent(*id)
            }),
            Self::Permit(reserve) => {
                ended(reserve.as_mut().poll(cx)).map(|held| Got::Held(held.expect("open")))
            }
        }
    }
}

/// An unlimited channel whose arena is used up again and again, also by others: who gets in when is
/// the arena's affair, but order, conservation and progress are the channel's.
#[test]
fn unlimited_without_memory() {
    let mut held = 0;
    for seed in 0..2_000 {
        let arena: Arena<Lock, 16, 64, 16> = Arena::new();
        let ledger = Ledger::default();
        let mut random = Random(seed);
        {
            let channel: Channel<Lock, Value, Kind<'_>> = Channel::over(&arena);
            let mut cx = Context::from_waker(Waker::noop());
            let mut senders = Vec::new();
            let mut permits = Vec::new();
            let mut hogs = Vec::new();
            let mut expected = VecDeque::new();
            for step in 0..300 {
                match random.below(100) {
                    0..18 => {
                        let value = ledger.value();
                        let id = value.id;
                        if channel.try_send(value).is_ok() {
                            expected.push_back(id);
                        }
                    }
                    18..22 => permits.extend(channel.try_reserve().ok()),
                    22..36 => {
                        let value = ledger.value();
                        senders.push(Sender::Value(value.id, Box::pin(channel.send(value))));
                    }
                    36..42 => senders.push(Sender::Permit(Box::pin(channel.reserve()))),
                    42..62 if !senders.is_empty() => {
                        let at = random.index(senders.len());
                        let got = senders[at].poll(&mut cx);
                        if got.is_some() {
                            senders.remove(at);
                        }
                        match got {
                            Some(Got::Sent(id)) => expected.push_back(id),
                            Some(Got::Held(permit)) => permits.push(permit),
                            None => {}
                        }
                    }
                    62..68 if !senders.is_empty() => {
                        drop(senders.swap_remove(random.index(senders.len())));
                    }
                    68..74 if !permits.is_empty() => {
                        let permit = permits.swap_remove(random.index(permits.len()));
                        held += 1;
                        if random.one_in(3) {
                            drop(permit);
                        } else {
                            let value = ledger.value();
                            expected.push_back(value.id);
                            permit.send(value);
                        }
                    }
                    74..90 => {
                        let got = channel.try_recv().ok().map(|value| value.id);
                        assert_eq!(got, expected.pop_front(), "seed {seed}, step {step}");
                    }
                    90..95 => hogs.extend(arena.try_alloc(1 + random.index(500)).ok()),
                    _ => hogs.truncate(hogs.len() / 2),
                }
                assert_eq!(channel.len(), expected.len(), "seed {seed}, step {step}");
            }
            // When there is memory again, everybody who waits gets in, in one pass or a few.
            drop(hogs);
            drop(permits);
            for _ in 0..1_000 {
                let mut at = 0;
                while at < senders.len() {
                    match senders[at].poll(&mut cx) {
                        Some(Got::Sent(id)) => expected.push_back(id),
                        Some(Got::Held(permit)) => drop(permit),
                        None => {
                            at += 1;
                            continue;
                        }
                    }
                    senders.remove(at);
                }
                let got = channel.try_recv().ok().map(|value| value.id);
                assert_eq!(got, expected.pop_front(), "seed {seed}, at the end");
                if got.is_none() && senders.is_empty() {
                    break;
                }
            }
            assert!(senders.is_empty(), "seed {seed}: senders wait though there is memory");
            // Memory that permits held and did not use goes back as values pass through.
            for _ in 0..16 {
                channel.try_send(ledger.value()).map_err(drop).expect("memory");
                channel.try_recv().expect("a value");
            }
            assert_eq!(arena.snapshot().live, 1, "seed {seed}: an empty channel keeps one segment");
        }
        assert_eq!(ledger.wrong(), [0; 0], "seed {seed}: values dropped other than once");
        assert_eq!(arena.snapshot().live, 0, "seed {seed}");
        assert!(arena.handle().verify().is_clean(), "seed {seed}");
    }
    println!("{held} permits used or dropped");
    assert!(held > 1_000, "hardly a permit was had");
}
