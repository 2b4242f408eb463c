//! How fast things go: two reports, compared.

use cloakroom::report::{ChannelRecord, KernelRecord};

use crate::picture::Picture;

/// What a channel did in a second.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct ChannelRates {
    /// Values sent.
    pub sent: f64,
    /// Receives that got a value.
    pub received: f64,
    /// Bytes of messages sent.
    pub bytes_sent: f64,
    /// Bytes of messages received.
    pub bytes_received: f64,
}

/// What a kernel did in a second.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct KernelRates {
    /// Polls of tasks.
    pub polls: f64,
    /// Wake-ups.
    pub wakes: f64,
    /// The share of the time in which it slept, in percent.
    pub idle: f64,
}

/// Counters wrap, so the difference does, too.
fn counted(before: u32, now: u32, seconds: f64) -> f64 {
    f64::from(now.wrapping_sub(before)) / seconds
}

/// Bytes are counted in 32 bits on small devices, and in 64 elsewhere.
fn counted_bytes(before: u64, now: u64, seconds: f64) -> f64 {
    let bytes = match now.checked_sub(before) {
        Some(bytes) => bytes,
        None => u64::from((now as u32).wrapping_sub(before as u32)),
    };
    bytes as f64 / seconds
}

impl ChannelRates {
    /// Of a channel in `now`, if it was in `before`, too.
    pub fn between(before: &Picture, now: &Picture, channel: &ChannelRecord) -> Option<Self> {
        let seconds = now.seconds_since(before)?;
        let then = before.channel(&channel.name)?;
        let now = &channel.snapshot;
        Some(Self {
            sent: counted(then.sent, now.sent, seconds),
            received: counted(then.delivered, now.delivered, seconds),
            bytes_sent: counted_bytes(then.bytes_sent, now.bytes_sent, seconds),
            bytes_received: counted_bytes(then.bytes_received, now.bytes_received, seconds),
        })
    }

    /// Whether anything moves.
    pub fn moves(&self) -> bool {
        self.sent > 0.0 || self.received > 0.0
    }
}

impl KernelRates {
    /// Of a kernel in `now`, if it was in `before`, too.
    pub fn between(before: &Picture, now: &Picture, kernel: &KernelRecord) -> Option<Self> {
        let seconds = now.seconds_since(before)?;
        let then = before.kernels().find(|then| then.name == kernel.name)?.snapshot;
        let ticks = now.begin.ticks.saturating_sub(before.begin.ticks);
        let now = &kernel.snapshot;
        Some(Self {
            polls: counted(then.polls, now.polls, seconds),
            wakes: counted(then.wakes, now.wakes, seconds),
            idle: f64::from(now.idle_share(&then, ticks)) / 10.0,
        })
    }
}

#[cfg(test)]
mod tests {
    use cloakroom::report::Record;

    use super::*;
    use crate::samples::{channel, everything, kernel, picture};

    #[test]
    fn rates_are_differences_over_the_time_between() {
        let (before, now) = (everything(1), everything(3));
        let beats = now.channels().next().expect("beats");
        let rates = ChannelRates::between(&before, &now, beats).expect("two reports");
        assert_eq!((rates.sent, rates.received), (500.0, 500.0));
        assert!(rates.moves());
        let main = now.kernels().next().expect("main");
        let rates = KernelRates::between(&before, &now, main).expect("two reports");
        assert_eq!((rates.polls, rates.wakes), (100.0, 0.0));
    }

    #[test]
    fn counters_that_wrapped_went_on() {
        let at = |sent, bytes_sent| {
            let mut channel = channel("a");
            (channel.snapshot.sent, channel.snapshot.bytes_sent) = (sent, bytes_sent);
            channel
        };
        let before = picture(1, vec![Record::Channel(at(u32::MAX - 1, u64::from(u32::MAX)))]);
        let after = at(8, 99);
        let now = picture(2, vec![Record::Channel(after)]);
        let rates = ChannelRates::between(&before, &now, &after).expect("two reports");
        assert_eq!((rates.sent, rates.bytes_sent), (10.0, 100.0));
    }

    #[test]
    fn what_was_not_there_before_has_no_rates() {
        let now = everything(2);
        let new = channel("new");
        assert_eq!(ChannelRates::between(&everything(1), &now, &new), None);
        assert_eq!(KernelRates::between(&everything(1), &now, &kernel("new")), None);
        let beats = now.channels().next().expect("beats");
        assert_eq!(ChannelRates::between(&now, &now, beats), None, "no time has passed");
    }

    #[test]
    fn a_kernel_that_slept_half_the_time() {
        let mut slept = kernel("main");
        let before = picture(1, vec![Record::Kernel(slept)]);
        slept.snapshot.idle_ticks += 500;
        let now = picture(2, vec![Record::Kernel(slept)]);
        assert_eq!(KernelRates::between(&before, &now, &slept).map(|rates| rates.idle), Some(50.0));
    }
}
