//! What tasks run on.

use std::future::Future;
use std::pin::Pin;
use std::sync::OnceLock;

use cloakroom::std_layer::runtime::Runtime as Own;
use tokio::runtime::{Builder, Runtime as Tokio};

/// A task of no particular type.
pub type Task<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// An executor. Each is made once, and stays.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Executor {
    /// tokio, on the thread that waits.
    TokioCurrent,
    /// tokio, with two workers.
    TokioWorkers,
    /// This crate's runtime, on the thread that waits.
    OwnCurrent,
    /// This crate's runtime, with two workers.
    OwnWorkers,
}

impl Executor {
    /// All of them.
    pub const ALL: [Self; 4] =
        [Self::TokioCurrent, Self::TokioWorkers, Self::OwnCurrent, Self::OwnWorkers];

    /// Its name, in those of workloads.
    pub fn name(self) -> &'static str {
        match self {
            Self::TokioCurrent => "tokio-current",
            Self::TokioWorkers => "tokio-2",
            Self::OwnCurrent => "own-current",
            Self::OwnWorkers => "own-2",
        }
    }

    /// Whether it runs tasks in the thread that waits for them.
    pub fn is_one_thread(self) -> bool {
        matches!(self, Self::TokioCurrent | Self::OwnCurrent)
    }

    /// Runs all tasks to their ends.
    pub fn run<T: Send + 'static>(self, tasks: Vec<Task<T>>) -> Vec<T> {
        match self {
            Self::TokioCurrent => {
                static TOKIO: OnceLock<Tokio> = OnceLock::new();
                run_on_tokio(TOKIO.get_or_init(|| build(Builder::new_current_thread())), tasks)
            }
            Self::TokioWorkers => {
                static TOKIO: OnceLock<Tokio> = OnceLock::new();
                let two = || {
                    let mut builder = Builder::new_multi_thread();
                    builder.worker_threads(2);
                    build(builder)
                };
                run_on_tokio(TOKIO.get_or_init(two), tasks)
            }
            Self::OwnCurrent => {
                static OWN: OnceLock<Own> = OnceLock::new();
                run_on_own(OWN.get_or_init(|| build_own(0)), tasks)
            }
            Self::OwnWorkers => {
                static OWN: OnceLock<Own> = OnceLock::new();
                run_on_own(OWN.get_or_init(|| build_own(2)), tasks)
            }
        }
    }
}

fn build(mut builder: Builder) -> Tokio {
    builder.enable_time().build().expect("threads can be started")
}

fn build_own(workers: u32) -> Own {
    Own::builder().workers(workers).build().expect("threads can be started, memory can be mapped")
}

fn run_on_tokio<T: Send + 'static>(tokio: &Tokio, tasks: Vec<Task<T>>) -> Vec<T> {
    tokio.block_on(async {
        let started: Vec<_> = tasks.into_iter().map(tokio::spawn).collect();
        let mut ended = Vec::new();
        for task in started {
            ended.push(task.await.expect("no task panics"));
        }
        ended
    })
}

fn run_on_own<T: Send + 'static>(own: &Own, tasks: Vec<Task<T>>) -> Vec<T> {
    let started: Vec<_> = tasks
        .into_iter()
        .map(|task| own.spawn(task).unwrap_or_else(|_| panic!("there is room for a few tasks")))
        .collect();
    own.block_on(async {
        let mut ended = Vec::new();
        for task in started {
            ended.push(task.await.expect("no task panics"));
        }
        ended
    })
}
