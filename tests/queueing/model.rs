//! Against lists of all times.

use std::collections::VecDeque;

use cloakroom::Arena;
use cloakroom::channel::{Buffered, Bytes, Histogram};
use cloakroom::sync::CriticalSectionRawMutex as Lock;

use crate::random::Random;
use crate::{histogram_of, queueing};

const PARTS: [f64; 12] =
    [0.0, 1e-9, 0.01, 0.07, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999, 1.0 - 1e-9, 1.0];

/// The least of these times that so large a part of them does not exceed.
fn exact(sorted: &[u32], part: f64) -> u32 {
    let rank = (part * sorted.len() as f64).ceil() as usize;
    sorted[rank.clamp(1, sorted.len()) - 1]
}

#[track_caller]
fn check_quantiles(histogram: &Histogram, times: &[u32]) {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let check = |estimate: Option<u32>, exact: u32| {
        let estimate = estimate.expect("there are messages");
        assert!(estimate >= exact, "{exact} is more than {estimate}");
        // Less than twice as much, where there is a bound.
        let near = exact > 4_194_303 || u64::from(estimate) < 2 * u64::from(exact);
        assert!(near || (exact, estimate) == (0, 0), "{estimate} is far from {exact}");
    };
    for part in PARTS {
        check(histogram.quantile(part), exact(&sorted, part));
    }
    check(histogram.longest(), *sorted.last().expect("there are some"));
    assert_eq!(histogram.quantile(1.0), histogram.longest());
    // Beyond the range, and no number at all.
    assert_eq!(histogram.quantile(7.0), histogram.quantile(1.0));
    assert_eq!(histogram.quantile(f64::INFINITY), histogram.quantile(1.0));
    for part in [-1.0, f64::NEG_INFINITY, f64::NAN] {
        assert_eq!(histogram.quantile(part), histogram.quantile(0.0));
    }
}

/// A number whose length in bits is anything, as likely as any other.
fn of_any_length(random: &mut Random, bits: u64) -> u32 {
    let length = random.below(bits + 1);
    (random.below(1 << 32) as u32) & ((1_u64 << length) - 1) as u32
}

#[test]
fn quantiles_are_bounds_of_the_true_ones() {
    let mut random = Random(11);
    for count in [1, 2, 3, 10, 99, 100, 101, 1_000] {
        for bits in [0, 1, 3, 10, 22, 32] {
            let times: Vec<u32> = (0..count).map(|_| of_any_length(&mut random, bits)).collect();
            check_quantiles(&histogram_of(&times), &times);
        }
    }
}

#[test]
fn of_nothing_there_is_no_quantile() {
    let none = Histogram::default();
    assert_eq!((none.count(), none.quantile(0.5), none.longest()), (0, None, None));
}

#[test]
fn random_traffic_is_counted_as_it_was() {
    let hall: Arena<Lock, 64, 16, 64> = Arena::new();
    let hall = hall.handle();
    let ring: Bytes<'_, Lock, Buffered<8>> = Bytes::new();
    let mut random = Random(5);
    let (mut now, mut waiting, mut times) = (u32::MAX - 1_000, VecDeque::new(), Vec::new());
    hall.set_now(now);
    for _ in 0..20_000 {
        match random.below(3) {
            0 => {
                now = now.wrapping_add(of_any_length(&mut random, 24));
                hall.set_now(now);
            }
            1 => {
                let sent = ring.try_send_bytes(hall, b"frame").is_ok();
                assert_eq!(sent, waiting.len() < 8);
                waiting.extend(sent.then_some(now));
            }
            _ => {
                let received = ring.try_recv().is_ok();
                let sent = waiting.pop_front();
                assert_eq!(received, sent.is_some());
                times.extend(sent.map(|sent: u32| now.wrapping_sub(sent)));
            }
        }
    }
    assert!(times.len() > 4_000);
    let queueing = queueing(&ring.snapshot());
    assert_eq!(queueing, histogram_of(&times));
    check_quantiles(&queueing, &times);
}
