//! Sleeps: begun and given up, and slept.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::OnceLock;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use cloakroom::std_layer::runtime::Runtime as Own;
use tokio::runtime::{Builder, Runtime as Tokio};

use super::ping_pong::Stamps;
use crate::executor::{Executor, Task};
use crate::figure::Figure;
use crate::meter::Meter;
use crate::workload::{OURS, Subject, Workload};

/// All of them.
pub fn all() -> Vec<Workload> {
    vec![
        Workload::new("timers/set-and-drop", vec![set_and_drop_ours(), set_and_drop_tokio()])
            .in_one_thread()
            .allocating(),
        Workload::new("timers/sleep-1ms", vec![sleep_ours(), sleep_tokio()])
            .decided_by(Figure::Cpu)
            .of(2_000)
            .allocating(),
    ]
}

/// Sleeps that go on meanwhile, all of them due before those that are measured.
const OTHERS: u64 = 10_000;

/// A timeout, for what is in time.
const TIMEOUT: Duration = Duration::from_secs(30);

fn other(number: u64) -> Duration {
    Duration::from_millis(10_000 + number)
}

/// Begins `messages` sleeps among others, one after the other, and drops each.
fn set_and_drop<S: Future>(messages: u64, sleep: impl Fn(Duration) -> S) -> crate::figure::Figures {
    let mut cx = Context::from_waker(Waker::noop());
    let mut others: Vec<Pin<Box<S>>> =
        (0..OTHERS).map(|number| Box::pin(sleep(other(number)))).collect();
    others.iter_mut().for_each(|other| assert!(other.as_mut().poll(&mut cx).is_pending()));
    let meter = Meter::start();
    for _ in 0..messages {
        assert!(pin!(sleep(TIMEOUT)).poll(&mut cx).is_pending());
    }
    meter.stop(messages)
}

fn set_and_drop_ours() -> Subject {
    Subject::new(OURS, |messages| {
        static OWN: OnceLock<Own> = OnceLock::new();
        let own = OWN.get_or_init(|| Own::builder().workers(1).build().expect("a thread"));
        set_and_drop(messages, |duration| own.sleep(duration))
    })
}

fn set_and_drop_tokio() -> Subject {
    Subject::new("tokio", |messages| {
        static TOKIO: OnceLock<Tokio> = OnceLock::new();
        let tokio = TOKIO.get_or_init(|| {
            let mut builder = Builder::new_multi_thread();
            builder.worker_threads(1).enable_time().build().expect("a thread")
        });
        let _inside = tokio.enter();
        set_and_drop(messages, tokio::time::sleep)
    })
}

const TASKS: u64 = 100;
const SLEEP: Duration = Duration::from_millis(1);

/// The tick of the coarsest clock of those that take part: what is begun within one may end that much too early.
const TICK: Duration = Duration::from_micros(1);

/// A hundred tasks that sleep, and say how late they woke up.
fn sleep<F: Future + Send + 'static>(
    executor: Executor,
    messages: u64,
    sleep: impl Fn() -> F + Copy + Send + 'static,
) -> crate::figure::Figures {
    let each = messages / TASKS;
    let meter = Meter::start();
    let tasks = (0..TASKS).map(|_| -> Task<Vec<Duration>> {
        Box::pin(async move {
            let mut late = Vec::with_capacity(each as usize);
            for _ in 0..each {
                let due = Instant::now() + SLEEP;
                // Not held across the wait, as it need not be `Send` to be made.
                let sleep = sleep();
                sleep.await;
                let now = Instant::now();
                assert!(now + TICK >= due, "it slept too short");
                late.push(now.saturating_duration_since(due));
            }
            late
        })
    });
    let late = executor.run(tasks.collect());
    let mut figures = meter.stop(each * TASKS);
    Stamps::of(late.into_iter().flatten()).add_to(&mut figures);
    figures
}

fn sleep_ours() -> Subject {
    Subject::new(OURS, |messages| {
        sleep(Executor::OwnWorkers, messages, || async {
            let own = cloakroom::std_layer::runtime::Handle::current();
            own.expect("it runs on one").sleep(SLEEP).await;
        })
    })
}

fn sleep_tokio() -> Subject {
    Subject::new("tokio", |messages| {
        sleep(Executor::TokioWorkers, messages, || tokio::time::sleep(SLEEP))
    })
}
