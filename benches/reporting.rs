//! What it costs the traffic to be looked at a hundred times a second: `cargo bench --features monitor --bench
//! reporting`. Rounds with and without a reader take turns; what counts is the ratio.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use cloakroom::channel::{Buffered, Bytes, Channel};
use cloakroom::std_layer::report::Registry;
use cloakroom::std_layer::{MappedArena, StdRawMutex as Lock};

static NUMBERS: Channel<Lock, u64, Buffered<128>> = Channel::new();
static FRAMES: Bytes<'static, Lock, Buffered<128>> = Bytes::new();

const ROUNDS: usize = 11;

/// Seconds that `traffic` takes, with a reader beside it or without.
fn timed(registry: &Registry, is_read: bool, traffic: &(impl Fn() + Sync)) -> f64 {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        if is_read {
            scope.spawn(|| {
                while !over.load(Relaxed) {
                    black_box(registry.collect());
                    thread::sleep(Duration::from_millis(10));
                }
            });
        }
        let start = Instant::now();
        traffic();
        let taken = start.elapsed().as_secs_f64();
        over.store(true, Relaxed);
        taken
    })
}

fn compare(name: &str, registry: &Registry, traffic: impl Fn() + Sync) {
    timed(registry, true, &traffic);
    let mut ratios: Vec<f64> = (0..ROUNDS)
        .map(|round| {
            // Each goes first as often as the other.
            let first = timed(registry, round % 2 == 0, &traffic);
            let second = timed(registry, round % 2 != 0, &traffic);
            if round % 2 == 0 { first / second } else { second / first }
        })
        .collect();
    ratios.sort_by(f64::total_cmp);
    let [least, median, most] = [0, ROUNDS / 2, ROUNDS - 1].map(|at| ratios[at]);
    println!("{name}: read at 100 Hz / not read: {median:.4} ({least:.4} to {most:.4})");
}

fn main() {
    let arena = MappedArena::<Lock>::new(1 << 20, 64, 4096).expect("memory").leak();
    let registry = Registry::new("bench");
    let _kept =
        (registry.channel("numbers", &NUMBERS), registry.channel("frames", FRAMES.channel()));
    compare("one thread, try_send and try_recv of a u64", &registry, || {
        for number in 0..8_000_000 {
            let _ = black_box((NUMBERS.try_send(number), NUMBERS.try_recv()));
        }
    });
    compare("one thread, a message of 64 bytes", &registry, || {
        for _ in 0..2_000_000 {
            let _ = black_box((FRAMES.try_send_bytes(arena, &[7; 64]), FRAMES.try_recv()));
        }
    });
    compare("two threads, u64", &registry, || {
        const COUNT: u64 = 2_000_000;
        thread::scope(|scope| {
            scope.spawn(|| {
                for number in 0..COUNT {
                    while NUMBERS.try_send(number).is_err() {
                        thread::yield_now();
                    }
                }
            });
            for _ in 0..COUNT {
                while NUMBERS.try_recv().is_err() {
                    thread::yield_now();
                }
            }
        });
    });
}
