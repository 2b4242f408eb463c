//! Whether everything that was sent has arrived, once: nobody is fast by losing messages.

use std::iter::Sum;
use std::ops::Range;

/// What has arrived.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Tally {
    count: u64,
    sum: u64,
}

impl Tally {
    /// Adds a message.
    pub fn add(&mut self, number: u64) {
        self.count += 1;
        self.sum = self.sum.wrapping_add(number);
    }

    /// # Panics
    /// Unless it is what comes of sending each of the first `messages` numbers to `receivers`.
    pub fn check(self, messages: u64, receivers: u64) {
        let sum = (u128::from(messages) * u128::from(messages.saturating_sub(1)) / 2) as u64;
        let expected = Self { count: messages * receivers, sum: sum.wrapping_mul(receivers) };
        assert_eq!(self, expected, "messages were lost, doubled or damaged");
    }
}

impl Sum for Tally {
    fn sum<I: Iterator<Item = Self>>(tallies: I) -> Self {
        tallies.fold(Self::default(), |all, one| Self {
            count: all.count + one.count,
            sum: all.sum.wrapping_add(one.sum),
        })
    }
}

/// The numbers that sender `which` of `senders` sends.
pub fn share(messages: u64, senders: usize, which: usize) -> Range<u64> {
    let (senders, which) = (senders as u64, which as u64);
    messages * which / senders..messages * (which + 1) / senders
}
