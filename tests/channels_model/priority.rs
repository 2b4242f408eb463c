//! What a priority channel promises about its order, checked as the documentation states it and not through
//! the model's deadlines.

use cloakroom::channel::{Channel, Permit, Priority};

use crate::Lock;
use crate::random::Random;

/// A value: when it was sent, as a number, and its priority.
type Sent = (u64, u8);

/// Sends and receives at random, and looks at each pair of which the later one might have been first.
fn order<const N: usize, const AGEING: u32>(seed: u64) {
    let channel: Channel<Lock, Sent, Priority<N, AGEING>> = Channel::new();
    let mut random = Random(seed);
    // Pairs of near and of far priorities, or all.
    let level = [1, 3, 40][random.index(3)];
    let mut clock = 0;
    let mut waiting: Vec<Sent> = Vec::new();
    // By how many it was overtaken.
    let mut overtakers: Vec<(Sent, u64)> = Vec::new();
    let mut permits: Vec<Permit<'_, Lock, Sent, Priority<N, AGEING>>> = Vec::new();
    // Sometimes mostly full, sometimes mostly empty.
    let fill = 40 + random.below(40);
    for step in 0..1_500 {
        let priority = (random.below(256 / level) * level) as u8;
        if random.below(100) < fill {
            // What counts is when it is sent, not when its slot was held.
            let permit = if random.one_in(4) { permits.pop() } else { channel.try_reserve().ok() };
            let Some(permit) = permit else { continue };
            if permits.len() < N / 2 && random.one_in(8) {
                permits.push(permit);
                continue;
            }
            clock += 1;
            permit.send_with_priority((clock, priority), priority);
            waiting.push((clock, priority));
        } else if let Ok(first) = channel.try_recv() {
            waiting.retain(|&value| value != first);
            let (at, q) = first;
            for &(earlier, p) in &waiting {
                let context = || {
                    format!(
                        "seed {seed}, step {step}: {first:?} came before {:?}, ageing {AGEING}",
                        (earlier, p)
                    )
                };
                let head_start = u64::from(q.saturating_sub(p)) * u64::from(AGEING);
                let in_between = at.abs_diff(earlier) - 1;
                if earlier < at {
                    // Among equals, and against the less urgent, nobody overtakes.
                    assert!(q > p && in_between < head_start, "{}", context());
                    let place = overtakers.iter_mut().find(|(value, _)| value.0 == earlier);
                    let count = match place {
                        Some((_, count)) => count,
                        None => {
                            overtakers.push(((earlier, p), 0));
                            &mut overtakers.last_mut().expect("just pushed").1
                        }
                    };
                    *count += 1;
                } else {
                    // The other one would have had to come first.
                    let head_start = u64::from(p.saturating_sub(q)) * u64::from(AGEING);
                    assert!(in_between >= head_start, "{}", context());
                }
            }
        }
    }
    for ((at, priority), count) in overtakers {
        let bound = u64::from(u8::MAX - priority) * u64::from(AGEING);
        assert!(count <= bound, "seed {seed}: value {at} of {priority} overtaken {count} times");
    }
}

#[test]
fn order_is_as_promised() {
    for seed in 0..60 {
        order::<1, 16>(seed);
        order::<8, 0>(seed);
        order::<8, 1>(seed);
        order::<31, 2>(seed);
        order::<32, 16>(seed);
        order::<100, { 1 << 21 }>(seed);
    }
}

/// A value of `priority` waits while others of `urgency` come as fast as they are received; by how many it is
/// overtaken.
fn overtaken<const AGEING: u32>(priority: u8, urgency: u8) -> u64 {
    let channel: Channel<Lock, bool, Priority<5, AGEING>> = Channel::new();
    channel.try_send_with_priority(true, priority).expect("room");
    for overtakers in 0.. {
        while channel.try_send_with_priority(false, urgency).is_ok() {}
        if channel.try_recv().expect("a value") {
            return overtakers;
        }
    }
    unreachable!()
}

/// Nothing starves, and the bound is met exactly: a head start is as long as it is said to be.
#[test]
fn a_flood_overtakes_as_often_as_promised() {
    for (priority, urgency) in [(0, 255), (254, 255), (255, 255), (7, 9), (9, 7), (100, 101)] {
        let steps = u64::from(u8::saturating_sub(urgency, priority));
        assert_eq!(overtaken::<0>(priority, urgency), 0);
        assert_eq!(overtaken::<1>(priority, urgency), steps);
        assert_eq!(overtaken::<16>(priority, urgency), 16 * steps);
        assert_eq!(overtaken::<1_000>(priority, urgency), 1_000 * steps);
    }
}
