//! How long the longest critical section of each operation is.

use core::future::Future;
use core::hint::black_box;
use core::mem::ManuallyDrop;
use core::pin::{Pin, pin};
use core::task::{Context, Poll, Waker};

use bench::Bench;
use cloakroom::Arena;
use cloakroom::channel::{
    Broadcast, Buffered, Bytes, Channel, Compete, Priority, Rendezvous, Unlimited, fan_out,
};
use cloakroom::kernel::{CancelToken, Kernel, TimerQueue};
use cloakroom::limit::Operation;
use cloakroom::select::{never, select};

use crate::{ARENA, Lock};

static SMALL: Arena<Lock, 24, 64, 24> = Arena::new();
static NUMBERS: Channel<Lock, u32, Buffered<8>> = Channel::new();
static BLOCKS: Channel<Lock, [u32; 16], Buffered<2>> = Channel::new();
static FRAMES: Bytes<'static, Lock, Buffered<8>> = Bytes::new();
static LINE: Bytes<'static, Lock, Buffered<8>> = Bytes::new();
static RANKED: Channel<Lock, u32, Priority<8>> = Channel::new();
static SHARED: Channel<Lock, u32, Broadcast<8>> = Channel::new();
static MEETING: Channel<Lock, u32, Rendezvous> = Channel::new();
static QUEUE: Channel<Lock, u32, Unlimited<'static, Lock, 2>> = Channel::over(&ARENA);
static KERNEL: Kernel<Lock> = Kernel::new();

/// The kinds that do more than queue, and several channels at once.
fn kinds(row: &mut dyn FnMut(&str, &mut dyn FnMut())) {
    for number in 0..7 {
        let _ = RANKED.try_send_with_priority(number, number as u8);
    }
    row("priority 8, with seven values in it", &mut || {
        let _ = black_box(RANKED.try_send_with_priority(1, 200));
        let _ = black_box(RANKED.try_recv());
    });
    let (mut a, mut b) = (SHARED.subscribe(), SHARED.subscribe());
    row("broadcast 8, two subscribers", &mut || {
        let _ = black_box(SHARED.try_send(1));
        let _ = black_box((a.try_recv(), b.try_recv()));
    });
    row("permits, used and dropped", &mut || {
        if let Ok(permit) = NUMBERS.try_reserve() {
            permit.send(1);
        }
        drop(black_box(NUMBERS.try_reserve()));
        let _ = black_box(NUMBERS.try_recv());
    });
    row("fan_out to two channels", &mut || {
        if let Ok(message) = ARENA.try_alloc(64) {
            black_box(fan_out(&[&FRAMES, &LINE], message.freeze()));
        }
        let _ = black_box((FRAMES.try_recv(), LINE.try_recv()));
    });
}

/// Prints the figures, and the largest of them.
pub fn print(bench: &mut Bench) {
    let mut all = 0;
    let mut row = |what: &str, operation: &mut dyn FnMut()| {
        all = all.max(bench.masked(what, operation));
    };
    kinds(&mut row);
    channels(&mut row);
    waits(&mut row);
    memory(&mut row);
    kernel(&mut row);
    bench.print_masked("any operation", all);
}

type Row<'a> = &'a mut dyn FnMut(&str, &mut dyn FnMut());

fn channels(row: Row<'_>) {
    row("critical section, empty", &mut || critical_section::with(|_| ()));
    row("try_send + try_recv, u32", &mut || {
        let _ = black_box(NUMBERS.try_send(1));
        let _ = black_box(NUMBERS.try_recv());
    });
    row("try_send + try_recv, 64 bytes by value", &mut || {
        let _ = black_box(BLOCKS.try_send([1; 16]));
        let _ = black_box(BLOCKS.try_recv());
    });
    row("parked receive: register, send, ready", &mut || {
        let mut cx = Context::from_waker(Waker::noop());
        let mut receive = pin!(NUMBERS.recv());
        let _ = receive.as_mut().poll(&mut cx);
        let _ = NUMBERS.try_send(1);
        let _ = black_box(receive.poll(&mut cx));
    });
    row("parked sends, close, deadline", &mut || {
        let channel: Channel<Lock, u32, Buffered<1>> = Channel::new();
        let mut cx = Context::from_waker(Waker::noop());
        let _ = channel.try_send(0);
        let mut first = pin!(channel.send(1));
        let mut second = pin!(channel.send(2));
        let _ = first.as_mut().poll(&mut cx);
        let _ = second.as_mut().poll(&mut cx);
        let late = pin!(channel.send(3).deadline(core::future::ready(())));
        let _ = late.poll(&mut cx);
        let _ = channel.try_recv();
        let _ = first.poll(&mut cx);
        channel.close();
        let _ = second.poll(&mut cx);
    });
    row("rendezvous, and a select of two", &mut || {
        let mut cx = Context::from_waker(Waker::noop());
        let mut either = pin!(select((NUMBERS.recv(), MEETING.recv())));
        let _ = either.as_mut().poll(&mut cx);
        let mut sender = pin!(select((MEETING.send(1), MEETING.recv())));
        let _ = sender.as_mut().poll(&mut cx);
        let _ = either.poll(&mut cx);
        let _ = sender.poll(&mut cx);
    });
    crowded::<1>("rendezvous tried, one permit and one look waiting", row);
    crowded::<16>("rendezvous tried, sixteen permits and sixteen looks waiting", row);
    row("unlimited, over segments", &mut || {
        for number in 0..5 {
            let _ = QUEUE.try_send(number);
        }
        while QUEUE.try_recv().is_ok() {}
    });
    row("64-byte message: send and receive", &mut || {
        if let Ok(frame) = ARENA.try_alloc(64) {
            let _ = FRAMES.try_send(frame);
        }
        let _ = black_box(FRAMES.try_recv());
    });
    row("snapshots", &mut || {
        black_box(NUMBERS.snapshot());
        black_box(ARENA.snapshot());
        black_box(ARENA.handle().dump().count());
    });
}

/// Those who wait on each kind but a rendezvous: served, given up, arms of selects, told that it is closed.
fn waits(row: Row<'_>) {
    row("waits on buffered 1", &mut || wait_on::<Buffered<1>>(Channel::new()));
    // The rest, on top of the arena's, is more stack than the smallest of the machines has.
    row("receives that wait on unlimited", &mut || {
        receive_from::<Unlimited<'static, Lock, 2>>(&Channel::over(&ARENA));
    });
    row("waits on priority 2", &mut || wait_on::<Priority<2>>(Channel::new()));
    row("waits on broadcast 2", &mut || {
        let channel: Channel<Lock, u32, Broadcast<2>> = Channel::new();
        let (mut a, mut b) = (channel.subscribe(), channel.subscribe());
        {
            let (mut a, mut b) = (pin!(a.recv()), pin!(b.recv()));
            let _ = (now(a.as_mut()), now(b.as_mut()));
            let _ = (now(pin!(channel.send(1))), channel.try_send(2));
            let _ = (now(a), now(b));
        }
        let _ = channel.try_send(3);
        let mut sender = pin!(channel.send(4));
        let _ = now(sender.as_mut());
        let _ = (a.try_recv(), b.try_recv());
        let _ = now(sender);
        let (mut a, mut b) = (pin!(a.recv()), pin!(b.recv()));
        let _ = (now(a.as_mut()), now(b.as_mut()));
        channel.close();
    });
    row("64-byte message to a receive that waits", &mut || {
        let mut receive = pin!(FRAMES.recv());
        let _ = now(receive.as_mut());
        if let Ok(frame) = ARENA.try_alloc(64) {
            let _ = FRAMES.try_send(frame);
        }
        drop(black_box(now(receive)));
    });
}

/// Polls once.
fn now<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// In parts that are no part of each other: the smallest of the machines has little stack.
fn wait_on<S: Compete<u32>>(channel: Channel<Lock, u32, S>) {
    receive_from(&channel);
    select_from(&channel);
    for _ in 0..channel.capacity().unwrap_or(0) {
        let _ = channel.try_send(0);
    }
    send_to(&channel);
    while channel.try_recv().is_ok() {}
    let mut receive = pin!(channel.recv());
    let _ = now(receive.as_mut());
    channel.close();
    let _ = black_box(now(receive));
}

#[inline(never)]
fn receive_from<S: Compete<u32>>(channel: &Channel<Lock, u32, S>) {
    let (mut first, mut last) = (pin!(channel.recv()), pin!(channel.recv()));
    let _ = now(first.as_mut());
    let _ = now(pin!(channel.recv()));
    let _ = now(last.as_mut());
    let _ = (channel.try_send(0), now(pin!(channel.send(0))));
    let _ = (now(first), now(last));
}

#[inline(never)]
fn select_from<S: Compete<u32>>(channel: &Channel<Lock, u32, S>) {
    let mut either = pin!(select((channel.recv(), never::<()>())));
    let mut last = pin!(channel.recv());
    let _ = (now(either.as_mut()), now(last.as_mut()));
    let _ = (channel.try_send(0), channel.try_send(0));
    let _ = (now(either), now(last));
}

#[inline(never)]
fn send_to<S: Compete<u32>>(channel: &Channel<Lock, u32, S>) {
    let (mut first, mut either) =
        (pin!(channel.send(1)), pin!(select((channel.send(2), never::<()>()))));
    let (mut permit, mut unused) = (pin!(channel.reserve()), pin!(channel.reserve()));
    let _ = now(first.as_mut());
    let _ = (now(permit.as_mut()).is_ready(), now(unused.as_mut()).is_ready());
    let _ = now(either.as_mut());
    let _ = (channel.try_recv(), now(first));
    let _ = channel.try_recv();
    if let Poll::Ready(Ok(permit)) = now(permit) {
        permit.send(3);
    }
    let _ = channel.try_recv();
    drop(now(unused));
    let _ = now(either);
}

/// A rendezvous at which `N` wait for a permit, and `N` look for a sender: nobody to meet.
fn crowded<const N: usize>(name: &str, row: Row<'_>) {
    let mut cx = Context::from_waker(Waker::noop());
    let mut permits = pin!(core::array::from_fn::<_, N, _>(|_| MEETING.reserve()));
    let mut looks =
        pin!(core::array::from_fn::<_, N, _>(|_| { select((MEETING.recv(), never::<()>())) }));
    // SAFETY: the array is pinned, and nothing is moved out of it.
    for permit in unsafe { permits.as_mut().get_unchecked_mut() } {
        // SAFETY: as above.
        let _ = unsafe { Pin::new_unchecked(permit) }.poll(&mut cx);
    }
    // SAFETY: as above.
    for look in unsafe { looks.as_mut().get_unchecked_mut() } {
        // SAFETY: as above. It is not dropped, so that it goes on looking.
        let mut ready = ManuallyDrop::new(unsafe { Pin::new_unchecked(look) }.ready());
        // SAFETY: it stays where it is until it is forgotten.
        let _ = unsafe { Pin::new_unchecked(&mut *ready) }.poll(&mut cx);
    }
    row(name, &mut || {
        let _ = black_box(MEETING.try_recv());
        let _ = black_box(MEETING.try_send(1));
        black_box(MEETING.is_full());
    });
}

fn memory(row: Row<'_>) {
    row("alloc + release, 64 bytes", &mut || drop(black_box(ARENA.try_alloc(64))));
    row("alloc + release, 3,000 bytes: split and join", &mut || {
        drop(black_box(ARENA.try_alloc(3_000)))
    });
    row("alloc with shelves taken apart, seams closed", &mut || {
        let leases = core::array::from_fn::<_, 4, _>(|number| SMALL.try_alloc(64 << (number % 3)));
        let [a, b, c, d] = leases;
        drop((a, c));
        drop((b, d));
        drop(black_box(SMALL.try_alloc(24 * 64)));
    });
    row("compaction of three payloads, and their redeem", &mut || {
        let mut tickets = [None; 3];
        for ticket in &mut tickets {
            let gap = SMALL.try_alloc(64);
            *ticket = SMALL.try_alloc(640 / 4).ok().map(|lease| lease.deposit());
            drop(gap);
        }
        SMALL.compact(usize::MAX);
        for ticket in tickets.into_iter().flatten() {
            drop(black_box(SMALL.redeem(ticket)));
        }
        SMALL.compact(usize::MAX);
    });
    row("scattered payload", &mut || {
        let gap = SMALL.try_alloc(640);
        let stays = SMALL.try_alloc(64);
        drop(gap);
        if let Ok(chain) = SMALL.handle().try_alloc_scattered(20 * 64) {
            drop(SMALL.handle().redeem_scattered(chain.deposit()));
        }
        drop(stays);
    });
    row("waiting for memory", &mut || {
        let mut cx = Context::from_waker(Waker::noop());
        let taken = SMALL.try_alloc(24 * 64);
        let mut first = pin!(SMALL.alloc(64));
        let mut second = pin!(SMALL.alloc(128));
        let _ = first.as_mut().poll(&mut cx).is_pending();
        let _ = second.as_mut().poll(&mut cx).is_pending();
        drop(taken);
        let _ = black_box(first.poll(&mut cx).is_ready());
        let _ = black_box(second.poll(&mut cx).is_ready());
    });
    row("lease clone + drop, deposit + redeem", &mut || {
        if let Ok(lease) = ARENA.try_alloc_from(b"shared") {
            if let Ok(ticket) = lease.clone().deposit() {
                drop(black_box(ARENA.redeem(ticket)));
            }
        }
    });
}

fn kernel(row: Row<'_>) {
    row("spawn, wake, poll, join", &mut || {
        let task = KERNEL.spawn(ARENA.handle(), async { NUMBERS.recv().await.is_ok() });
        KERNEL.poll(0);
        let _ = NUMBERS.try_send(1);
        KERNEL.poll(0);
        let mut cx = Context::from_waker(Waker::noop());
        if let Ok(task) = task {
            let _ = black_box(pin!(task).poll(&mut cx));
        }
    });
    let mut now = 0;
    row("three timers: insert, cancel, expiry", &mut || {
        let timers = KERNEL.timers();
        let mut cx = Context::from_waker(Waker::noop());
        let mut first = pin!(timers.at(now + 3));
        let mut second = pin!(timers.at(now + 9));
        let _ = first.as_mut().poll(&mut cx);
        let _ = second.as_mut().poll(&mut cx);
        {
            let cancelled = pin!(timers.at(now + 70));
            let _ = cancelled.poll(&mut cx);
        }
        black_box(timers.next_deadline());
        now += 10;
        timers.advance(now);
    });
    row("cancellation of two in a tree", &mut || {
        let mut cx = Context::from_waker(Waker::noop());
        let root: CancelToken<Lock> = CancelToken::new();
        let child = pin!(root.child());
        let mut first = pin!(root.cancelled());
        let mut second = pin!(child.as_ref().cancelled());
        let _ = first.as_mut().poll(&mut cx);
        let _ = second.as_mut().poll(&mut cx);
        root.cancel();
        let _ = first.poll(&mut cx);
        let _ = second.poll(&mut cx);
    });
}
