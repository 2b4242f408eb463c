//! What distance the two sides of a ring of messages keep from each other.
//!
//! One that stays close behind the other asks for the other's count for each value, and each time takes a line away from it that it
//! needs for each value, too. The two are then as slow as each other, at two to three times what a value takes, and stay so: nothing is ever
//! full, or empty. So who has closed up gives the other side time to get ahead.

use crate::std_layer::park::waits_among_many;
use crate::std_layer::processors;

/// A sender has closed up with the receivers when no more than one slot in so many is free. Short rings are left alone.
const CLOSE: usize = 8;
/// A receiver has closed up with its sender when there are values for less than one slot in so many. Where threads are more than
/// processors, one to four takes 365 ns with 2, 375 with 4, 385 with 8, 405 with 16, and 440 without any of this.
const CLOSE_BEHIND: usize = 4;
/// How long who has closed up gives the other side time, in processor pauses: after each, it looks.
const FALL_BACK: [u32; 4] = [32, 64, 128, 256];
/// How many of these a sender takes where threads are more than processors: those it waits for may wait for this one, or those of
/// other channels may. With all of them one thread sends 1 KiB to four in 305 ns instead of 222; with none, four send to one
/// in 55 to 60 instead of 53.
const BRIEFLY: usize = 1;

/// Whether a sender has closed up.
#[inline]
pub(super) fn has_little_room(room: usize, bound: usize) -> bool {
    room < bound / CLOSE
}

/// Whether a receiver has.
#[inline]
pub(super) fn has_few_values(values: usize, bound: usize) -> bool {
    values < bound / CLOSE_BEHIND
}

/// Gives receivers time to make room.
pub(super) fn fall_back(room: impl Fn() -> usize, bound: usize) {
    let times = if processors::are_one() {
        0
    } else if waits_among_many() {
        BRIEFLY
    } else {
        FALL_BACK.len()
    };
    give_time(times, room, bound / 2);
}

/// Gives a sender time for more values.
pub(super) fn stay_behind(values: impl Fn() -> usize, bound: usize) {
    if waits_among_many() || processors::are_one() {
        // Perhaps the sender, or another one's receiver, waits for this processor, and there is more to do when it is this
        // thread's turn again.
        return std::thread::yield_now();
    }
    give_time(FALL_BACK.len(), values, bound / 2);
}

/// Pauses, so many times, or until the other side is `enough` ahead, or does not get on at all.
fn give_time(times: usize, ahead: impl Fn() -> usize, enough: usize) {
    let mut before = 0;
    for pauses in FALL_BACK.into_iter().take(times) {
        (0..pauses).for_each(|_| core::hint::spin_loop());
        let now = ahead();
        if now >= enough || now == before {
            return;
        }
        before = now;
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// How often it looks, if it sees this.
    fn looks(seen: &[usize]) -> usize {
        let looks = Cell::new(0);
        let ahead = || seen[looks.replace(looks.get() + 1)];
        give_time(FALL_BACK.len(), ahead, 64);
        looks.get()
    }

    #[test]
    fn time_is_given_until_there_is_enough() {
        assert_eq!(looks(&[10, 63, 64]), 3);
        assert_eq!(looks(&[100]), 1);
    }

    #[test]
    fn time_is_not_given_to_who_does_not_get_on() {
        assert_eq!(looks(&[0]), 1);
        assert_eq!(looks(&[10, 20, 20]), 3);
    }

    #[test]
    fn time_is_not_given_for_ever() {
        assert_eq!(looks(&[1, 2, 3, 4]), FALL_BACK.len());
    }

    #[test]
    fn short_rings_are_left_alone() {
        assert!((1..CLOSE).all(|bound| !has_little_room(0, bound)));
        assert!((1..2 * CLOSE_BEHIND).all(|bound| !has_few_values(1, bound)));
        assert!(has_little_room(15, 128) && !has_little_room(16, 128));
        assert!(has_few_values(31, 128) && !has_few_values(32, 128));
    }
}
