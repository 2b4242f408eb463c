//! How long a channel's messages were queued, in words and as a small chart.

use cloakroom::channel::Histogram;

use crate::words::count;

/// Bars of eight heights.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// What a histogram says, a bar for each of its buckets, and below them where buckets begin.
pub fn lines(histogram: &Histogram) -> Vec<String> {
    let total = histogram.count();
    let messages = count(total, ["message", "messages"]);
    let (Some(half), Some(most), Some(longest)) =
        (histogram.quantile(0.5), histogram.quantile(0.99), histogram.longest())
    else {
        return vec!["queued: no message was delivered yet".into()];
    };
    let [half, most, longest] = [half, most, longest].map(bound);
    vec![
        format!(
            "queued, at most: p50 {half}, p99 {most}, max {longest} ticks; {messages} delivered"
        ),
        chart(histogram),
        scale(),
    ]
}

/// An upper bound, if there is one.
fn bound(ticks: u32) -> String {
    if ticks == u32::MAX { "beyond 4M".into() } else { ticks.to_string() }
}

/// A bar for each bucket, as high as its share of the fullest. What there is at all is seen.
fn chart(histogram: &Histogram) -> String {
    let fullest = u64::from(histogram.buckets.iter().copied().max().unwrap_or(0));
    let bar = |&messages: &u32| {
        let height = (u64::from(messages) * BARS.len() as u64).div_ceil(fullest.max(1));
        height.checked_sub(1).and_then(|height| BARS.get(height as usize)).copied()
    };
    histogram.buckets.iter().map(|messages| bar(messages).unwrap_or('·')).collect()
}

/// Where the buckets of no ticks, of 1,024 on and of 1,048,576 on are.
fn scale() -> String {
    let mut scale = String::new();
    for (ticks, word) in [(0, "0"), (1 << 10, "1k"), (1 << 20, "1M ticks")] {
        let holds = |bucket: &usize| Histogram::bound(*bucket).is_none_or(|most| ticks <= most);
        let place = (0..Histogram::BUCKETS).find(holds).unwrap_or(0);
        scale = format!("{scale:place$}{word}");
    }
    scale
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_is_said_and_drawn() {
        let mut histogram = Histogram::default();
        assert_eq!(lines(&histogram), ["queued: no message was delivered yet"]);
        (histogram.buckets[0], histogram.buckets[3], histogram.buckets[11]) = (400, 800, 1);
        assert_eq!(
            lines(&histogram),
            [
                "queued, at most: p50 7, p99 7, max 2047 ticks; 1201 messages delivered",
                "▄··█·······▁············",
                "0          1k        1M ticks",
            ]
        );
        histogram.buckets = [u32::MAX; Histogram::BUCKETS];
        let lines = lines(&histogram);
        assert!(lines[0].contains("p50 2047, p99 beyond 4M, max beyond 4M ticks"), "{}", lines[0]);
        assert_eq!(lines[1], "█".repeat(Histogram::BUCKETS));
    }
}
