//! A kernel's counters.

use super::{Kernel, TimerQueue};
use crate::sync::RawMutex;

/// A kernel's counters. They wrap. (Without `std` a task that goes on again and again, as nobody else is ready, is counted when it
/// no longer does, or its batch is over: polls and wake-ups alike.)
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct KernelSnapshot {
    /// Tasks that have not ended.
    pub tasks: u32,
    /// Tasks in the ready queue.
    pub ready: u32,
    /// Polls of tasks.
    pub polls: u32,
    /// Wake-ups that made a task ready.
    pub wakes: u32,
    /// Sleeps of its timers that have not ended.
    pub timers: u32,
    /// Ticks in which its drivers have slept, see [`Kernel::add_idle`]. Wraps where the device's addresses do.
    pub idle_ticks: u64,
}

impl KernelSnapshot {
    /// The share of `ticks`, the time since an earlier snapshot, in which the kernel's one driver has slept, in
    /// thousandths. With several drivers it is their sum.
    ///
    /// ```
    /// # use cloakroom::{kernel::Kernel, sync::CriticalSectionRawMutex};
    /// static KERNEL: Kernel<CriticalSectionRawMutex> = Kernel::new();
    /// let before = KERNEL.snapshot();
    /// KERNEL.add_idle(750); // the driver has slept
    /// assert_eq!(KERNEL.snapshot().idle_share(&before, 1_000), 750);
    /// ```
    pub fn idle_share(&self, before: &Self, ticks: u64) -> u32 {
        let slept = match self.idle_ticks.checked_sub(before.idle_ticks) {
            Some(slept) => slept,
            // It has wrapped, on a device of 32 bits: on others that takes too long to be seen.
            None => u64::from((self.idle_ticks as u32).wrapping_sub(before.idle_ticks as u32)),
        };
        let share = u128::from(slept) * 1000;
        u32::try_from(share.checked_div(u128::from(ticks)).unwrap_or(0)).unwrap_or(u32::MAX)
    }
}

impl<M: RawMutex + Sync + 'static, W: TimerQueue> Kernel<M, W> {
    /// Its counters at this moment; how many timers there are is asked in a critical section of its own.
    /// Interrupt-safe.
    pub fn snapshot(&self) -> KernelSnapshot {
        let timers = self.timers.pending();
        self.ready.with(|ready| KernelSnapshot {
            tasks: ready.tasks,
            ready: ready.wakes.wrapping_sub(ready.polls),
            polls: ready.polls,
            wakes: ready.wakes,
            timers,
            idle_ticks: ready.slept as u64,
        })
    }

    /// Counts ticks in which nothing was ready and whoever drives this kernel has slept. [`run`](Self::run) and
    /// `block_on_until` do it themselves; a loop of one's own round [`poll`](Self::poll) knows how long it slept.
    /// Interrupt-safe.
    pub fn add_idle(&self, ticks: u64) {
        // What is cut off is what the counter wraps at.
        self.ready.with(|ready| ready.slept = ready.slept.wrapping_add(ticks as usize));
    }
}
