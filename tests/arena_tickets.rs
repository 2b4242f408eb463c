//! Ten million wrong tickets, and what exactly keeps each kind out.
//!
//! A ticket is accepted only if its number *is* the number of a payload at rest: the descriptor is the
//! ticket's, its generation is the ticket's, and the check bits are a function of both and of the
//! epoch. So in all tests below "accepted" can only mean "hit the very number of a live ticket".

use std::collections::HashSet;

use cloakroom::sync::NoopRawMutex;
use cloakroom::{Arena, ArenaRef, RedeemError, Ticket};

const DESCRIPTORS: usize = 4096;
type Subject = Arena<NoopRawMutex, 16, 16, DESCRIPTORS>;

/// Tries of each of the four kinds; ten million together.
const TRIES: usize = 2_500_000;

fn random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

/// Every descriptor at rest (empty payloads take no pages), after a few generations each.
fn all_at_rest(arena: ArenaRef<'_, NoopRawMutex>) -> Vec<Ticket> {
    (0..DESCRIPTORS).map(|_| arena.try_alloc(0).expect("a free descriptor").deposit()).collect()
}

/// (a) Random numbers. One number of 2^64 is good for each payload at rest, so each try is accepted with
/// a probability of at rest ÷ 2^64: here 2^12 ÷ 2^64, or 6 in 10^10 for all tries together.
#[test]
fn random_numbers_are_refused() {
    let arena: Box<Subject> = Box::default();
    let arena = arena.handle();
    let _live = all_at_rest(arena);
    let mut state = 0x9e37_79b9_7f4a_7c15;
    let hits =
        (0..TRIES).filter(|_| arena.redeem(Ticket::from_bits(random(&mut state))).is_ok()).count();
    println!("{hits} of {TRIES} random numbers hit by chance");
    assert_eq!(hits, 0);
}

/// (b) A damaged wire. What one flipped bit can do is known exactly:
///
/// * in the check bits: they no longer fit;
/// * in the generation: the descriptor has one generation at a time, and it is another one;
/// * in the descriptor: the check bits have the index folded into them, so they no longer fit.
///
/// With several flipped bits, too, nothing but a live ticket's very number is ever accepted.
#[test]
fn damaged_tickets_are_refused() {
    let arena: Box<Subject> = Box::default();
    let arena = arena.handle();
    let mut state = 0x1234_5678_9abc_def1;
    let mut tries = 0;
    for epoch in [0, 1, 7, 0x1234_5678] {
        assert!(arena.set_epoch(epoch));
        let live = all_at_rest(arena);
        let numbers: HashSet<u64> = live.iter().map(|ticket| ticket.to_bits()).collect();
        for ticket in &live {
            for bit in 0..64 {
                let damaged = Ticket::from_bits(ticket.to_bits() ^ 1 << bit);
                assert!(
                    arena.redeem(damaged).is_err(),
                    "{ticket:?} with bit {bit} flipped, epoch {epoch}"
                );
                tries += 1;
            }
        }
        while tries % (TRIES / 4) != 0 {
            let ticket = live[random(&mut state) as usize % live.len()];
            let flips = 1 << (random(&mut state) % 64) | 1 << (random(&mut state) % 64);
            let damaged = Ticket::from_bits(ticket.to_bits() ^ flips);
            match arena.redeem(damaged) {
                Err(_) => {}
                Ok(lease) => {
                    assert!(numbers.contains(&damaged.to_bits()), "no ticket had this number");
                    assert_eq!(lease.deposit().expect("few"), damaged);
                }
            }
            tries += 1;
        }
        for ticket in live {
            arena.discard(ticket).expect("live");
        }
    }
    assert!(tries >= TRIES);
}

/// (c) True tickets of the past. Never: each return of a descriptor to the free list raises its
/// generation, which is compared in full.
#[test]
fn stale_tickets_are_refused() {
    let arena: Box<Subject> = Box::default();
    let arena = arena.handle();
    let mut past = Vec::new();
    let mut tries = 0;
    while tries < TRIES {
        let live = all_at_rest(arena);
        for &ticket in &past {
            assert_eq!(arena.redeem(ticket).err(), Some(RedeemError::Stale));
            tries += 1;
        }
        for &ticket in &live {
            drop(arena.redeem(ticket).expect("none of the stale ones took it away"));
        }
        past.extend(live);
    }
}

/// (d) True tickets of another epoch, while their descriptors are at rest again and in the generation
/// that the old number stands for now (old generation xor old epoch xor new epoch): the worst case, in
/// which the check bits alone decide.
///
/// Epochs that differ in their lowest ten bits only never share a number: the check is the upper 12 of
/// 32 bits of (x xor epoch) × 0x9e3779b1, and no difference of less than 1597 in the first factor leaves
/// them alike. Other pairs of epochs share about
/// one such number in 2^12, on the average over all pairs; for a single pair it may be more.
#[test]
fn tickets_of_another_epoch_are_refused() {
    let arena: Box<Subject> = Box::default();
    let arena = arena.handle();
    assert!((1..1597u32).all(|step| {
        let change = step.wrapping_mul(0x9e37_79b1);
        (1 << 20..=u32::MAX - (1 << 20)).contains(&change)
    }));
    let mut past: Vec<Ticket> = Vec::new();
    let mut tries = 0;
    for epoch in 0..1024 {
        assert!(arena.set_epoch(epoch), "nothing is live between the epochs");
        let live = all_at_rest(arena);
        for &ticket in &past {
            assert!(arena.redeem(ticket).is_err(), "epoch {epoch}");
            tries += 1;
        }
        for &ticket in &live {
            drop(arena.redeem(ticket).expect("none of the old ones took it away"));
        }
        if epoch % 64 == 0 {
            past.extend(&live);
        }
        if tries >= TRIES {
            return;
        }
    }
    panic!("{tries} tries only");
}
