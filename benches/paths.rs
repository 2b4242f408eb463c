//! Single paths on one thread, for working on one at a time: `cargo bench --features std`.

use std::hint::black_box;

use cloakroom::Arena;
use cloakroom::channel::{Buffered, Bytes, Channel, Unlimited};
use cloakroom::std_layer::StdRawMutex as Lock;
use cloakroom::sync::{NoopRawMutex, RawMutex};
use criterion::{Criterion, criterion_group, criterion_main};

static ARENA: Arena<Lock, 1024, 64, 256> = Arena::new();
static BUFFERED: Channel<Lock, u64, Buffered<128>> = Channel::new();
static UNLIMITED: Channel<Lock, u64, Unlimited<'static, Lock>> = Channel::over(&ARENA);
static MESSAGES: Bytes<'static, Lock, Buffered<128>> = Bytes::new();

fn arena<M: RawMutex>(c: &mut Criterion, name: &str) {
    let arena = Box::new(Arena::<M, 1024, 64, 256>::new());
    c.bench_function(&format!("{name}: alloc and release 64 bytes"), |b| {
        b.iter(|| black_box(arena.try_alloc(64)).is_ok());
    });
    let Ok(lease) = arena.try_alloc_from(&[1; 64]) else { return };
    c.bench_function(&format!("{name}: clone and drop a lease"), |b| {
        b.iter(|| drop(black_box(lease.clone())));
    });
    c.bench_function(&format!("{name}: deposit and redeem"), |b| {
        b.iter(|| {
            let ticket = lease.clone().deposit();
            ticket.map(|ticket| arena.redeem(black_box(ticket)).is_ok()).is_ok()
        });
    });
}

fn channels(c: &mut Criterion) {
    c.bench_function("buffered: try_send and try_recv", |b| {
        b.iter(|| (BUFFERED.try_send(black_box(7)), BUFFERED.try_recv()));
    });
    c.bench_function("unlimited: try_send and try_recv", |b| {
        b.iter(|| (UNLIMITED.try_send(black_box(7)), UNLIMITED.try_recv()));
    });
    c.bench_function("bytes: a message of 64 bytes", |b| {
        b.iter(|| {
            let sent = MESSAGES.try_send_bytes(ARENA.handle(), black_box(&[7; 64]));
            (sent, MESSAGES.try_recv().map(|message| message.len()))
        });
    });
}

fn paths(c: &mut Criterion) {
    arena::<NoopRawMutex>(c, "no-op lock");
    arena::<Lock>(c, "std lock");
    channels(c);
}

criterion_group!(benches, paths);
criterion_main!(benches);
