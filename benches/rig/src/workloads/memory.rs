//! A payload's descriptor and pages: allocated, and given back.

use std::hint::black_box;

use crate::crew;
use crate::figure::{Figure, Figures};
use crate::ours::arena_for;
use crate::workload::{OURS, Subject, Workload};

const SIZE: usize = 64;

/// All of them.
pub fn all() -> Vec<Workload> {
    [1, 2]
        .into_iter()
        .map(|threads| {
            let arena = arena_for(SIZE);
            let subjects = vec![
                Subject::new(OURS, move |messages| {
                    on(threads, messages, move |_| drop(black_box(arena.try_alloc(SIZE))))
                }),
                Subject::new("Vec", move |messages| {
                    on(threads, messages, |_| drop(black_box(Vec::<u8>::with_capacity(SIZE))))
                }),
            ];
            let name = format!("memory/alloc-release/64B/{threads}");
            let workload = Workload::new(name, subjects).allocating();
            if threads == 1 { workload.in_one_thread() } else { workload }
        })
        .collect()
}

/// What one of `threads` takes for an operation while the others do the same.
fn on(threads: usize, messages: u64, work: impl FnMut(u64) + Clone + Send + 'static) -> Figures {
    let all = (0..threads).map(|_| crew::sending(work.clone()));
    let mut figures = crew::run(all.collect(), Vec::new(), messages, 0);
    if let Some(wall) = figures.get_mut(&Figure::Wall) {
        *wall *= threads as f64;
    }
    figures
}
