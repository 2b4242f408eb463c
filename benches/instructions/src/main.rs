//! Single paths of this crate, and of a peer or two, for counting instructions: `cargo xtask bench instructions` runs
//! this under callgrind, twice with different numbers of rounds; the difference is what a round takes.

use std::env;
use std::future::Future;
use std::hint::black_box;
use std::pin::pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::task::{Context, Wake, Waker};

use cloakroom::blocking;
use cloakroom::channel::{Buffered, Bytes, fan_out};
use cloakroom::select::select;
use cloakroom::std_layer::channel::{
    Bounded, Receiver, Sender, bounded, messages, rendezvous, unbounded,
};
use cloakroom::std_layer::{MappedArena, StdRawMutex as Lock, block_on};
use cloakroom::{ArenaRef, Lease};

/// A path, by name: does so many rounds of it.
type Path = (&'static str, fn(u32));

const PATHS: &[Path] = &[
    ("try_send and try_recv, u64, capacity 128", |rounds| {
        let (sender, receiver) = bounded(128);
        for number in 0..rounds {
            assert!(sender.try_send(u64::from(number)).is_ok());
            assert_eq!(receiver.try_recv(), Ok(u64::from(number)));
        }
    }),
    ("try_send and try_recv, u64, unbounded", |rounds| {
        let arena = MappedArena::new(1 << 20, 512, 1 << 10).expect("there is memory");
        let (sender, receiver) = unbounded(&arena);
        for number in 0..rounds {
            assert!(sender.try_send(u64::from(number)).is_ok());
            assert_eq!(receiver.try_recv(), Ok(u64::from(number)));
        }
    }),
    ("blocking_send and blocking_recv with room, u64", |rounds| {
        let (sender, receiver) = bounded(128);
        for number in 0..rounds {
            assert!(sender.blocking_send(u64::from(number)).is_ok());
            assert_eq!(receiver.blocking_recv(), Ok(u64::from(number)));
        }
    }),
    ("a receiver that waits: polled, sent to, polled again", |rounds| {
        let (sender, receiver) = bounded(128);
        let mut cx = Context::from_waker(Waker::noop());
        for number in 0..rounds {
            let mut receive = pin!(receiver.recv());
            assert!(receive.as_mut().poll(&mut cx).is_pending());
            assert!(sender.try_send(u64::from(number)).is_ok());
            assert!(receive.as_mut().poll(&mut cx).is_ready());
        }
    }),
    (
        "a receiver that waits by a foreign waker: polled, sent to by a future, polled again",
        |rounds| {
            let (sender, receiver) = bounded(1);
            let waker = Waker::from(Arc::new(Foreign));
            let mut cx = Context::from_waker(&waker);
            for number in 0..rounds {
                let mut receive = pin!(receiver.recv());
                assert!(receive.as_mut().poll(&mut cx).is_pending());
                assert!(pin!(sender.send(u64::from(number))).poll(&mut cx).is_ready());
                assert!(receive.as_mut().poll(&mut cx).is_ready());
            }
        },
    ),
    ("capacity 1, a foreign waker: a receive and a send that wait, two that need not", |rounds| {
        let (sender, receiver) = bounded(1);
        let waker = Waker::from(Arc::new(Foreign));
        let mut cx = Context::from_waker(&waker);
        for number in 0..rounds {
            let mut receive = pin!(receiver.recv());
            assert!(receive.as_mut().poll(&mut cx).is_pending());
            assert!(pin!(sender.send(u64::from(number))).poll(&mut cx).is_ready());
            let mut send = pin!(sender.send(u64::from(number)));
            assert!(send.as_mut().poll(&mut cx).is_pending());
            assert!(receive.as_mut().poll(&mut cx).is_ready());
            assert!(send.as_mut().poll(&mut cx).is_ready());
            assert!(pin!(receiver.recv()).poll(&mut cx).is_ready());
        }
    }),
    // As two tasks of one thread do it, where each goes on until it has to wait.
    (
        "a rendezvous, a foreign waker: a receive and a send that wait, two that need not",
        |rounds| {
            let (sender, receiver) = rendezvous();
            let waker = Waker::from(Arc::new(Foreign));
            let mut cx = Context::from_waker(&waker);
            for number in 0..rounds {
                let mut receive = pin!(receiver.recv());
                assert!(receive.as_mut().poll(&mut cx).is_pending());
                assert!(pin!(sender.send(u64::from(number))).poll(&mut cx).is_ready());
                let mut send = pin!(sender.send(u64::from(number)));
                assert!(send.as_mut().poll(&mut cx).is_pending());
                assert!(receive.as_mut().poll(&mut cx).is_ready());
                assert!(pin!(receiver.recv()).poll(&mut cx).is_ready());
                assert!(send.as_mut().poll(&mut cx).is_ready());
            }
        },
    ),
    ("64 bytes in an arena: alloc, fill, send, receive, read, release", |rounds| {
        let arena = arena();
        let line: Bytes<'_, Lock, Buffered<128>> = Bytes::new();
        for number in 0..rounds {
            let mut message = arena.try_alloc(64).expect("there is room");
            message.fill(number as u8);
            assert!(line.try_send(message).is_ok());
            let message = line.try_recv().expect("there is a message");
            assert!(message.iter().all(|&byte| byte == number as u8));
        }
    }),
    // As two threads do it that take turns: most of what is freed is more than a tray holds.
    ("64 bytes in an arena, 128 sent and then received: one of them", |rounds| {
        let arena = arena();
        let (sender, receiver) = messages(128);
        for _ in 0..rounds.div_ceil(128) {
            for _ in 0..128 {
                let mut message = arena.try_alloc(64).expect("there is room");
                message.copy_from_slice(black_box(&[1; 64]));
                assert!(sender.blocking_send(message.into_parcel()).is_ok());
            }
            for _ in 0..128 {
                let parcel = receiver.blocking_recv().expect("there is a message");
                let message = parcel.redeem().expect("nobody else has its number");
                assert_eq!(*black_box(&message[..]), [1; 64]);
            }
        }
    }),
    ("alloc and release, 64 bytes", |rounds| {
        let arena = arena();
        (0..rounds).for_each(|_| drop(black_box(arena.try_alloc(64))));
    }),
    ("alloc and release, 64 bytes, awaited", |rounds| {
        let arena = arena();
        for _ in 0..rounds {
            let alloc = pin!(arena.alloc(64));
            drop(black_box(alloc.poll(&mut Context::from_waker(Waker::noop()))));
        }
    }),
    ("clone and drop a lease", |rounds| {
        let lease = lease();
        (0..rounds).for_each(|_| drop(black_box(lease.clone())));
    }),
    ("deposit and redeem", |rounds| {
        let lease = lease();
        for _ in 0..rounds {
            let ticket = lease.clone().deposit().expect("so many can be counted");
            assert!(lease.arena().redeem(black_box(ticket)).is_ok());
        }
    }),
    ("fan-out to four, received by all", |rounds| {
        let lease = lease();
        let lines: [Bytes<'_, Lock, Buffered<8>>; 4] = [const { Bytes::new() }; 4];
        let [a, b, c, d] = &lines;
        for _ in 0..rounds {
            assert_eq!(fan_out(&[a, b, c, d], lease.clone()), 4);
            assert!(lines.iter().all(|line| line.try_recv().is_ok()));
        }
    }),
    ("select over 4 that are ready, and a send", |rounds| select_over::<4>(rounds)),
    ("select over 32 that are ready, and a send", |rounds| select_over::<32>(rounds)),
    ("an array of 32 receives that are ready, made, awaited fairly, and a send", select_array),
    ("the same by select!", select_macro),
    ("blocking::Select over 32 that are ready, and a send", select_blocking),
    ("crossbeam-channel: try_send and try_recv, u64, capacity 128", |rounds| {
        let (sender, receiver) = crossbeam_channel::bounded(128);
        for number in 0..rounds {
            assert!(sender.try_send(u64::from(number)).is_ok());
            assert_eq!(receiver.try_recv(), Ok(u64::from(number)));
        }
    }),
    ("kanal: try_send and try_recv, u64, capacity 128", |rounds| {
        let (sender, receiver) = kanal::bounded(128);
        for number in 0..rounds {
            assert_eq!(sender.try_send(u64::from(number)), Ok(true));
            assert_eq!(receiver.try_recv(), Ok(Some(u64::from(number))));
        }
    }),
    ("crossfire: try_send and try_recv, u64, capacity 128", |rounds| {
        let (sender, receiver) = crossfire::mpmc::bounded_blocking(128);
        for number in 0..rounds {
            assert!(sender.try_send(u64::from(number)).is_ok());
            assert_eq!(receiver.try_recv(), Ok(u64::from(number)));
        }
    }),
    ("malloc and free, 64 bytes", |rounds| {
        (0..rounds).for_each(|_| drop(black_box(Vec::<u8>::with_capacity(64))));
    }),
];

/// What no channel knows how to clone under its lock.
struct Foreign;

impl Wake for Foreign {
    fn wake(self: Arc<Self>) {}
}

fn arena() -> ArenaRef<'static, Lock> {
    MappedArena::new(1 << 20, 64, 1 << 10).expect("there is memory").leak()
}

fn lease() -> Lease<'static, Lock> {
    arena().try_alloc_from(&[1; 64]).expect("there is room")
}

fn select_over<const ARMS: usize>(rounds: u32) {
    let ends: [_; ARMS] = std::array::from_fn(|_| bounded::<u32>(2));
    ends.iter().for_each(|(sender, _)| assert!(sender.try_send(0).is_ok()));
    let mut cx = Context::from_waker(Waker::noop());
    for number in 0..rounds {
        let arms: [_; ARMS] = std::array::from_fn(|arm| ends[arm].1.recv());
        let mut select = pin!(select(arms));
        let std::task::Poll::Ready((arm, value)) = select.as_mut().poll(&mut cx) else {
            panic!("all are ready");
        };
        assert!(value.is_ok() && ends[arm].0.try_send(number).is_ok());
    }
}

/// 32 channels, in each of which is its number.
fn numbered() -> [(Sender<usize, Bounded>, Receiver<usize, Bounded>); 32] {
    let ends = std::array::from_fn(|_| bounded(32));
    // So many that they have lanes.
    for _ in 0..31 {
        ends.iter().enumerate().for_each(|(number, (sender, _))| {
            assert!(sender.try_send(number).is_ok());
        });
    }
    ends
}

fn select_array(rounds: u32) {
    let ends = numbered();
    block_on(async {
        for _ in 0..rounds {
            let arms: [_; 32] = std::array::from_fn(|arm| ends[arm].1.recv());
            let (arm, value) = select(arms).fair().await;
            assert!(value == Ok(arm) && ends[arm].0.try_send(arm).is_ok());
        }
    });
}

fn select_macro(rounds: u32) {
    /// Selects from the receivers of these ends, by these names.
    macro_rules! over {
        ($ends:ident: $($receiver:ident)+) => {{
            let [$((_, $receiver)),+] = &$ends;
            block_on(async {
                for _ in 0..rounds {
                    let value = cloakroom::select! {
                        $(value = $receiver.recv() => value,)+
                    };
                    assert!(value.is_ok_and(|arm| $ends[arm].0.try_send(arm).is_ok()));
                }
            });
        }};
    }
    let ends = numbered();
    over!(ends: a0 a1 a2 a3 a4 a5 a6 a7 b0 b1 b2 b3 b4 b5 b6 b7
        c0 c1 c2 c3 c4 c5 c6 c7 d0 d1 d2 d3 d4 d5 d6 d7);
}

fn select_blocking(rounds: u32) {
    let ends: [_; 32] = std::array::from_fn(|_| blocking::bounded(32));
    for _ in 0..31 {
        ends.iter().for_each(|(sender, _)| assert!(sender.try_send(0).is_ok()));
    }
    let mut select = blocking::Select::new();
    ends.iter().for_each(|(_, receiver)| assert!(select.recv(receiver) < 32));
    for number in 0..rounds {
        let operation = select.select();
        let arm = operation.index();
        assert!(operation.recv(&ends[arm].1).is_ok() && ends[arm].0.try_send(number).is_ok());
    }
}

/// Without arguments, lists the paths; with the number of a path and of rounds, goes it.
fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match &arguments[..] {
        [] => {
            PATHS.iter().for_each(|(name, _)| println!("{name}"));
            ExitCode::SUCCESS
        }
        [path, rounds] => {
            match (path.parse().ok().and_then(|path: usize| PATHS.get(path)), rounds.parse()) {
                (Some((_, path)), Ok(rounds)) => {
                    path(rounds);
                    ExitCode::SUCCESS
                }
                _ => ExitCode::FAILURE,
            }
        }
        _ => ExitCode::FAILURE,
    }
}
