//! After any history, what fits in the free pages can be had, and little is reserved for what lives.

use std::collections::VecDeque;

use cloakroom::sync::{NoopRawMutex, SpinRawMutex};
use cloakroom::{Arena, ArenaRef, Lease, Ticket};

const PAGE: usize = 64;
const PAGES: usize = 16_384;
/// Of 180,400 small payloads one in 200 lives to the end.
const LONG_LIVED: usize = 902;
const ONE_IN: usize = 200;

type Subject = Arena<SpinRawMutex, PAGES, PAGE, 4096>;

fn random(state: &mut u64) -> usize {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    (*state >> 8) as usize
}

/// Mixed traffic, small payloads and large ones, all at rest; returns the tickets that live long, with
/// the byte each is filled with, and now and then, if asked to, a lease that stays in hand.
fn traffic<'a>(
    arena: ArenaRef<'a, SpinRawMutex>,
    pin_one_in: usize,
) -> (Vec<(Ticket, u8)>, Vec<Lease<'a, SpinRawMutex>>) {
    let mut state = 0xc10a_4300_0000_0001;
    let (mut long, mut pinned) = (Vec::new(), Vec::new());
    let mut short: VecDeque<Ticket> = VecDeque::new();
    for step in 1..=LONG_LIVED * ONE_IN {
        let fill = step as u8;
        let small = || vec![fill; 33 + step % 61];
        let ticket = loop {
            // Old traffic goes when room is needed: the arena is nearly full all the time.
            match arena.try_alloc_from(&small()) {
                Ok(lease) if pin_one_in > 0 && step % pin_one_in == 0 => {
                    pinned.push(lease.clone());
                    break lease.deposit().expect("few");
                }
                Ok(lease) => break lease.deposit().expect("few"),
                Err(_) => {
                    let oldest = short.pop_front().expect("the short-lived ones fill the arena");
                    arena.discard(oldest).expect("live");
                }
            }
        };
        if step % ONE_IN == 0 {
            long.push((ticket, fill));
        } else {
            short.push_back(ticket);
        }
        if step % 16 == 0 {
            let len = 1000 + random(&mut state) % 10_000;
            if let Ok(lease) = arena.try_alloc(len) {
                short.push_back(lease.deposit());
            }
        }
        // Not in order: lives are of all lengths.
        while short.len() > 2000 {
            let at = random(&mut state) % 1000;
            arena.discard(short.remove(at).expect("at least a thousand")).expect("live");
        }
    }
    for ticket in short {
        arena.discard(ticket).expect("live");
    }
    (long, pinned)
}

#[test]
fn little_is_reserved_for_what_lives_long() {
    static ARENA: Subject = Subject::new();
    let arena = ARENA.handle();
    let (long, _) = traffic(arena, 0);
    assert_eq!(long.len(), LONG_LIVED);
    let reserved = || arena.dump().map(|row| row.first_page + row.pages).max().unwrap_or(0) * PAGE;
    let live: usize = arena.dump().map(|row| row.len).sum();
    let before = reserved();

    // In small steps, as housekeeping does it.
    while !arena.compact(16).finished {}

    let after = reserved();
    println!("{live} bytes live; reserved {before} before compaction, {after} after");
    assert!(before > 2 * live, "this history fragments nothing, so it proves nothing");
    assert!(after <= 2 * live, "{after} bytes are reserved for {live}");
    assert!(arena.verify().is_clean());

    // Everything that is free can be had at once, and nothing that lived was harmed.
    let free = arena.snapshot().free;
    let large = arena.try_alloc(free * PAGE).expect("the free pages are one run");
    for (ticket, fill) in long {
        assert!(arena.redeem(ticket).expect("live").iter().all(|&byte| byte == fill));
    }
    drop(large);
    assert_eq!(arena.snapshot().live, 0);
}

#[test]
fn what_is_in_hand_stays_in_place() {
    static ARENA: Subject = Subject::new();
    let arena = ARENA.handle();
    let (long, pinned) = traffic(arena, 9_020);
    let places: Vec<_> = pinned.iter().map(|lease| (lease.as_ptr(), lease.to_vec())).collect();
    while !arena.compact(16).finished {}
    assert!(arena.snapshot().moves > 0, "nothing was moved, so nothing was shown");
    for (lease, (place, bytes)) in pinned.iter().zip(&places) {
        assert_eq!((lease.as_ptr(), &lease[..]), (*place, &bytes[..]));
    }
    assert!(arena.verify().is_clean());
    // What was pinned is free to move when it is at rest again, and then compaction is complete.
    drop(pinned);
    assert!(arena.compact(usize::MAX).finished);
    assert!(arena.try_alloc(arena.snapshot().free * PAGE).is_ok());
    for (ticket, fill) in long {
        assert!(arena.redeem(ticket).expect("live").iter().all(|&byte| byte == fill));
    }
}

/// `finished` speaks of the whole arena, also when an earlier call stopped half way and something below
/// that point was freed, or put to rest, in between.
#[test]
fn a_pass_in_two_calls_misses_nothing() {
    for put_to_rest in [false, true] {
        let arena: Arena<NoopRawMutex, 16, 64, 16> = Arena::new();
        let arena = arena.handle();
        // From the top down; so `pages[15]` is the lowest.
        let mut pages: Vec<_> =
            (0..16).map(|_| Some(arena.try_alloc_from(&[1]).expect("room"))).collect();
        let mut tickets = Vec::new();
        // The gap that the first call works on lies high up.
        pages[4] = None;
        for page in &mut pages[..12] {
            let Some(lease) = page.take() else { continue };
            tickets.push(lease.deposit().expect("few"));
        }
        if put_to_rest {
            pages[15] = None;
        }
        assert!(!arena.compact(1).finished);
        let pin = pages[14].take();
        if put_to_rest {
            tickets.push(pin.expect("still there").deposit().expect("few"));
        } else {
            drop(pin);
        }
        drop(pages.drain(..));
        assert!(arena.compact(usize::MAX).finished);
        let free = arena.snapshot().free;
        assert!(arena.try_alloc(free * 64).is_ok(), "finished, but not one run");
    }
}
