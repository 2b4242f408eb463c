//! An interrupt storm: three interrupts that nest, and tasks below them, send through two channels; tasks
//! on the kernel receive. Every message arrives once, and each sender's in order.
#![no_std]
#![no_main]

use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use cloakroom::Arena;
use cloakroom::channel::{Buffered, Bytes, Channel};
use cloakroom::kernel::Kernel;
use cloakroom::sync::CriticalSectionRawMutex as Lock;
use cortex_m::peripheral::scb::SystemHandler;
use cortex_m::peripheral::syst::SystClkSource;
use cortex_m::peripheral::{NVIC, SYST};
use cortex_m_rt::{entry, exception};
use harness::println;
use harness::semihosting::exit;
use lm3s6965evb::{Interrupt, interrupt};

/// What each sender sends, through one of the channels.
const MESSAGES: u32 = 20_000;
const SENDERS: usize = 6;

static ARENA: Arena<Lock, 32, 64, 24> = Arena::new();
static KERNEL: Kernel<Lock> = Kernel::new();
static NUMBERS: Channel<Lock, u32, Buffered<4>> = Channel::new();
static FRAMES: Bytes<'static, Lock, Buffered<4>> = Bytes::new();

/// What each sender sends next. Only its own context writes it.
static NEXT: [AtomicU32; SENDERS] = [const { AtomicU32::new(0) }; SENDERS];
/// What is expected of each sender next. Only the receiving task writes it.
static EXPECTED: [AtomicU32; SENDERS] = [const { AtomicU32::new(0) }; SENDERS];
static OUT_OF_ORDER: AtomicU32 = AtomicU32::new(0);
static REFUSED: AtomicU32 = AtomicU32::new(0);
static NESTED: AtomicU32 = AtomicU32::new(0);
static DEPTH: AtomicU32 = AtomicU32::new(0);

fn add(counter: &AtomicU32, count: u32) {
    critical_section::with(|_| counter.store(counter.load(Relaxed).wrapping_add(count), Relaxed));
}

/// A number that tells its sender.
fn number(sender: usize, count: u32) -> u32 {
    (sender as u32) << 24 | count
}

/// Sends the sender's next number, unless the channel is full; then it is the next one still.
fn send_number(sender: usize) {
    let count = NEXT[sender].load(Relaxed);
    if count < MESSAGES {
        match NUMBERS.try_send(number(sender, count)) {
            Ok(()) => NEXT[sender].store(count + 1, Relaxed),
            Err(_) => add(&REFUSED, 1),
        }
    }
}

/// The same, as a message whose bytes all follow from the number.
fn send_frame(sender: usize) {
    let count = NEXT[sender].load(Relaxed);
    if count < MESSAGES {
        let number = number(sender, count);
        let mut bytes = [count as u8; 70];
        bytes[..4].copy_from_slice(&number.to_le_bytes());
        let len = 4 + (count % 67) as usize;
        match FRAMES.try_send_bytes(ARENA.handle(), &bytes[..len]) {
            Ok(()) => NEXT[sender].store(count + 1, Relaxed),
            Err(_) => add(&REFUSED, 1),
        }
    }
}

/// Checks that a number is its sender's next.
fn receive(number: u32) {
    let (sender, count) = ((number >> 24) as usize, number & 0xff_ffff);
    match EXPECTED.get(sender) {
        Some(expected) if expected.load(Relaxed) == count => expected.store(count + 1, Relaxed),
        _ => add(&OUT_OF_ORDER, 1),
    }
}

async fn receive_numbers() {
    while let Ok(number) = NUMBERS.recv().await {
        receive(number);
    }
}

async fn receive_frames() {
    while let Ok(frame) = FRAMES.recv().await {
        let Some((head, rest)) = frame.split_first_chunk::<4>() else {
            add(&OUT_OF_ORDER, 1);
            continue;
        };
        let number = u32::from_le_bytes(*head);
        let count = number & 0xff_ffff;
        if rest.len() as u32 == count % 67 && rest.iter().all(|&byte| byte == count as u8) {
            receive(number);
        } else {
            add(&OUT_OF_ORDER, 1);
        }
    }
}

/// A task among the senders: it waits for room instead of coming again.
async fn send_all() {
    for count in 0..MESSAGES {
        NEXT[5].store(count + 1, Relaxed);
        if NUMBERS.send(number(5, count)).await.is_err() {
            add(&OUT_OF_ORDER, 1);
        }
    }
}

/// The body of an interrupt handler.
fn nested(body: impl FnOnce()) {
    add(&DEPTH, 1);
    if DEPTH.load(Relaxed) > 1 {
        add(&NESTED, 1);
    }
    body();
    add(&DEPTH, u32::MAX);
}

#[exception]
fn SysTick() {
    nested(|| {
        // Numbers without a pattern (Marsaglia's xorshift), so that interrupts come anywhere.
        static SEED: AtomicU32 = AtomicU32::new(0x2545_f491);
        let mut seed = SEED.load(Relaxed);
        seed ^= seed << 13;
        seed ^= seed >> 17;
        seed ^= seed << 5;
        SEED.store(seed, Relaxed);
        set_reload(800 + seed % 2_500);
        send_number(0);
        if seed & (1 << 20) == 0 {
            NVIC::pend(Interrupt::UART0);
        }
        send_frame(1);
        if seed & (3 << 21) == 0 {
            NVIC::pend(Interrupt::UART1);
        }
    });
}

#[interrupt]
fn UART0() {
    nested(|| {
        send_frame(2);
        NVIC::pend(Interrupt::UART1);
        send_number(3);
    });
}

#[interrupt]
fn UART1() {
    nested(|| send_number(4));
}

fn set_reload(ticks: u32) {
    const RELOAD: *mut u32 = 0xE000_E014 as *mut u32;
    // SAFETY: the address is SysTick's reload register on every Cortex-M; writing it sets the next period.
    unsafe { RELOAD.write_volatile(ticks) };
}

#[entry]
fn main() -> ! {
    let core = cortex_m::Peripherals::take().expect("nothing took the peripherals before");
    let (mut nvic, mut scb, mut syst) = (core.NVIC, core.SCB, core.SYST);
    let arena = ARENA.handle();
    for spawned in [
        KERNEL.spawn(arena, receive_numbers()).is_ok(),
        KERNEL.spawn(arena, receive_frames()).is_ok(),
        KERNEL.spawn(arena, send_all()).is_ok(),
    ] {
        assert!(spawned, "the arena is large enough for the tasks");
    }

    // SAFETY: priorities only decide who interrupts whom; critical sections mask all of them.
    unsafe {
        scb.set_priority(SystemHandler::SysTick, 0xC0);
        nvic.set_priority(Interrupt::UART0, 0x80);
        nvic.set_priority(Interrupt::UART1, 0x40);
        NVIC::unmask(Interrupt::UART0);
        NVIC::unmask(Interrupt::UART1);
    }
    start(&mut syst);

    let mut tick = 0;
    while NEXT.iter().any(|next| next.load(Relaxed) < MESSAGES) || !FRAMES.is_empty() {
        tick += 1;
        KERNEL.poll(tick);
        arena.compact(1);
    }
    syst.disable_counter();
    while !KERNEL.is_idle() {
        KERNEL.poll(tick);
    }
    finish()
}

fn start(syst: &mut SYST) {
    syst.set_clock_source(SystClkSource::Core);
    syst.set_reload(5_000);
    syst.clear_current();
    syst.enable_interrupt();
    syst.enable_counter();
}

/// Says how it went.
fn finish() -> ! {
    let (mut passed, mut failed) = (0, 0);
    let mut check = |what: &str, holds: bool| {
        if holds {
            passed += 1;
        } else {
            failed += 1;
            println!("FAILED: {what}");
        }
    };
    for (sender, expected) in EXPECTED.iter().enumerate() {
        let count = expected.load(Relaxed);
        println!("sender {sender}: {count} messages, in order");
        check("every message has arrived", count == MESSAGES);
    }
    check("none was doubled, damaged or out of order", OUT_OF_ORDER.load(Relaxed) == 0);
    check("interrupts nested", NESTED.load(Relaxed) > 1_000);
    check("channels were full at times", REFUSED.load(Relaxed) > 1_000);
    for (name, snapshot) in [("numbers", NUMBERS.snapshot()), ("frames", FRAMES.snapshot())] {
        println!("{name}: {snapshot:?}");
        check("the counters reconcile", snapshot.sent == snapshot.received && snapshot.depth == 0);
    }
    let arena = ARENA.snapshot();
    println!("nested {} times; refused {}", NESTED.load(Relaxed), REFUSED.load(Relaxed));
    check("the tasks alone are left in the arena", arena.live == 2);
    check("the arena's books balance", ARENA.handle().verify().is_clean());
    println!("{passed} passed, {failed} failed");
    exit(passed > 0 && failed == 0)
}
