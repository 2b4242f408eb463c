//! Channels in which nothing happens: their memory, without both ends, and the time to open them.

use std::sync::mpsc;

use cloakroom::std_layer::channel as ours;

use crate::allocator;
use crate::figure::Figure;
use crate::meter::Meter;
use crate::workload::{OURS, Subject, Workload};

const CHANNELS: u64 = 1_000_000;

/// All of them.
pub fn all() -> Vec<Workload> {
    [0, 1, 16]
        .into_iter()
        .map(|capacity| {
            Workload::new(format!("idle/u64/{capacity}"), of(capacity))
                .decided_by(Figure::Bytes)
                .of(CHANNELS)
                .in_rounds(3)
                .allocating()
        })
        .collect()
}

/// Opens so many, and keeps both ends of each.
fn subject<E: 'static>(name: &str, open: impl Fn() -> E + 'static) -> Subject {
    Subject::new(name, move |channels| {
        let mut all = Vec::with_capacity(channels as usize);
        let bytes = allocator::live_bytes();
        let meter = Meter::start();
        all.extend((0..channels).map(|_| open()));
        let mut figures = meter.stop(channels);
        if allocator::is_counting() {
            let bytes = allocator::live_bytes() - bytes;
            figures.insert(Figure::Bytes, bytes as f64 / channels as f64);
        }
        figures
    })
}

fn of(capacity: usize) -> Vec<Subject> {
    let mut all = vec![
        if capacity == 0 {
            subject(OURS, ours::rendezvous::<u64>)
        } else {
            subject(OURS, move || ours::bounded::<u64>(capacity))
        },
        subject("crossbeam", move || crossbeam_channel::bounded::<u64>(capacity)),
        subject("kanal", move || kanal::bounded::<u64>(capacity)),
        subject("flume", move || flume::bounded::<u64>(capacity)),
        subject("loole", move || loole::bounded::<u64>(capacity)),
        subject("std", move || mpsc::sync_channel::<u64>(capacity)),
    ];
    if capacity > 0 {
        all.extend([
            subject("async-channel", move || async_channel::bounded::<u64>(capacity)),
            subject("crossfire", move || crossfire::mpmc::bounded_blocking::<u64>(capacity)),
            subject("tokio", move || tokio::sync::mpsc::channel::<u64>(capacity)),
            subject("tachyonix", move || tachyonix::channel::<u64>(capacity)),
        ]);
    }
    all
}
