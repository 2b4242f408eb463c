//! Wakers that write down whom they woke.

use std::sync::{Arc, Mutex};
use std::task::{Wake, Waker};

/// Wake-ups, in the order in which they were sent.
#[derive(Clone, Default)]
pub struct WakeLog(Arc<Mutex<Vec<usize>>>);

/// The waker of one waiter.
struct Numbered {
    number: usize,
    log: WakeLog,
}

impl Wake for Numbered {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.log.0.lock().unwrap().push(self.number);
    }
}

impl WakeLog {
    /// A waker that writes `number`.
    pub fn waker(&self, number: usize) -> Waker {
        Waker::from(Arc::new(Numbered { number, log: self.clone() }))
    }

    /// What has been written since the last time.
    pub fn take(&self) -> Vec<usize> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}
