//! No allocator call after set-up, on any host path.
//!
//! There is one exception, which is pinned here, too: of channels on the heap that are in use, more than 64 at once, each
//! allocates once, its lanes.
//!
//! A counting global allocator is armed on each thread that has finished its set-up: one `block_on`
//! (which makes the thread's waker), and whatever the test itself needs.
#![cfg(all(feature = "std", not(loom)))]

#[path = "common/counting_allocator.rs"]
mod counting_allocator;

use std::cell::Cell;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use cloakroom::blocking;
use cloakroom::channel::{
    Broadcast, Buffered, Bytes, Channel, Compete, Conflated, Counted, DropOldest, Priority,
    Rendezvous, Unlimited, endpoints, fan_out, fan_out_all,
};
use cloakroom::kernel::{CancelToken, Kernel, Next, TimerQueue, Timers};
use cloakroom::limit::Operation;
use cloakroom::select::{Either, Either3, SelectSet, select};
use cloakroom::std_layer::channel as server;
use cloakroom::std_layer::{MappedArena, StdClock, StdRawMutex, block_on, block_on_until};
use cloakroom::{Arena, ArenaRef};

type Lock = StdRawMutex;

static CALLS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static ARMED: Cell<bool> = const { Cell::new(false) };
}

/// Counts what armed threads do.
fn count() {
    if ARMED.try_with(Cell::get).unwrap_or(false) {
        CALLS.fetch_add(1, Ordering::Relaxed);
    }
}

/// Runs `work` after this thread's set-up, and fails if it calls the allocator.
fn without_allocating(work: impl FnOnce()) {
    block_on(async {});
    ARMED.set(true);
    let before = CALLS.load(Ordering::Relaxed);
    work();
    let calls = CALLS.load(Ordering::Relaxed) - before;
    ARMED.set(false);
    assert_eq!(calls, 0, "calls of the allocator");
}

/// The same on two threads that do different things. What they allocate shows in `CALLS`.
fn both_without_allocating(one: impl FnOnce() + Send, other: impl FnOnce() + Send) {
    fn side(work: impl FnOnce(), start: &Barrier, end: &Barrier) {
        block_on(async {});
        start.wait();
        ARMED.set(true);
        work();
        ARMED.set(false);
        end.wait();
    }
    let (start, end) = (Barrier::new(2), Barrier::new(2));
    thread::scope(|scope| {
        scope.spawn(|| side(one, &start, &end));
        scope.spawn(|| side(other, &start, &end));
    });
}

fn sending_and_receiving<S: Compete<u64> + Sync>(channel: &Channel<Lock, u64, S>, ordered: bool) {
    both_without_allocating(
        || {
            for value in 0..1_000 {
                assert!(block_on(channel.send(value)).is_ok());
                let _ = channel.try_send(u64::MAX);
            }
            channel.close();
        },
        || {
            let mut next = 0;
            while let Ok(value) = block_on(channel.recv()) {
                if value != u64::MAX {
                    assert!(value == next || (!ordered && value > next), "{value} for {next}");
                    next = value + 1;
                }
                let _ = channel.is_empty();
            }
            assert!(channel.snapshot().sent >= 1_000);
        },
    );
}

/// The same between endpoints that own their channel, and are blocking.
fn serving<K: Compete<u64> + Send + Sync>(
    (sender, receiver): &(server::Sender<u64, K>, server::Receiver<u64, K>),
) {
    both_without_allocating(
        || {
            for value in 0..1_000 {
                assert!(sender.blocking_send(value).is_ok());
                drop(sender.clone());
            }
            sender.close();
        },
        || {
            for next in 0..1_000 {
                assert_eq!(receiver.clone().blocking_recv(), Ok(next));
            }
        },
    );
}

/// The same under the names of crossbeam-channel.
fn serving_threads((sender, receiver): &(blocking::Sender<u64>, blocking::Receiver<u64>)) {
    both_without_allocating(
        || {
            for value in 0..1_000 {
                assert!(sender.clone().send_timeout(value, Duration::from_secs(60)).is_ok());
            }
        },
        || {
            for next in 0..1_000 {
                assert_eq!(receiver.recv(), Ok(next));
                let _ = (receiver.is_empty(), receiver.clone().is_full());
            }
        },
    );
}

/// Lanes for 64 channels are there from the start; each one more that comes into use allocates its own, once. Those that are
/// idle have none.
fn lanes_of_many_channels() {
    const OWN: usize = 64;
    const MORE: usize = 16;
    let lines = [(); OWN + MORE].map(|()| server::bounded(2));
    let pass = |count: u64| {
        let before = CALLS.load(Ordering::Relaxed);
        ARMED.set(true);
        for (sender, receiver) in &lines {
            for value in 0..count {
                sender.try_send(value).expect("room");
                assert_eq!(receiver.try_recv(), Ok(value));
            }
        }
        ARMED.set(false);
        CALLS.load(Ordering::Relaxed) - before
    };
    assert_eq!(pass(8), 0, "they are hardly used");
    assert_eq!(pass(32), MORE);
    assert_eq!(pass(100), 0, "once");
    drop(lines);
    // What was in use is there for others.
    let others = [(); OWN].map(|()| server::bounded(2));
    without_allocating(|| {
        for (sender, receiver) in &others {
            for value in 0..100 {
                sender.try_send(value).expect("room");
                assert_eq!(receiver.try_recv(), Ok(value));
            }
        }
    });
    CALLS.store(0, Ordering::Relaxed);
}

/// The one test of this file, as its count is of the whole process.
#[test]
fn nothing_is_allocated_after_set_up() {
    static ARENA: Arena<Lock, 256, 64, 64> = Arena::new();
    static KERNEL: Kernel<Lock> = Kernel::new();

    lanes_of_many_channels();
    sending_and_receiving::<Rendezvous>(&Channel::new(), true);
    sending_and_receiving::<Buffered<4>>(&Channel::new(), true);
    sending_and_receiving::<Conflated>(&Channel::new(), false);
    sending_and_receiving::<Priority<4>>(&Channel::new(), true);
    sending_and_receiving::<Buffered<4, DropOldest>>(&Channel::new(), false);
    sending_and_receiving::<Unlimited<'_, Lock, 4>>(&Channel::over(&ARENA), true);
    serving(&server::bounded(1));
    serving(&server::bounded(64));
    serving(&server::rendezvous());
    serving(&server::priority(8));
    serving(&server::unbounded(&ARENA));
    [blocking::bounded(0), blocking::bounded(1), blocking::bounded(64), blocking::unbounded()]
        .iter()
        .for_each(serving_threads);
    assert_eq!(CALLS.load(Ordering::Relaxed), 0);

    without_allocating(choosing_what_is_ready);
    choosing_what_is_waited_for();
    assert_eq!(CALLS.load(Ordering::Relaxed), 0);

    without_allocating(selects_and_limits);
    without_allocating(|| messages(ARENA.handle()));
    without_allocating(|| to_several(ARENA.handle()));
    without_allocating(choosing_at_run_time);
    let mapped = MappedArena::<Lock>::new(1 << 20, 256, 256).expect("a mapping");
    without_allocating(|| messages(mapped.handle()));
    without_allocating(|| tasks(&ARENA, &KERNEL));
    both_without_allocating(|| drive_tasks(&ARENA, &KERNEL), || drive_tasks(&ARENA, &KERNEL));
    assert_eq!(CALLS.load(Ordering::Relaxed), 0);
    assert_eq!(ARENA.snapshot().live, 0);
}

/// Both sides of a channel of values that just fit into what a select keeps in place.
type Line = (blocking::Sender<[u64; 5]>, blocking::Receiver<[u64; 5]>);

/// Selects of a thread over what is ready, or in vain.
fn choosing_what_is_ready() {
    thread_local! {
        /// Channels are set-up.
        static LINES: [Line; 3] = {
            ARMED.set(false);
            let lines = [blocking::bounded(2), blocking::unbounded(), blocking::bounded(0)];
            // Its first segment, and the arena for it.
            lines[1].0.send([0; 5]).expect("memory");
            lines[1].1.recv().expect("a value");
            ARMED.set(true);
            lines
        };
    }
    LINES.with(|lines| {
        let [(ring, from_ring), (list, from_list), (_nobody, meeting)] = lines;
        for round in 0..100 {
            let nothing = blocking::select! {
                recv(from_ring) -> _ => false,
                recv(from_list) -> _ => false,
                recv(meeting) -> _ => false,
                default => true,
            };
            assert!(nothing);
            for _ in 0..2 {
                blocking::select! {
                    recv(meeting) -> _ => panic!("nobody sends there"),
                    send(ring, [round; 5]) -> sent => assert!(sent.is_ok()),
                }
            }
            list.send([round; 5]).expect("memory");
            // Full: what is received first is not.
            let mut taken = [0; 2];
            for _ in 0..3 {
                blocking::select! {
                    recv(from_ring) -> value => {
                        taken[0] += 1;
                        assert_eq!(value, Ok([round; 5]));
                    }
                    recv(from_list) -> value => {
                        taken[1] += 1;
                        assert_eq!(value, Ok([round; 5]));
                    }
                }
            }
            assert_eq!(taken, [2, 1]);
        }
    });
}

/// Selects of two threads that wait for each other. They have waited once, which is set-up.
fn choosing_what_is_waited_for() {
    let (quiet, never) = blocking::bounded::<u64>(1);
    let (ping, pinged) = blocking::bounded(1);
    let (pong, ponged) = blocking::unbounded();
    let mut server = blocking::Select::new();
    let mut client = blocking::Select::new();
    let (request, _) = (server.recv(&pinged), server.recv(&never));
    let (_, reply) = (client.recv(&never), client.recv(&ponged));
    let mut sending = blocking::Select::new_biased();
    let (send, _) = (sending.send(&ping), sending.recv(&never));
    let moment = Duration::from_millis(1);
    assert!(server.select_timeout(moment).is_err() && client.select_timeout(moment).is_err());
    ping.send(0).expect("room");
    assert!(sending.select_timeout(moment).is_err());
    assert_eq!(pinged.recv(), Ok(0));
    both_without_allocating(
        || {
            for _ in 0..2_000 {
                let operation = server.select();
                assert_eq!(operation.index(), request);
                let number = operation.recv(&pinged).expect("a request");
                pong.send(number).expect("open");
            }
        },
        || {
            for number in 0..1_000 {
                // The second one waits for room, or for what the server does.
                for number in [number, number + 1] {
                    let operation = sending.select();
                    assert_eq!(operation.index(), send);
                    operation.send(&ping, number).expect("open");
                }
                for number in [number, number + 1] {
                    let operation = client.select();
                    assert_eq!(operation.index(), reply);
                    assert_eq!(operation.recv(&ponged), Ok(number));
                }
            }
        },
    );
    drop(quiet);
}

fn selects_and_limits() {
    let jobs: Channel<Lock, u8, Buffered<2>> = Channel::new();
    let meet: Channel<Lock, u8, Rendezvous> = Channel::new();
    let timers: Timers<Lock> = Timers::new();
    let root: CancelToken<Lock> = CancelToken::new();
    for round in 0..100 {
        let mut send = pin!(meet.send(1));
        jobs.try_send(2).expect("room");
        let outcome = block_on(select((send.as_mut(), jobs.recv(), timers.after(1))));
        assert_eq!(outcome, Either3::Second(Ok(2)));
        assert_eq!(send.take_value(), Some(1));

        // Two selects that wait, and meet.
        let mut cx = Context::from_waker(Waker::noop());
        let mut one = pin!(select((meet.recv(), timers.after(1))));
        assert!(one.as_mut().poll(&mut cx).is_pending());
        assert_eq!(block_on(select((meet.send(3), jobs.recv()))), Either::First(Ok(())));
        assert_eq!(one.as_mut().poll(&mut cx), Poll::Ready(Either::First(Ok(3))));

        let session = pin!(root.child());
        let session = session.as_ref();
        let mut late = pin!(jobs.recv().deadline(timers.after(1)));
        let mut off =
            pin!(meet.send(4).cancelled_by(session.cancelled()).deadline(timers.after(9)));
        assert!(late.as_mut().poll(&mut cx).is_pending());
        assert!(off.as_mut().poll(&mut cx).is_pending());
        timers.advance(timers.now() + 1);
        session.cancel();
        assert!(late.as_mut().poll(&mut cx).is_ready(), "round {round}");
        assert!(off.as_mut().poll(&mut cx).is_ready(), "round {round}");
    }
}

fn messages(arena: ArenaRef<'_, Lock>) {
    let channel: Bytes<'_, Lock, Buffered<4>> = Bytes::new();
    for len in 0..1_000 {
        let mut lease = block_on(arena.alloc(len)).expect("never too large");
        lease.fill(5);
        let shared = lease.freeze();
        let copy = shared.clone();
        let ticket = shared.deposit().map_err(drop).expect("one ticket");
        assert_eq!(arena.redeem(ticket).expect("at rest").len(), len);
        drop(copy);
        channel.try_send_bytes(arena, &[1, 2, 3]).expect("room");
        block_on(channel.send_bytes(arena, &[4, 5])).expect("room");
        assert_eq!(&*channel.try_recv().expect("a message"), &[1, 2, 3]);
        assert_eq!(&*block_on(channel.recv()).expect("a message"), &[4, 5]);
        arena.compact(4);
        let _ = arena.try_alloc_value([0u64; 9]).map(|value| value[0]);
    }
    assert!(arena.verify().is_clean());
}

/// Broadcasts, fan-out, and channels that come and go in an arena.
fn to_several(arena: ArenaRef<'_, Lock>) {
    let news: Bytes<'_, Lock, Broadcast<4>> = Bytes::new();
    let lines: [Bytes<'_, Lock, Buffered<2>>; 2] = [Bytes::new(), Bytes::new()];
    for _ in 0..200 {
        let (mut a, mut b) = (news.channel().subscribe(), news.channel().subscribe());
        news.try_send_bytes(arena, &[1, 2]).expect("room");
        for reader in [&mut a, &mut b] {
            let parcel = block_on(reader.recv()).expect("a value").value().expect("not late");
            assert_eq!(&*parcel.redeem().expect("at rest"), &[1, 2]);
        }
        let message = arena.try_alloc_from(&[3]).expect("room");
        assert_eq!(fan_out(&[&lines[0], &lines[1]], message), 2);
        let message = arena.try_alloc_from(&[4]).expect("room");
        assert!(block_on(fan_out_all(&[&lines[0], &lines[1]], message)).is_ok());
        for line in &lines {
            assert_eq!(line.channel().drain().count(), 2);
        }

        let channel = arena.try_alloc_value(Counted::<Lock, u8, Buffered<4>>::new());
        let (sender, receiver) = endpoints(channel.map_err(drop).expect("room").share());
        assert_eq!(block_on(sender.send_many(0..3)), Ok(3));
        block_on(sender.reserve()).expect("open").send(3);
        drop(sender);
        assert!(receiver.try_iter().eq(0..4));
    }
}

/// The macro, and a set.
fn choosing_at_run_time() {
    let lines: [Channel<Lock, u8, Buffered<2>>; 3] = [const { Channel::new() }; 3];
    for round in 0..100u8 {
        let line = usize::from(round % 3);
        let mut arms = lines.each_ref().map(Channel::recv);
        // SAFETY: the array is not moved before it is dropped.
        let pinned = arms.each_mut().map(|arm| unsafe { Pin::new_unchecked(arm) });
        let mut set = pin!(SelectSet::<_, 3>::new().fair());
        for arm in pinned {
            assert!(set.as_mut().add(arm).is_ok());
        }
        lines[line].try_send(round).expect("room");
        assert_eq!(block_on(set.as_mut()), (line, Ok(round)));
        assert_eq!(set.try_ready(), None);
        let got = cloakroom::select! {
            value = lines[0].recv() => value.ok(),
            value = lines[1].recv() => value.ok(),
            default => None,
        };
        assert_eq!(got, None);
    }
}

fn tasks(arena: &'static Arena<Lock, 256, 64, 64>, kernel: &'static Kernel<Lock>) {
    static CHANNEL: Channel<Lock, u8, Buffered<2>> = Channel::new();
    for round in 0..500 {
        let receiver = kernel.spawn(arena.handle(), CHANNEL.recv()).map_err(drop).expect("room");
        let sleeper = kernel
            .spawn(arena.handle(), async move { kernel.timers().after(10).await })
            .map_err(drop)
            .expect("room");
        let mut cancelled = kernel
            .spawn(arena.handle(), core::future::pending::<()>())
            .map_err(drop)
            .expect("room");
        let now = kernel.timers().now();
        assert_eq!(kernel.poll(now), Next::At(now + 10));
        let _ = Pin::new(&mut cancelled).poll(&mut Context::from_waker(Waker::noop()));
        cancelled.cancel();
        CHANNEL.try_send(7).expect("room");
        assert_eq!(kernel.poll(now + 10), Next::Idle);
        assert_eq!(block_on(receiver), Ok(Ok(7)), "round {round}");
        assert_eq!((block_on(sleeper), block_on(cancelled).is_err()), (Ok(()), true));
    }
}

fn drive_tasks(arena: &'static Arena<Lock, 256, 64, 64>, kernel: &'static Kernel<Lock>) {
    let clock = StdClock::new();
    for _ in 0..100 {
        let task = kernel
            .spawn(arena.handle(), async move {
                kernel.timers().after(20).await;
                1
            })
            .map_err(drop)
            .expect("room");
        assert_eq!(block_on_until(kernel, &clock, task), Ok(1));
    }
}
