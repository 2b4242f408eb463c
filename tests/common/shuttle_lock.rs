//! What shuttle's tests share: a lock, threads, and the explorer.

use std::future::Future;
use std::pin::Pin;
use std::sync::PoisonError;

use cloakroom::sync::RawMutex;
use shuttle::future::block_on;
use shuttle::rand::{Rng, thread_rng};
use shuttle::scheduler::{
    PctScheduler, RandomScheduler, Scheduler, UncontrolledNondeterminismCheckScheduler,
};
use shuttle::sync::Mutex;
use shuttle::{Config, Runner, thread};

/// A lock with a state.
pub struct PerObject(Mutex<()>);

// SAFETY: shuttle's mutex excludes, and each object has one.
unsafe impl RawMutex for PerObject {
    #[allow(clippy::declare_interior_mutable_const)]
    const INIT: Self = Self(Mutex::new(()));
    fn lock<R>(&self, f: impl FnOnce() -> R) -> R {
        let _held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        f()
    }
}

/// A number below `limit`, chosen by the schedule, so that it comes again when that is replayed.
pub fn below(limit: u32) -> u32 {
    thread_rng().gen_range(0..limit)
}

/// Runs so many futures on a thread each, and returns what they return. They lie in one allocation: selects
/// are claimed in the order of their addresses, which must be the same when a schedule is replayed.
pub fn together<F: Future<Output: Send> + Send>(
    threads: usize,
    part: impl FnMut(usize) -> F,
) -> Vec<F::Output> {
    let mut futures: Vec<F> = (0..threads).map(part).collect();
    thread::scope(|scope| {
        let threads: Vec<_> = futures
            .iter_mut()
            .map(|future| {
                // SAFETY: it stays in the vector until it is dropped.
                let future = unsafe { Pin::new_unchecked(future) };
                scope.spawn(move || block_on(future))
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    })
}

const SEED: u64 = 1;
/// Well-placed preemptions of a schedule by priorities, plus one.
const DEPTH: usize = 3;

/// How many schedules of each sort `CLOAKROOM_SCHEDULES` asks for, or else some.
fn schedules() -> usize {
    let asked = std::env::var("CLOAKROOM_SCHEDULES").ok();
    asked.map_or(1_000, |text| text.parse().expect("CLOAKROOM_SCHEDULES is a number"))
}

/// Runs `model` under random schedules, and as many by priorities (PCT). A lost wake-up is a deadlock,
/// which shuttle reports, with the schedule to replay.
pub fn explore(model: fn()) {
    let count = schedules();
    let random = run(RandomScheduler::new_from_seed(SEED, count), model);
    let by_priorities = run(PctScheduler::new_from_seed(SEED, DEPTH, count), model);
    assert_eq!((random, by_priorities), (count, count));
    // Nothing but the schedule decides what happens: it is the same when it is replayed.
    let few = RandomScheduler::new_from_seed(SEED, 10);
    run(UncontrolledNondeterminismCheckScheduler::new(few), model);
    println!("{} schedules, half of them at random, half by priorities", random + by_priorities);
}

fn run(scheduler: impl Scheduler + 'static, model: fn()) -> usize {
    let mut config = Config::new();
    config.stack_size = 1 << 18;
    // The orderings are loom's business.
    config.silence_warnings = true;
    Runner::new(scheduler, config).run(model)
}
