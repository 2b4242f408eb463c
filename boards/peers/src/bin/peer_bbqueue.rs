//! bbqueue: a ring of bytes for one producer and one consumer, as a stream and with frames.
#![no_std]
#![no_main]

use core::hint::black_box;

use bbqueue::nicknames;
use bench::Bench;
use bench::payload::{fill_words, sum_words};
use cortex_m_rt::entry;

/// By atomics where there is compare-and-swap, by critical sections elsewhere.
#[cfg(target_has_atomic = "ptr")]
type Ring = nicknames::Churrasco<1024>;
#[cfg(not(target_has_atomic = "ptr"))]
type Ring = nicknames::Jerk<1024>;

static FRAMED: Ring = Ring::new();
static STREAM: Ring = Ring::new();

const MESSAGE: &str = "64-byte message: alloc, fill, send, receive, read, release";
const MASKED: &str = "64-byte message: send and receive";

#[entry]
fn main() -> ! {
    let mut bench = Bench::start("bbqueue framed");
    let (producer, consumer) = (FRAMED.framed_producer(), FRAMED.framed_consumer());
    let mut message = || {
        if let Ok(mut grant) = producer.grant(64) {
            fill_words(&mut grant, 0x5a5a_5a5a);
            grant.commit(64);
        }
        if let Ok(grant) = consumer.read() {
            black_box(sum_words(&grant));
            grant.release();
        }
    };
    bench.operation(MESSAGE, &mut message);
    bench.masked(MASKED, &mut message);

    bench.of("bbqueue stream");
    let (producer, consumer) = (STREAM.stream_producer(), STREAM.stream_consumer());
    let mut message = || {
        if let Ok(mut grant) = producer.grant_exact(64) {
            fill_words(&mut grant, 0x5a5a_5a5a);
            grant.commit(64);
        }
        if let Ok(grant) = consumer.read() {
            black_box(sum_words(&grant));
            grant.release(64);
        }
    };
    bench.operation(MESSAGE, &mut message);
    bench.masked(MASKED, &mut message);
    bench.finish()
}
