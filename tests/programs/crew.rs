//! Who runs a program: threads, or tasks in the crate's kernel.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Mutex, OnceLock};
use std::task::{Context, Poll, Waker};
use std::thread;

use cloakroom::ArenaRef;
use cloakroom::channel::{Channel, Rendezvous};
use cloakroom::kernel::{JoinHandle, Kernel};
use cloakroom::std_layer::{MappedArena, StdClock, block_on, block_on_until};

use crate::kinds::Lock;
use crate::watch::watched;

/// Runs what a program does side by side.
pub enum Crew {
    /// A thread in `block_on` for each.
    Threads(Mutex<Vec<thread::JoinHandle<()>>>),
    /// A task for each, in a kernel that one thread polls, or two.
    Kernel {
        kernel: &'static Kernel<Lock>,
        tasks: Mutex<Vec<JoinHandle<(), Lock>>>,
        threads: usize,
    },
}

impl Crew {
    fn of_threads() -> Self {
        Self::Threads(Mutex::default())
    }

    fn of_tasks(threads: usize) -> Self {
        // Tasks want a kernel that lives as long as the process.
        let kernel = Box::leak(Box::new(Kernel::new()));
        Self::Kernel { kernel, tasks: Mutex::default(), threads }
    }

    /// Begins something that goes on beside everything else.
    pub fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        match self {
            Self::Threads(all) => {
                all.lock().unwrap().push(thread::spawn(move || block_on(work)));
            }
            Self::Kernel { kernel, tasks, .. } => {
                let Ok(task) = kernel.spawn(memory(), work) else { panic!("no memory for a task") };
                tasks.lock().unwrap().push(task);
            }
        }
    }

    /// Does `work`, then waits for everything that was begun to end.
    pub fn run<T>(&self, work: impl Future<Output = T>) -> T {
        match self {
            Self::Threads(all) => {
                let result = block_on(work);
                // Some may have been begun by others meanwhile.
                while let Some(thread) = { all.lock().unwrap().pop() } {
                    thread.join().expect("no panic");
                }
                result
            }
            Self::Kernel { kernel, tasks, threads } => {
                let (clock, over) = (StdClock::new(), Channel::<Lock, (), Rendezvous>::new());
                thread::scope(|scope| {
                    for _ in 1..*threads {
                        scope.spawn(|| block_on_until(kernel, &clock, over.recv()));
                    }
                    let _over = CloseAtEnd(&over);
                    block_on_until(kernel, &clock, async {
                        let result = work.await;
                        while let Some(task) = { tasks.lock().unwrap().pop() } {
                            task.await.expect("not cancelled");
                        }
                        result
                    })
                })
            }
        }
    }
}

/// Where tasks live.
fn memory() -> ArenaRef<'static, Lock> {
    static MEMORY: OnceLock<ArenaRef<'static, Lock>> = OnceLock::new();
    *MEMORY.get_or_init(|| MappedArena::new(16 << 20, 256, 1 << 12).expect("16 megabytes").leak())
}

/// Lets the other threads go, even if this one panics.
struct CloseAtEnd<'a>(&'a Channel<Lock, (), Rendezvous>);

impl Drop for CloseAtEnd<'_> {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Runs a program without a crew.
pub fn alone(program: fn()) {
    watched(program);
}

/// Runs a program with every crew there is.
pub fn every_crew(program: fn(Crew)) {
    for crew in [Crew::of_threads(), Crew::of_tasks(1), Crew::of_tasks(2)] {
        watched(move || program(crew));
    }
}

/// Lets others go on, whoever runs them.
pub async fn breathe() {
    let mut again = true;
    std::future::poll_fn(|cx| {
        if !std::mem::replace(&mut again, false) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
    thread::yield_now();
}

/// Polls once, and wants no wake-up.
pub fn poll_once<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}
