//! What the process spends while something runs.

use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::time::{ClockId, clock_gettime};

use crate::allocator;
use crate::figure::{Figure, Figures};

/// Runs from its start to its stop.
pub struct Meter {
    started: Instant,
    cpu: Duration,
    switches: i64,
    allocations: u64,
}

impl Meter {
    /// Begins.
    pub fn start() -> Self {
        Self {
            allocations: allocator::allocations(),
            switches: switches(),
            cpu: cpu(ClockId::CLOCK_PROCESS_CPUTIME_ID),
            started: Instant::now(),
        }
    }

    /// What each of `messages` took.
    pub fn stop(self, messages: u64) -> Figures {
        let wall = self.started.elapsed();
        self.stop_after(wall, messages)
    }

    /// The same, if those who worked have looked at the clock themselves: they took `wall`.
    pub fn stop_after(self, wall: Duration, messages: u64) -> Figures {
        let cpu = cpu(ClockId::CLOCK_PROCESS_CPUTIME_ID) - self.cpu;
        let each = |total: f64| total / messages as f64;
        let mut figures = Figures::from([
            (Figure::Wall, each(wall.as_nanos() as f64)),
            (Figure::Cpu, each(cpu.as_nanos() as f64)),
            (Figure::Switches, each((switches() - self.switches) as f64)),
        ]);
        if allocator::is_counting() {
            let allocations = allocator::allocations() - self.allocations;
            figures.insert(Figure::Allocations, each(allocations as f64));
        }
        figures
    }
}

/// Time that the calling thread has run.
pub fn thread_cpu() -> Duration {
    cpu(ClockId::CLOCK_THREAD_CPUTIME_ID)
}

fn cpu(clock: ClockId) -> Duration {
    clock_gettime(clock).expect("every Unix has this clock").into()
}

fn switches() -> i64 {
    let usage = getrusage(UsageWho::RUSAGE_SELF).expect("a process may ask about itself");
    usage.voluntary_context_switches() + usage.involuntary_context_switches()
}
