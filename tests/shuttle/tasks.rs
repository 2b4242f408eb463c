//! A kernel that two threads drive, while others spawn, wake, join and cancel.

use std::sync::Mutex;

use cloakroom::Arena;
use cloakroom::channel::{Buffered, Channel};
use cloakroom::kernel::{Kernel, TimerQueue, drive};

use crate::shuttle_lock::{PerObject as Lock, below, explore, together};

/// What a model needs for as long as its tasks.
struct Stage {
    arena: Arena<Lock, 32, 64, 8, 1>,
    kernel: Kernel<Lock>,
    messages: Channel<Lock, u32, Buffered<1>>,
    /// Keeps the kernel driven until the end.
    end: Channel<Lock, (), Buffered<1>>,
    received: Mutex<Vec<u32>>,
}

impl Stage {
    /// A task's work.
    async fn receive(&self) {
        while let Ok(value) = self.messages.recv().await {
            self.received.lock().expect("no panic").push(value);
        }
    }
}

fn with_stage(model: impl FnOnce(&'static Stage)) {
    let stage = Box::into_raw(Box::new(Stage {
        arena: Arena::new(),
        kernel: Kernel::new(),
        messages: Channel::new(),
        end: Channel::new(),
        received: Mutex::default(),
    }));
    // SAFETY: given back below; the model has joined its threads and ended its tasks.
    model(unsafe { &*stage });
    // SAFETY: from `into_raw`.
    let stage = unsafe { Box::from_raw(stage) };
    let snapshot = stage.kernel.snapshot();
    assert_eq!((snapshot.tasks, snapshot.ready), (0, 0));
    assert_eq!(stage.arena.snapshot().live, 0, "a task was not freed");
    assert!(stage.arena.handle().verify().is_clean());
}

/// One of two receiving tasks is cancelled at any moment. Another task, spawned under way, sends.
fn cancelled() {
    with_stage(|stage| {
        let arena = stage.arena.handle();
        let spawn = || stage.kernel.spawn(arena, stage.receive()).map_err(drop).expect("room");
        drop(stage.kernel.spawn(arena, stage.end.recv()).map_err(drop).expect("room"));
        let tasks = [spawn(), spawn()];
        let mut tasks = tasks.map(Some);
        together(4, |number| {
            let task = if number < 2 { tasks[number].take() } else { None };
            async move {
                match (number, task) {
                    (0, Some(doomed)) => {
                        doomed.cancel();
                        // Joined, or left to itself.
                        if below(2) == 0 {
                            let _ = doomed.await;
                        }
                    }
                    (1, Some(receiver)) => {
                        let sender = stage.kernel.spawn(arena, async {
                            for value in 0..3 {
                                stage.messages.send(value).await.expect("open");
                            }
                            7
                        });
                        let sender = sender.map_err(drop).expect("room");
                        assert_eq!(sender.await, Ok(7));
                        stage.messages.close();
                        receiver.await.expect("not cancelled");
                        stage.end.try_send(()).expect("room");
                    }
                    _ => drive(&stage.kernel).await,
                }
            }
        });
        // What the cancelled task was promised is the other one's.
        let mut received = stage.received.lock().expect("no panic").clone();
        received.sort_unstable();
        assert_eq!(received, [0, 1, 2]);
    });
}

#[test]
fn spawned_woken_joined_and_cancelled() {
    explore(cancelled);
}

/// Tasks on one kernel that join each other, and sleep, while time advances elsewhere.
fn chain() {
    with_stage(|stage| {
        let arena = stage.arena.handle();
        let first = stage.kernel.spawn(arena, async {
            stage.kernel.timers().at(u64::from(below(3))).await;
            stage.messages.recv().await.expect("sent")
        });
        let first = first.map_err(drop).expect("room");
        let second =
            stage.kernel.spawn(arena, async move { first.await.expect("not cancelled") + 1 });
        let second = second.map_err(drop).expect("room");
        let mut second = Some(second);
        let outputs = together(4, |number| {
            let second = if number == 0 { second.take() } else { None };
            async move {
                match number {
                    0 => second.expect("taken once").await.ok(),
                    1 => {
                        stage.messages.try_send(5).expect("room");
                        None
                    }
                    2 => {
                        for now in 1..3 {
                            stage.kernel.timers().advance(now);
                        }
                        None
                    }
                    _ => {
                        drive(&stage.kernel).await;
                        None
                    }
                }
            }
        });
        assert_eq!(outputs, [Some(6), None, None, None]);
    });
}

#[test]
fn joined_by_another_task() {
    explore(chain);
}
