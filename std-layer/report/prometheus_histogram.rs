//! Text for Prometheus, of histograms: one family of cumulative buckets, their sum and their count.

use std::fmt::Write;
use std::string::String;

use super::collected::Report;
use super::prometheus::label;
use crate::channel::Histogram;
use crate::report::Record;

const NAME: &str = "cloakroom_channel_queueing_ticks";
const HELP: &str =
    "How long messages were queued before they were delivered, in ticks of their arena.";

/// The family, if any channel has a histogram.
pub(super) fn write(report: &Report, text: &mut String) {
    let mut samples = String::new();
    for record in &report.records {
        let Record::Queueing(queueing) = record else { continue };
        let source = label("source", &report.begin.source);
        let labels = std::format!("{source},{}", label("channel", &queueing.channel));
        write_samples(&queueing.histogram, &labels, &mut samples);
    }
    if !samples.is_empty() {
        // Infallible, as all writing to a string.
        let _ = write!(text, "# HELP {NAME} {HELP}\n# TYPE {NAME} histogram\n{samples}");
    }
}

fn write_samples(histogram: &Histogram, labels: &str, samples: &mut String) {
    let mut cumulative = 0;
    for (bucket, &count) in histogram.buckets.iter().enumerate() {
        cumulative += u64::from(count);
        let _ = match Histogram::bound(bucket) {
            Some(bound) => {
                writeln!(samples, "{NAME}_bucket{{{labels},le=\"{bound}\"}} {cumulative}")
            }
            None => writeln!(samples, "{NAME}_bucket{{{labels},le=\"+Inf\"}} {cumulative}"),
        };
    }
    let _ = writeln!(samples, "{NAME}_sum{{{labels}}} {}", histogram.ticks);
    let _ = writeln!(samples, "{NAME}_count{{{labels}}} {cumulative}");
}
