//! Heart beats, found sample by sample.
//!
//! Every beat of the heart shows in an ECG as a *QRS complex*: a spike 60 to 120 ms wide, much steeper
//! than anything around it. The detector follows Pan and Tompkins, *A Real-Time QRS Detection
//! Algorithm* (IEEE Transactions on Biomedical Engineering, 1985), carried over from their 200 Hz to
//! our 360 Hz:
//!
//! ```text
//! sample ─► low-pass ─► high-pass ─► slope ─► square ─► 150 ms sum ─► peaks ─► beat or noise?
//!          └──── band, 5 to 11 Hz ──┘                   = energy
//! ```
//!
//! `Filters` turns samples into energy, `PeakFinder` turns energy into peaks, and `Judge` decides
//! which peaks are beats, by two levels that adapt to the patient, to the electrode and to
//! the noise of the moment.
//!
//! All of it is integer arithmetic: a Cortex-M3 has no floating-point unit. The filters are moving
//! sums, which need no multiplication, only the memory of a few past samples.

use crate::SAMPLE_RATE_HZ;

/// One detected heart beat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beat {
    /// The sample number of the R peak (the tip of the spike), counted from 0. It is where the
    /// *filtered* signal is farthest from zero: the very tip of a narrow complex, and somewhere within
    /// a wide or misshapen one.
    pub index: u32,
    /// Samples since the beat before (the RR interval); 0 for the first beat, which has none.
    pub rr: u32,
}

/// The beat detector: feed it every sample, in order.
///
/// A beat is reported about a third of a second after its R peak: the filters have to see the end
/// of the complex. A beat that was missed at first and found by searching back is reported later
/// still, but always before the beat that follows it.
///
/// Sample numbers are 32 bits wide, which is 138 days.
///
/// ```
/// use cloakroom_demo::BeatDetector;
///
/// let mut detector = BeatDetector::new();
/// // A flat line has no beats.
/// assert!((0..3600).all(|_| detector.push(1024).is_none()));
/// ```
#[derive(Clone, Debug)]
pub struct BeatDetector {
    filters: Filters,
    peaks: PeakFinder,
    judge: Judge,
    /// The number of the sample that comes next.
    now: u32,
}

impl BeatDetector {
    /// A detector that has seen nothing yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { filters: Filters::new(), peaks: PeakFinder::new(), judge: Judge::new(), now: 0 }
    }

    /// Takes the next sample and returns the beat that it completes, if any.
    ///
    /// Any value of `sample` is accepted. Levels start out for amplifiers with some 200 steps a
    /// millivolt and adapt to others, within a beat if the signal is stronger, within ten seconds if
    /// it is weaker.
    pub fn push(&mut self, sample: u16) -> Option<Beat> {
        if self.now == 0 {
            // As if the signal had been at this level for ever. Filters that started from zero
            // would see the electrode's offset as one giant beat.
            self.filters.settle(sample);
        }
        let now = self.now;
        self.now = now.wrapping_add(1);

        let filtered = self.filters.push(sample);
        match self.peaks.push(filtered, now) {
            Some(peak) => self.judge.weigh(peak),
            None => self.judge.search_back(now),
        }
    }
}

impl Default for BeatDetector {
    fn default() -> Self {
        Self::new()
    }
}

/// How many samples `ms` milliseconds are.
const fn samples_in(ms: u32) -> u32 {
    ms * SAMPLE_RATE_HZ / 1000
}

// ---------------------------------------------------------------------------------------------
// Filters
// ---------------------------------------------------------------------------------------------

/// A delay line: what goes in comes out `N` samples later.
#[derive(Clone, Debug)]
struct Delay<T, const N: usize> {
    past: [T; N],
    oldest: usize,
}

impl<T: Copy, const N: usize> Delay<T, N> {
    const fn new(initial: T) -> Self {
        Self { past: [initial; N], oldest: 0 }
    }

    /// Puts `value` in and takes out the one put in `N` calls ago.
    fn push(&mut self, value: T) -> T {
        // `oldest` is always within `past`; written this way, the compiler needs no panic to say so.
        let Some(slot) = self.past.get_mut(self.oldest) else {
            return value;
        };
        self.oldest = if self.oldest + 1 < N { self.oldest + 1 } else { 0 };
        core::mem::replace(slot, value)
    }
}

/// The sum of the last `N` values, at the price of one addition and one subtraction each.
#[derive(Clone, Debug)]
struct MovingSum<const N: usize> {
    window: Delay<u16, N>,
    sum: u32,
}

impl<const N: usize> MovingSum<N> {
    const fn new() -> Self {
        Self { window: Delay::new(0), sum: 0 }
    }

    fn push(&mut self, value: u16) -> u32 {
        let leaving = self.window.push(value);
        // Exact: `leaving` was added `N` values ago.
        self.sum = self.sum.wrapping_add(u32::from(value)).wrapping_sub(u32::from(leaving));
        self.sum
    }

    fn settle(&mut self, value: u16) -> u32 {
        *self = Self { window: Delay::new(value), sum: u32::from(value) * N as u32 };
        self.sum
    }
}

/// Two moving sums of this length make a low-pass with its cut-off near 11 Hz.
const LOW_PASS: usize = 11;
/// Half the stretch of signal whose mean the high-pass (cut-off near 5 Hz) takes away.
const HALF_HIGH_PASS: usize = 32;
/// The energy is summed over 150 ms, as long as the widest complex.
const ENERGY_WINDOW: usize = samples_in(150) as usize;
/// How late a peak is in the band, compared with the samples: half the length of each filter.
const BAND_DELAY: u32 = (LOW_PASS - 1 + HALF_HIGH_PASS) as u32;
/// Slopes count up to here. A healthy beat stays below; a torn-off electrode does not, and must not
/// lift the levels so far that the beats after it drown.
const STEEPEST: u32 = 255;

/// What the filters make of one sample.
#[derive(Clone, Copy, Debug)]
struct Filtered {
    /// How far the band-passed signal is from zero, upwards or downwards.
    swing: u32,
    /// How steep it is.
    slope: u32,
    /// The squared slopes of the last 150 ms.
    energy: u32,
}

/// The chain of filters from samples to energy.
#[derive(Clone, Debug)]
struct Filters {
    low_pass: (MovingSum<LOW_PASS>, MovingSum<LOW_PASS>),
    /// The centre of the high-pass's stretch …
    centre: Delay<u16, HALF_HIGH_PASS>,
    /// … and what leaves at its end.
    end: Delay<u16, HALF_HIGH_PASS>,
    baseline: u32,
    /// The band as it was 2, 6 and 8 samples ago.
    ago: (Delay<i32, 2>, Delay<i32, 4>, Delay<i32, 2>),
    energy: MovingSum<ENERGY_WINDOW>,
}

impl Filters {
    const fn new() -> Self {
        Self {
            low_pass: (MovingSum::new(), MovingSum::new()),
            centre: Delay::new(0),
            end: Delay::new(0),
            baseline: 0,
            ago: (Delay::new(0), Delay::new(0), Delay::new(0)),
            energy: MovingSum::new(),
        }
    }

    /// The state after an endless stretch of `level`.
    fn settle(&mut self, level: u16) {
        *self = Self::new();
        let first = self.low_pass.0.settle(level) >> 4;
        let smooth = (self.low_pass.1.settle(first as u16) >> 3) as u16;
        self.centre = Delay::new(smooth);
        self.end = Delay::new(smooth);
        self.baseline = u32::from(smooth) * (2 * HALF_HIGH_PASS as u32);
    }

    fn push(&mut self, sample: u16) -> Filtered {
        // Low-pass: two moving sums in a row. Together they amplify by 11 × 11 = 121; the shifts
        // divide by 128 (in two steps, each just enough for the result to fit 16 bits again).
        let first = self.low_pass.0.push(sample) >> 4;
        let smooth = (self.low_pass.1.push(first as u16) >> 3) as u16;

        // High-pass: the signal less its own mean over the 64 samples around it.
        let centre = self.centre.push(smooth);
        let leaving = self.end.push(centre);
        self.baseline =
            self.baseline.wrapping_add(u32::from(smooth)).wrapping_sub(u32::from(leaving));
        let mean = self.baseline / (2 * HALF_HIGH_PASS as u32);
        // A mean of 16-bit numbers fits 16 bits.
        let band = i32::from(centre) - i32::from(mean as u16);

        // Slope: the difference between the last 8 samples' younger and older part, the outer ones
        // counting twice. |slope| ≤ 6 × 65,535, far from the limits of 32 bits.
        let two_ago = self.ago.0.push(band);
        let six_ago = self.ago.1.push(two_ago);
        let eight_ago = self.ago.2.push(six_ago);
        let slope = (2 * band + two_ago - six_ago - 2 * eight_ago).unsigned_abs() / 4;
        let slope = slope.min(STEEPEST);

        Filtered {
            swing: band.unsigned_abs(),
            slope,
            // 255² fits 16 bits.
            energy: self.energy.push((slope * slope) as u16),
        }
    }
}

// ---------------------------------------------------------------------------------------------
// Peaks
// ---------------------------------------------------------------------------------------------

/// One hill of the energy.
#[derive(Clone, Copy, Debug)]
struct Peak {
    /// The energy at the top.
    height: u32,
    /// The steepest slope on the way up.
    slope: u32,
    /// The sample number of the largest swing on the way up: the R peak, if this is a beat.
    index: u32,
}

/// Finds the hills of the energy: a hill is over when the energy has halved.
#[derive(Clone, Debug)]
struct PeakFinder {
    /// The energy one sample ago.
    previous: u32,
    /// The highest point of this hill so far; `None` on the way down from the last one.
    top: Option<Peak>,
    /// The largest swing on this hill so far, and where it was.
    swing: u32,
    swing_at: u32,
    /// The steepest slope on this hill so far.
    slope: u32,
}

impl PeakFinder {
    const fn new() -> Self {
        Self { previous: 0, top: None, swing: 0, swing_at: 0, slope: 0 }
    }

    /// Takes the filters' next output, for sample number `now`, and returns the peak that it ends.
    fn push(&mut self, filtered: Filtered, now: u32) -> Option<Peak> {
        let Filtered { swing, slope, energy } = filtered;
        let falling = energy < self.previous;
        self.previous = energy;

        let Some(top) = self.top else {
            if !falling {
                self.swing = swing;
                self.swing_at = now;
                self.slope = slope;
                self.top = Some(self.climb(energy));
            }
            return None;
        };

        if swing > self.swing {
            self.swing = swing;
            self.swing_at = now;
        }
        self.slope = self.slope.max(slope);
        if energy > top.height {
            self.top = Some(self.climb(energy));
            None
        } else if energy < top.height / 2 {
            self.top = None;
            Some(top)
        } else {
            None
        }
    }

    /// This hill, if its top is here.
    fn climb(&self, energy: u32) -> Peak {
        Peak { height: energy, slope: self.slope, index: self.swing_at.saturating_sub(BAND_DELAY) }
    }
}

// ---------------------------------------------------------------------------------------------
// Decisions
// ---------------------------------------------------------------------------------------------

/// A heart cannot beat twice within 200 ms: the muscle has to recover first.
const REFRACTORY: u32 = samples_in(200);
/// A peak this close to a beat may be its T wave, the sign of that recovery.
const T_WAVE: u32 = samples_in(360);
/// Without a beat for this long, the signal must have become so weak that even searching back cannot
/// find it. A loose electrode, which is no reason to listen more closely, is usually noticed sooner.
const GIVE_UP: u32 = samples_in(8000);
/// The level beats are expected at before the first one is seen: deliberately low. A level that is
/// too low is corrected by the first beat, one that is too high would hide it.
const FIRST_LEVEL: u32 = 20_000;
/// The interval expected before the first one is seen: 75 beats a minute.
const FIRST_RR: u32 = samples_in(800);

/// Decides which peaks are beats.
///
/// Two running means, of the peaks that were beats (`signal`) and of those that were not (`noise`),
/// place the threshold between them. When no beat comes for 1.66 times the usual interval, one was
/// probably missed: the *search back* then accepts the highest peak since the last beat, if it
/// reaches half the threshold.
#[derive(Clone, Debug)]
struct Judge {
    signal: u32,
    noise: u32,
    /// The usual interval, in samples.
    mean_rr: u32,
    /// The last beat: where it was and how steep.
    last: Option<(u32, u32)>,
    /// The highest peak since then that was not taken for a beat.
    rejected: Option<Peak>,
}

impl Judge {
    const fn new() -> Self {
        Self { signal: FIRST_LEVEL, noise: 0, mean_rr: FIRST_RR, last: None, rejected: None }
    }

    fn threshold(&self) -> u32 {
        self.noise + self.signal.saturating_sub(self.noise) / 4
    }

    /// Is `peak` a beat?
    fn weigh(&mut self, peak: Peak) -> Option<Beat> {
        // Before the first beat, count from the beginning and compare with nothing.
        let (last, slope) = self.last.unwrap_or_default();
        let since = peak.index.saturating_sub(last);
        if self.last.is_some() && since < REFRACTORY {
            // The tail of the same beat: neither a beat nor a measure of the noise.
            return None;
        }
        if since < T_WAVE && peak.slope < slope / 2 {
            // Close by and far less steep: a T wave, which counts as noise.
            self.noise = towards(self.noise, peak.height, 8);
            return None;
        }
        if since > GIVE_UP {
            // Let the level follow what there is.
            self.signal = towards(self.signal, peak.height, 4);
        }
        if peak.height > self.threshold() {
            self.signal = towards(self.signal, peak.height, 8);
            return Some(self.accept(peak));
        }
        self.noise = towards(self.noise, peak.height, 8);
        if self.rejected.is_none_or(|best| best.height < peak.height) {
            self.rejected = Some(peak);
        }
        None
    }

    /// Has a beat been missed, and was it among the peaks rejected?
    fn search_back(&mut self, now: u32) -> Option<Beat> {
        let best = self.rejected?;
        let (last, _) = self.last?;
        let since = now.saturating_sub(BAND_DELAY).saturating_sub(last);
        if since < self.patience() || best.height <= self.threshold() / 2 {
            return None;
        }
        // Missed because the level was too high: come down faster than usual.
        self.signal = towards(self.signal, best.height, 4);
        Some(self.accept(best))
    }

    /// How long to wait for the next beat: 1.66 times the usual interval.
    fn patience(&self) -> u32 {
        self.mean_rr + self.mean_rr * 2 / 3
    }

    fn accept(&mut self, peak: Peak) -> Beat {
        let rr = match self.last {
            Some((last, _)) => peak.index.saturating_sub(last),
            None => 0,
        };
        if rr > 0 {
            // A pause, or a loose electrode, says little about the heart's usual interval.
            self.mean_rr = towards(self.mean_rr, rr.min(self.patience()), 8);
        }
        self.last = Some((peak.index, peak.slope));
        self.rejected = None;
        Beat { index: peak.index, rr }
    }
}

/// A running mean: `level`, moved by one `share`-th of the way towards `value`.
fn towards(level: u32, value: u32, share: u32) -> u32 {
    // Both are sums of 54 values of 16 bits at most, so nothing here can overflow.
    level - level / share + value / share
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A made-up ECG: a triangle 60 ms wide and 1 mV high every `rr` samples, the first at `rr`.
    fn triangles(rr: u32, height: u32) -> impl Iterator<Item = u16> {
        (0..SAMPLE_RATE_HZ * 30).map(move |n| {
            let from_tip = (n % rr).min(rr - n % rr);
            let up = if n < rr / 2 { 0 } else { 11u32.saturating_sub(from_tip) * height / 11 };
            1024 + up as u16
        })
    }

    #[test]
    fn regular_beats_are_found_where_they_are() {
        for rr in [150, 216, 360] {
            let mut detector = BeatDetector::new();
            let mut expected = rr;
            for beat in triangles(rr, 200).filter_map(|sample| detector.push(sample)) {
                assert!(beat.index.abs_diff(expected) <= 2, "{beat:?} at {rr}");
                assert_eq!(beat.rr == 0, expected == rr);
                expected += rr;
            }
            assert!(expected + rr >= SAMPLE_RATE_HZ * 30 - 200, "stopped at {expected}");
        }
    }

    #[test]
    fn a_weaker_signal_is_searched_for() {
        // Ten beats of 1 mV, then 25 weaker ones.
        for (height, at_least) in [(80, 35), (40, 23)] {
            let mut detector = BeatDetector::new();
            let loud = triangles(300, 200).take(3150);
            let faint = triangles(300, height).skip(3150);
            let samples = loud.chain(faint);
            let beats = samples.filter_map(|sample| detector.push(sample)).count();
            assert!((at_least..=35).contains(&beats), "{beats} of {height}");
        }
    }

    #[test]
    fn a_faint_signal_is_found_in_the_end() {
        // A tenth of a millivolt from the start: 36 beats in 30 seconds, none in the first 10 or so.
        let mut detector = BeatDetector::new();
        let beats = triangles(300, 20).filter_map(|sample| detector.push(sample)).count();
        assert!((20..=36).contains(&beats), "{beats}");
    }

    #[test]
    fn an_offset_is_not_a_beat() {
        for level in [0, 1, 1024, u16::MAX] {
            let mut detector = BeatDetector::new();
            assert!((0..5000).all(|_| detector.push(level).is_none()));
        }
    }

    #[test]
    fn it_is_small() {
        assert!(core::mem::size_of::<BeatDetector>() < 700);
    }

    proptest! {
        /// Whatever comes in, arithmetic stays within its types (tests check for overflow) and
        /// beats come out in order, never two within the refractory period.
        #[test]
        fn any_signal_is_survived(samples in proptest::collection::vec(
            prop_oneof![Just(0), Just(u16::MAX), any::<u16>(), 900u16..1200], 0..400,
        ), hold in 1usize..100) {
            let mut detector = BeatDetector::new();
            let mut last: Option<u32> = None;
            for sample in samples.iter().flat_map(|&sample| core::iter::repeat_n(sample, hold)) {
                if let Some(beat) = detector.push(sample) {
                    match last {
                        None => prop_assert_eq!(beat.rr, 0),
                        Some(last) => {
                            prop_assert!(beat.rr >= REFRACTORY);
                            prop_assert_eq!(beat.index, last + beat.rr);
                        }
                    }
                    last = Some(beat.index);
                }
            }
        }
    }
}
