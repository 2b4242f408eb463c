//! The kernel: tasks in an arena, polled when they are woken and not otherwise.

use core::future::{Future, poll_fn};
use core::pin::{Pin, pin};
use core::task::{Context, Poll};

use cloakroom::kernel::{CancelToken, JoinHandle, Next};
use cloakroom::limit::Operation;
use cloakroom::select::select;
use cloakroom::{JoinError, TryAllocError};

use crate::check::Outcome;
use crate::fixture::{Place, witness};

tests_at_a_place!("kernel":
    a_task_runs_and_its_output_is_joined,
    a_future_that_finds_no_room_comes_back,
    a_detached_task_runs_to_its_end,
    a_cancelled_task_is_dropped_and_not_polled,
    cancelling_what_has_ended_changes_nothing,
    a_task_joins_another,
    a_slot_holds_one_task_at_a_time,
    a_waker_keeps_a_slot,
    a_detached_task_leaves_its_slot,
    a_cancelled_task_leaves_its_slot,
    rule_7_idle_tasks_are_not_polled,
    an_idle_system_is_never_polled,
    a_wake_up_while_running_is_not_lost,
    tasks_run_in_the_order_they_were_woken,
    a_batch_is_bounded,
    poll_tells_what_is_next,
    the_driver_is_woken_once,
    tasks_end_at_a_cancelled_token,
    tasks_pass_messages,
    every_counter_moves,
);

/// Lets others run once.
struct Yield(bool);

impl Future for Yield {
    type Output = ();
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if core::mem::replace(&mut self.0, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

fn a_task_runs_and_its_output_is_joined<P: Place>() -> Outcome {
    let stage = P::stage();
    witness!(w);
    let mut task = ok!(stage.kernel.spawn(stage.arena.handle(), async { 42 }));
    check!(!task.is_finished());
    check!(w.poll(pin!(&mut task)).is_pending());
    stage.run();
    check!(task.is_finished());
    check_eq!(w.wakes(), 1);
    check_eq!(ready!(w.poll(pin!(&mut task))), Ok(42));
    check!(w.poll(pin!(&mut task)).is_pending());
    drop(task);
    stage.is_as_found()
}

fn a_future_that_finds_no_room_comes_back<P: Place>() -> Outcome {
    let stage = P::stage();
    let taken = ok!(stage.arena.try_alloc(24 * 64));
    let ballast = [7u8; 40];
    let future = async move { ballast[39] };
    let error = expect!(stage.kernel.spawn(stage.arena.handle(), future), Err(error) => error);
    drop(taken);
    // It may be tried again.
    let task = ok!(stage.kernel.spawn(stage.arena.handle(), error.future));
    stage.run();
    witness!(w);
    check_eq!(ready!(w.poll(pin!(task))), Ok(7));
    stage.is_as_found()
}

fn a_detached_task_runs_to_its_end<P: Place>() -> Outcome {
    let stage = P::stage();
    drop(ok!(stage.kernel.spawn(stage.arena.handle(), async move {
        Yield(false).await;
        stage.note(0);
    })));
    stage.run();
    check_eq!(stage.noted(0), 1);
    stage.is_as_found()
}

/// Notes its drop.
struct Noted<P: Place>(core::marker::PhantomData<fn(P)>);

impl<P: Place> Drop for Noted<P> {
    fn drop(&mut self) {
        P::stage().note(1);
    }
}

/// Waits for a message, and notes that there was one, and that it is dropped.
fn a_wait<P: Place>() -> impl Future<Output = ()> + Send + 'static {
    let inside = Noted::<P>(core::marker::PhantomData);
    async move {
        let _inside = inside;
        let _ = P::stage().inbox.recv().await;
        P::stage().note(0);
    }
}

/// Such a task, cancelled while it waits, is dropped, and leaves the queue.
fn is_dropped_when_cancelled<P: Place>(task: &JoinHandle<(), P::Lock>) -> Outcome {
    let stage = P::stage();
    stage.run();
    task.cancel();
    check_eq!(stage.noted(1), 0);
    stage.run();
    check_eq!((stage.noted(0), stage.noted(1)), (0, 1));
    // Its receive has left the queue.
    check_eq!(stage.inbox.try_send(1), Ok(()));
    check_eq!(stage.inbox.try_recv(), Ok(1));
    Ok(())
}

fn a_cancelled_task_is_dropped_and_not_polled<P: Place>() -> Outcome {
    let stage = P::stage();
    let task = ok!(stage.kernel.spawn(stage.arena.handle(), a_wait::<P>()));
    is_dropped_when_cancelled::<P>(&task)?;
    witness!(w);
    check_eq!(ready!(w.poll(pin!(task))), Err(JoinError));
    stage.is_as_found()
}

fn cancelling_what_has_ended_changes_nothing<P: Place>() -> Outcome {
    let stage = P::stage();
    let task = ok!(stage.kernel.spawn(stage.arena.handle(), async { 5 }));
    stage.run();
    task.cancel();
    stage.run();
    witness!(w);
    check_eq!(ready!(w.poll(pin!(task))), Ok(5));
    stage.is_as_found()
}

fn a_task_joins_another<P: Place>() -> Outcome {
    let stage = P::stage();
    let inner = ok!(stage
        .kernel
        .spawn(stage.arena.handle(), async move { stage.inbox.recv().await.unwrap_or(0) }));
    let outer = ok!(stage.kernel.spawn(stage.arena.handle(), inner));
    stage.run();
    check!(!outer.is_finished());
    check_eq!(stage.inbox.try_send(9), Ok(()));
    stage.run();
    witness!(w);
    check_eq!(ready!(w.poll(pin!(outer))), Ok(Ok(9)));
    stage.is_as_found()
}

/// Until its output has been taken: then for one of another size.
fn a_slot_holds_one_task_at_a_time<P: Place>() -> Outcome {
    let stage = P::stage();
    check!(!stage.slot.is_taken());
    let mut task = ok!(stage.kernel.spawn_in(&stage.slot, stage.inbox.recv()));
    check_eq!(stage.kernel.snapshot().tasks, 1);
    let ballast = [7u32; 20];
    let future = async move { u64::from(ballast[19]) };
    let error = expect!(stage.kernel.spawn_in(&stage.slot, future), Err(error) => error);
    check_eq!(error.why, TryAllocError::Full);
    stage.run();
    witness!(w);
    check!(w.poll(pin!(&mut task)).is_pending());
    check_eq!(stage.inbox.try_send(3), Ok(()));
    stage.run();
    // It has ended, but nobody has looked at its output.
    check!(task.is_finished());
    check!(stage.slot.is_taken());
    let error = expect!(stage.kernel.spawn_in(&stage.slot, error.future), Err(error) => error);
    check_eq!(w.wakes(), 1);
    check_eq!(ready!(w.poll(pin!(&mut task))), Ok(Ok(3)));
    check!(!stage.slot.is_taken());
    let task = ok!(stage.kernel.spawn_in(&stage.slot, error.future));
    stage.run();
    check_eq!(ready!(w.poll(pin!(task))), Ok(7));
    stage.is_as_found()
}

fn a_waker_keeps_a_slot<P: Place>() -> Outcome {
    let stage = P::stage();
    let mut task =
        ok!(stage.kernel.spawn_in(&stage.slot, poll_fn(|cx| Poll::Ready(cx.waker().clone()))));
    stage.run();
    witness!(w);
    let waker = ok!(ready!(w.poll(pin!(&mut task))));
    drop(task);
    check!(stage.slot.is_taken());
    // It wakes nobody any more.
    let before = stage.kernel.snapshot();
    waker.wake_by_ref();
    stage.run();
    check_eq!(stage.kernel.snapshot().polls, before.polls);
    let error = expect!(stage.kernel.spawn_in(&stage.slot, async {}), Err(error) => error);
    check_eq!(error.why, TryAllocError::Full);
    drop(waker);
    stage.is_as_found()
}

fn a_detached_task_leaves_its_slot<P: Place>() -> Outcome {
    let stage = P::stage();
    for _ in 0..3 {
        let inside = Noted::<P>(core::marker::PhantomData);
        drop(ok!(stage.kernel.spawn_in(&stage.slot, async move {
            Yield(false).await;
            stage.note(0);
            inside
        })));
        check!(stage.slot.is_taken());
        stage.run();
        check_eq!((stage.noted(0), stage.noted(1)), (1, 1));
        check!(!stage.slot.is_taken());
    }
    stage.is_as_found()
}

fn a_cancelled_task_leaves_its_slot<P: Place>() -> Outcome {
    let stage = P::stage();
    let task = ok!(stage.kernel.spawn_in(&stage.slot, a_wait::<P>()));
    is_dropped_when_cancelled::<P>(&task)?;
    check!(stage.slot.is_taken());
    witness!(w);
    check_eq!(ready!(w.poll(pin!(task))), Err(JoinError));
    stage.is_as_found()
}

fn rule_7_idle_tasks_are_not_polled<P: Place>() -> Outcome {
    let stage = P::stage();
    let mut tasks = [const { None }; 4];
    for slot in &mut tasks {
        *slot = Some(ok!(stage.kernel.spawn(stage.arena.handle(), async move {
            if stage.inbox.recv().await.is_ok() {
                stage.note(0);
            }
        })));
    }
    stage.run();
    let before = stage.kernel.snapshot();
    for tick in 0..20 {
        check_eq!(stage.kernel.poll(stage.kernel.timers().now() + tick % 2), Next::Idle);
    }
    check_eq!(stage.kernel.snapshot().polls, before.polls);
    // One value, one wake-up, one poll, however many wait.
    check_eq!(stage.inbox.try_send(1), Ok(()));
    stage.run();
    let after = stage.kernel.snapshot();
    check_eq!((after.polls - before.polls, after.wakes - before.wakes), (1, 1));
    check_eq!((stage.noted(0), after.tasks), (1, 3));
    tasks.iter().flatten().for_each(|task| task.cancel());
    stage.run();
    drop(tasks);
    stage.is_as_found()
}

/// Ends when a token of its own is cancelled, which a message brings about.
async fn cancelled_by_a_message<P: Place>() {
    let root: CancelToken<P::Lock> = CancelToken::new();
    let mut message = pin!(P::stage().inbox.recv());
    let mut cancelled = pin!(root.cancelled());
    poll_fn(|cx| {
        if !root.is_cancelled() && message.as_mut().poll(cx).is_ready() {
            root.cancel();
        }
        cancelled.as_mut().poll(cx)
    })
    .await;
}

/// Tasks that wait for a value, for room, in a select, and for a cancellation: time alone wakes none of them.
fn an_idle_system_is_never_polled<P: Place>() -> Outcome {
    const POLLS: u64 = 1_000;
    let stage = P::stage();
    let (kernel, arena) = (&stage.kernel, stage.arena.handle());
    check_eq!(stage.outbox.try_send(0), Ok(()));
    drop(ok!(kernel.spawn(arena, async move {
        let _ = stage.inbox.recv().await;
        stage.note(0);
    })));
    drop(ok!(kernel.spawn(arena, async move {
        let _ = stage.outbox.send(1).await;
        stage.note(1);
    })));
    drop(ok!(kernel.spawn(arena, async move {
        let _ = select((stage.inbox.recv(), stage.outbox.send(2))).await;
        stage.note(2);
    })));
    drop(ok!(kernel.spawn(arena, async move {
        cancelled_by_a_message::<P>().await;
        stage.note(3);
    })));
    stage.run();
    let before = kernel.snapshot();
    check_eq!((before.tasks, before.ready), (4, 0));
    let start = kernel.timers().now();
    for passed in 1..=POLLS {
        check_eq!(kernel.poll(start + passed), Next::Idle);
    }
    let after = kernel.snapshot();
    check_eq!((after.polls, after.wakes), (before.polls, before.wakes));
    // Each is woken by its event still, and by no other one's.
    check_eq!(stage.inbox.try_send(1), Ok(()));
    stage.run();
    check_eq!([0, 1, 2, 3].map(|task| stage.noted(task)), [1, 0, 0, 0]);
    check_eq!(stage.outbox.try_recv(), Ok(0));
    stage.run();
    check_eq!([0, 1, 2, 3].map(|task| stage.noted(task)), [0, 1, 0, 0]);
    check_eq!(stage.inbox.try_send(2), Ok(()));
    stage.run();
    check_eq!([0, 1, 2, 3].map(|task| stage.noted(task)), [0, 0, 1, 0]);
    let after = kernel.snapshot();
    check_eq!((after.polls - before.polls, after.wakes - before.wakes), (3, 3));
    check_eq!(stage.inbox.try_send(3), Ok(()));
    stage.run();
    check_eq!([0, 1, 2, 3].map(|task| stage.noted(task)), [0, 0, 0, 1]);
    // What the second one sent.
    check_eq!(stage.outbox.try_recv(), Ok(1));
    stage.is_as_found()
}

fn a_wake_up_while_running_is_not_lost<P: Place>() -> Outcome {
    let stage = P::stage();
    let before = stage.kernel.snapshot().polls;
    let task = ok!(stage.kernel.spawn(stage.arena.handle(), async {
        for _ in 0..3 {
            Yield(false).await;
        }
    }));
    stage.run();
    check!(task.is_finished());
    check_eq!(stage.kernel.snapshot().polls - before, 4);
    drop(task);
    stage.is_as_found()
}

fn tasks_run_in_the_order_they_were_woken<P: Place>() -> Outcome {
    let stage = P::stage();
    for number in 0..3 {
        drop(ok!(stage.kernel.spawn(stage.arena.handle(), async move {
            for round in 0..3 {
                if stage.note(0) == round * 3 + number + 1 {
                    stage.note(1);
                }
                Yield(false).await;
            }
        })));
    }
    stage.run();
    check_eq!((stage.noted(0), stage.noted(1)), (9, 9));
    stage.is_as_found()
}

fn a_batch_is_bounded<P: Place>() -> Outcome {
    let stage = P::stage();
    let task = ok!(stage.kernel.spawn(stage.arena.handle(), async {
        loop {
            Yield(false).await;
        }
    }));
    let before = stage.kernel.snapshot().polls;
    check_eq!(stage.kernel.poll(0), Next::Ready);
    let polls = stage.kernel.snapshot().polls - before;
    check!((1..=64).contains(&polls));
    task.cancel();
    stage.run();
    drop(task);
    stage.is_as_found()
}

fn poll_tells_what_is_next<P: Place>() -> Outcome {
    let stage = P::stage();
    let now = stage.kernel.timers().now();
    check_eq!(stage.kernel.poll(now), Next::Idle);
    check!(stage.kernel.is_idle());
    let task = ok!(stage.kernel.spawn(stage.arena.handle(), async move {
        stage.kernel.timers().at(now + 10).await;
        stage.kernel.timers().now()
    }));
    check!(!stage.kernel.is_idle());
    check_eq!(stage.kernel.poll(now), Next::At(now + 10));
    check_eq!(stage.kernel.poll(now + 9), Next::At(now + 10));
    check!(!task.is_finished());
    check_eq!(stage.kernel.poll(now + 10), Next::Idle);
    witness!(w);
    check_eq!(ready!(w.poll(pin!(task))), Ok(now + 10));
    stage.is_as_found()
}

fn the_driver_is_woken_once<P: Place>() -> Outcome {
    let stage = P::stage();
    witness!(w);
    let mut driver = pin!(core::future::poll_fn(|cx| {
        let _ = stage.kernel.poll_under(0, cx);
        Poll::<()>::Pending
    }));
    check!(w.poll(driver.as_mut()).is_pending());
    let mut tasks = [const { None }; 2];
    for slot in &mut tasks {
        *slot = Some(ok!(stage.kernel.spawn(stage.arena.handle(), async move {
            let _ = stage.inbox.recv().await;
        })));
    }
    check_eq!(w.wakes(), 1);
    check!(w.poll(driver.as_mut()).is_pending());
    check_eq!((stage.inbox.try_send(1), stage.inbox.try_send(2)), (Ok(()), Ok(())));
    check_eq!(w.wakes(), 1);
    check!(w.poll(driver.as_mut()).is_pending());
    check!(tasks.iter().flatten().all(|task| task.is_finished()));
    drop(tasks);
    // Takes the driver's waker out again.
    let task = ok!(stage.kernel.spawn(stage.arena.handle(), async {}));
    stage.run();
    drop(task);
    check_eq!(w.wakes(), 1);
    stage.is_as_found()
}

fn tasks_end_at_a_cancelled_token<P: Place>() -> Outcome {
    let stage = P::stage();
    let root: CancelToken<P::Lock> = CancelToken::new();
    // Tasks outlive this function as far as the compiler can tell, so the token is waited for here.
    witness!(w);
    let mut receive = pin!(stage.inbox.recv().cancelled_by(root.cancelled()));
    check!(w.poll(receive.as_mut()).is_pending());
    let task = ok!(stage.kernel.spawn(stage.arena.handle(), async move {
        Yield(false).await;
        stage.note(0);
    }));
    root.cancel();
    stage.run();
    check!(ready!(w.poll(receive)).is_err());
    check_eq!(stage.noted(0), 1);
    drop(task);
    stage.is_as_found()
}

fn tasks_pass_messages<P: Place>() -> Outcome {
    const MESSAGES: u32 = 50;
    let stage = P::stage();
    let consumer = ok!(stage.kernel.spawn(stage.arena.handle(), async move {
        let mut in_order = 0;
        while in_order < MESSAGES && stage.inbox.recv().await == Ok(in_order) {
            in_order += 1;
        }
        in_order
    }));
    drop(ok!(stage.kernel.spawn(stage.arena.handle(), async move {
        for number in 0..MESSAGES {
            let _ = stage.inbox.send(number).await;
        }
    })));
    stage.run();
    witness!(w);
    check_eq!(ready!(w.poll(pin!(consumer))), Ok(MESSAGES));
    check!(stage.inbox.snapshot().send_waits > 0);
    stage.is_as_found()
}

fn every_counter_moves<P: Place>() -> Outcome {
    let stage = P::stage();
    let before = stage.kernel.snapshot();
    let now = stage.kernel.timers().now();
    let task = ok!(stage.kernel.spawn(stage.arena.handle(), async move {
        stage.kernel.timers().at(now + 5).await;
    }));
    let spawned = stage.kernel.snapshot();
    check_eq!((spawned.tasks, spawned.ready, spawned.timers), (1, 1, 0));
    check_eq!(spawned.wakes.wrapping_sub(before.wakes), 1);
    check_eq!(stage.kernel.poll(now), Next::At(now + 5));
    let asleep = stage.kernel.snapshot();
    check_eq!((asleep.tasks, asleep.ready, asleep.timers), (1, 0, 1));
    check_eq!(asleep.polls.wrapping_sub(before.polls), 1);
    stage.kernel.add_idle(3);
    stage.kernel.add_idle(1);
    check_eq!(stage.kernel.snapshot().idle_share(&before, 5), 800);
    check_eq!(stage.kernel.poll(now + 5), Next::Idle);
    let ended = stage.kernel.snapshot();
    check_eq!((ended.tasks, ended.ready, ended.timers), (0, 0, 0));
    check_eq!(ended.wakes.wrapping_sub(before.wakes), 2);
    drop(task);
    stage.is_as_found()
}
