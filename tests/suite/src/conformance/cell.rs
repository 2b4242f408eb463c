//! One cell of the matrix.

use core::cell::Cell;
use core::pin::{Pin, pin};
use core::task::Poll;

use cloakroom::RecvTimeoutError;
use cloakroom::channel::{Channel, RecvFuture, SendFuture, Strategy};
use cloakroom::error::{
    PartlySent, SendTimeoutError, StoppedError, TryRecvError, TryReserveError, TrySendError,
};
use cloakroom::kernel::{CancelToken, TimerQueue, Timers};
use cloakroom::limit::{Operation as Limitable, Stopped};
use cloakroom::sync::RawMutex;

use super::kinds::{Few, Reader, Receipt, Received};
use super::words::{Word, counters};
use crate::Failure;
use crate::fixture::{Witness, reconciles, witness};

/// Declares names for the values of an enum.
macro_rules! named {
    ($(#[$meta:meta])* $name:ident: $($(#[$of_value:meta])* $value:ident $word:literal),+ $(,)?) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum $name {
            $($(#[$of_value])* $value,)+
        }

        impl $name {
            /// All of them.
            pub const ALL: [Self; [$($word),+].len()] = [$(Self::$value),+];

            /// The one of that name.
            pub fn named(name: &str) -> Option<Self> {
                Self::ALL.into_iter().find(|value| value.name() == name)
            }

            /// Its name.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$value => $word,)+
                }
            }
        }
    };
}

named!(
    /// What is done.
    Operation:
    /// Sends a value.
    Send "send",
    /// Reserves a slot, then sends the value into it.
    Reserve "reserve",
    /// Sends two values.
    SendMany "send_many",
    /// Receives.
    Recv "recv",
    /// Receives up to four.
    RecvMany "recv_many",
    /// Takes what is there.
    Drain "drain",
    /// Closes.
    Close "close",
    /// Waits for closing.
    Closed "closed",
);

named!(
    /// How it is done.
    Way:
    /// At once or not at all.
    Try "try",
    /// Awaited. If it waits, the other side comes to help.
    Async "async",
    /// Awaited; if it waits, its deadline passes.
    Deadline "deadline",
    /// Awaited, with a cancellation that has come true already.
    Cancelled "cancelled",
    /// Polled once, then dropped; the value of a send is taken back.
    Dropped "dropped",
);

named!(
    /// What the channel is like before.
    State:
    /// Open and empty.
    Empty "empty",
    /// Open, with a value and room for another.
    Part "part",
    /// Open and full.
    Full "full",
    /// Closed and empty.
    Closed "closed",
    /// Closed with a value in it.
    Closing "closing",
    /// Open and empty, and a receiver waits.
    Receiver "receiver",
    /// Open and full, and a sender waits.
    Sender "sender",
);

impl Operation {
    /// The ways in which there is such an operation.
    pub fn ways(self) -> &'static [Way] {
        use Way::{Async, Cancelled, Deadline, Dropped, Try};
        match self {
            Self::Send | Self::Reserve | Self::Recv | Self::SendMany => &Way::ALL,
            Self::RecvMany | Self::Closed => &[Async, Deadline, Cancelled, Dropped],
            Self::Drain | Self::Close => &[Try],
        }
    }
}

/// The value that the operation sends, and the one after it in a batch.
const MINE: u32 = 99;
const MINE_TOO: u32 = 98;
/// What is in the channel.
const OLDEST: u32 = 10;
/// What the sender that waits brings.
const WAITING: u32 = 50;
/// What a helping sender brings.
const HELP: u32 = 77;
/// How often help may be needed.
const PATIENCE: usize = 8;

/// How an operation ended, and the values that it returned.
#[derive(Clone, Copy)]
struct End {
    how: &'static str,
    /// How many values, for batches.
    count: Option<usize>,
    /// A value of its own, given back.
    back: bool,
    /// The value that it received, or replaced.
    got: Option<u32>,
}

impl End {
    fn just(how: &'static str) -> Self {
        Self { how, count: None, back: false, got: None }
    }
    fn got(got: Option<u32>) -> Self {
        Self { got, ..Self::just("ok") }
    }
    fn back(how: &'static str, value: u32) -> Self {
        Self { back: value == MINE || value == MINE_TOO, ..Self::just(how) }
    }
    fn many(self, count: usize) -> Self {
        Self { count: Some(count), ..self }
    }
    fn partly<E>(partly: PartlySent<E>, end: impl FnOnce(E) -> Self) -> Self {
        end(partly.error).many(partly.sent)
    }

    fn of_try_send(error: TrySendError<u32>) -> Self {
        match error {
            TrySendError::Full(value) => Self::back("full", value),
            TrySendError::Closed(value) => Self::back("closed", value),
        }
    }
    fn of_send(error: SendTimeoutError<u32>) -> Self {
        match error {
            SendTimeoutError::Closed(value) => Self::back("closed", value),
            SendTimeoutError::Cancelled(value) => Self::back("cancelled", value),
            SendTimeoutError::Timeout(value) => Self::back("timeout", value),
        }
    }
    fn of_recv(error: RecvTimeoutError) -> Self {
        Self::just(match error {
            RecvTimeoutError::Closed => "closed",
            RecvTimeoutError::Cancelled => "cancelled",
            RecvTimeoutError::Timeout => "timeout",
        })
    }
    fn of_reserve(error: StoppedError) -> Self {
        Self::just(match error {
            StoppedError::Closed => "closed",
            StoppedError::Cancelled => "cancelled",
            StoppedError::Timeout => "timeout",
        })
    }
    fn of_stopped(why: Stopped) -> Self {
        Self::just(match why {
            Stopped::Cancelled => "cancelled",
            Stopped::Timeout => "timeout",
        })
    }
}

/// Runs an operation in one of the ways in which it is polled. `help` does what it may wait for; `end` puts
/// its result into words; `dropped` is what comes of it when it is dropped after a poll that left it pending.
fn drive<M: RawMutex, F: Limitable>(
    operation: F,
    way: Way,
    mut help: impl FnMut(),
    end: impl Fn(F::Limited) -> End,
    dropped: impl FnOnce(Pin<&mut F>) -> End,
) -> Result<End, Failure> {
    witness!(w);
    match way {
        Way::Deadline => {
            let timers: Timers<M> = Timers::new();
            let mut limited = pin!(operation.deadline(timers.at(5)));
            if let Poll::Ready(output) = w.poll(limited.as_mut()) {
                return Ok(end(output));
            }
            timers.advance(5);
            Ok(end(ready!(w.poll(limited))))
        }
        Way::Cancelled => {
            let token: CancelToken<M> = CancelToken::new();
            token.cancel();
            let limited = pin!(operation.cancelled_by(token.cancelled()));
            Ok(end(ready!(w.poll(limited))))
        }
        Way::Try | Way::Async | Way::Dropped => {
            let mut operation = pin!(operation);
            if let Poll::Ready(output) = w.poll(operation.as_mut()) {
                return Ok(end(F::finish(output)));
            }
            if way == Way::Dropped {
                return Ok(dropped(operation));
            }
            for _ in 0..PATIENCE {
                help();
                // It is polled when it was woken, as an executor does it: a wake-up that is missing shows.
                if w.wakes() == 0 {
                    continue;
                }
                if let Poll::Ready(output) = w.poll(operation.as_mut()) {
                    let end = end(F::finish(output));
                    return Ok(if end.how == "ok" { End { how: "later", ..end } } else { end });
                }
            }
            Ok(dropped(operation))
        }
    }
}

/// What comes of a pending operation without a value that is dropped.
fn waits<F>(_operation: Pin<&mut F>) -> End {
    End::just("waits")
}

/// Runs a cell: `operation`, in a way, on a fresh `channel` in a state. `reader` makes a receiver of it.
pub(super) fn run<'c, M, S, R>(
    channel: &'c Channel<M, u32, S>,
    hooked: &Cell<u32>,
    reader: impl Fn(&'c Channel<M, u32, S>) -> R,
    operation: Operation,
    way: Way,
    state: State,
) -> Result<Word, Failure>
where
    M: RawMutex,
    S: Strategy<u32, Receipt: Receipt, Received: Received> + 'c,
    R: Reader<M, S>,
{
    let meets = channel.capacity() == Some(0);
    let mine = &mut reader(channel);
    // A permit of a rendezvous waits for a receiver that waits, too.
    let joins = operation == Operation::Reserve && meets;
    let mut other = (state == State::Receiver || joins).then(|| reader(channel));
    if !prepare(channel, state) {
        return Ok(Word::impossible());
    }
    witness!(peer);
    let mut receiver = pin!(other.as_mut().map(Reader::recv));
    if state == State::Receiver {
        check!(poll_receiver(receiver.as_mut(), peer, false).is_none());
    }
    let mut sender: Pin<&mut Option<SendFuture<'_, M, u32, S>>> =
        pin!((state == State::Sender).then(|| channel.send(WAITING)));
    if state == State::Sender {
        poll_sender(sender.as_mut(), peer);
        if sender.is_none() {
            return Ok(Word::impossible());
        }
    }

    let before = channel.snapshot();
    let taken = Cell::new(false);
    let take = |value: Option<u32>| taken.set(taken.get() | (value == Some(MINE)));
    let end = perform(channel, mine, operation, way, |mine| {
        match (operation, mine) {
            (Operation::Closed, _) => {
                channel.close();
            }
            (_, Some(mine)) if !joins => take(mine.try_recv().ok().map(Received::id)),
            (_, None) => {
                let _ = channel.try_send(HELP);
            }
            _ => {}
        }
        // Whoever waited before is served first.
        take(poll_receiver(receiver.as_mut(), peer, joins));
        poll_sender(sender.as_mut(), peer);
    })?;
    let moved = counters(&before, &channel.snapshot());

    // Who has the value now?
    if state == State::Receiver || joins {
        take(poll_receiver(receiver.as_mut(), peer, false));
        receiver.set(None);
    }
    poll_sender(sender.as_mut(), peer);
    sender.set(None);
    let mut left = false;
    while let Ok(value) = mine.try_recv() {
        left |= value.id() == MINE;
    }
    let owners = [
        ("s", end.back),
        ("r", end.got.is_some()),
        ("p", taken.get()),
        ("c", left),
        ("h", hooked.get() != 0),
    ];
    let owners = Word::all(owners.into_iter().filter(|owner| owner.1).map(|owner| owner.0));
    // What was received, or replaced, is the oldest.
    let oldest = if meets { WAITING } else { OLDEST };
    check!(end.got.is_none_or(|got| got == oldest || got == HELP));
    check!([0, OLDEST, OLDEST + 1, MINE, MINE_TOO].contains(&hooked.get()));
    check!(reconciles(&channel.snapshot()));
    Ok(match end.count {
        Some(count) => Word::of(format_args!("{}{count}/{}/{}", end.how, &*owners, &*moved)),
        None => Word::of(format_args!("{}/{}/{}", end.how, &*owners, &*moved)),
    })
}

/// Polls a sender that waits, if there is one, and lets it go at its end.
fn poll_sender<M: RawMutex, S: Strategy<u32>>(
    mut sender: Pin<&mut Option<SendFuture<'_, M, u32, S>>>,
    peer: Pin<&Witness>,
) {
    if sender.as_mut().as_pin_mut().is_some_and(|sender| peer.poll(sender).is_ready()) {
        sender.set(None);
    }
    let _ = peer.wakes();
}

/// As [`poll_sender`], for a receiver, which may stay; what it has received.
fn poll_receiver<M: RawMutex, S: Strategy<u32, Received: Received>>(
    mut receiver: Pin<&mut Option<RecvFuture<'_, M, u32, S>>>,
    peer: Pin<&Witness>,
    stays: bool,
) -> Option<u32> {
    let polled = receiver.as_mut().as_pin_mut().map(|receiver| peer.poll(receiver));
    let _ = peer.wakes();
    match polled {
        Some(Poll::Ready(value)) => {
            if !stays {
                receiver.set(None);
            }
            value.ok().map(Received::id)
        }
        _ => None,
    }
}

/// Brings a fresh channel into a state; `false` if it cannot be.
fn prepare<M: RawMutex, S: Strategy<u32>>(channel: &Channel<M, u32, S>, state: State) -> bool {
    let meets = channel.capacity() == Some(0);
    let single = channel.capacity() == Some(1);
    match state {
        State::Empty | State::Receiver => true,
        State::Part => !meets && !single && channel.try_send(OLDEST).is_ok(),
        State::Full | State::Sender => {
            let mut value = OLDEST;
            let most = channel.capacity().unwrap_or(PATIENCE);
            while (value - OLDEST) < most as u32 && channel.try_send(value).is_ok() {
                value += 1;
            }
            state == State::Sender || value > OLDEST
        }
        State::Closed => channel.close(),
        State::Closing => channel.try_send(OLDEST).is_ok() && channel.close(),
    }
}

fn perform<M, S, R>(
    channel: &Channel<M, u32, S>,
    mine: &mut R,
    operation: Operation,
    way: Way,
    mut help: impl FnMut(Option<&mut R>),
) -> Result<End, Failure>
where
    M: RawMutex,
    S: Strategy<u32, Receipt: Receipt, Received: Received>,
    R: Reader<M, S>,
{
    let batch = [MINE, MINE_TOO];
    let sent = |receipt: S::Receipt| End::got(receipt.replaced());
    match (operation, way) {
        (Operation::Send, Way::Try) => {
            Ok(channel.try_send(MINE).map_or_else(End::of_try_send, sent))
        }
        (Operation::Send, way) => drive::<M, _>(
            channel.send(MINE),
            way,
            || help(Some(mine)),
            |result| result.map_or_else(End::of_send, sent),
            |send| End { back: send.take_value() == Some(MINE), ..End::just("waits") },
        ),
        (Operation::Reserve, Way::Try) => Ok(match channel.try_reserve() {
            Ok(permit) => sent(permit.send(MINE)),
            Err(TryReserveError::Full) => End::just("full"),
            Err(TryReserveError::Closed) => End::just("closed"),
        }),
        (Operation::Reserve, way) => drive::<M, _>(
            channel.reserve(),
            way,
            || help(Some(mine)),
            |result| result.map_or_else(End::of_reserve, |permit| sent(permit.send(MINE))),
            waits,
        ),
        (Operation::SendMany, Way::Try) => Ok(match channel.try_send_many(batch) {
            Ok(count) => End::just("ok").many(count),
            Err(partly) => End::partly(partly, End::of_try_send),
        }),
        (Operation::SendMany, way) => drive::<M, _>(
            channel.send_many(batch),
            way,
            || help(Some(mine)),
            |result| match result {
                Ok(count) => End::just("ok").many(count),
                Err(partly) => End::partly(partly, End::of_send),
            },
            |mut many| {
                let back = many.as_mut().take_value().is_some();
                End { back, ..End::just("waits") }.many(many.sent())
            },
        ),
        (Operation::Recv, Way::Try) => Ok(match mine.try_recv() {
            Ok(value) => End::got(Some(value.id())),
            Err(TryRecvError::Empty) => End::just("empty"),
            Err(TryRecvError::Closed) => End::just("closed"),
        }),
        (Operation::Recv, way) => {
            // The receiver is at work itself: the help is a sender's.
            drive::<M, _>(
                mine.recv(),
                way,
                || help(None),
                |result| result.map_or_else(End::of_recv, |value| End::got(Some(value.id()))),
                waits,
            )
        }
        (Operation::RecvMany, way) => {
            let mut few = Few::default();
            let end = drive::<M, _>(
                mine.recv_many(&mut few, 4),
                way,
                || help(None),
                |result| match result {
                    Ok(count) => End::just("ok").many(count),
                    Err(error) => End::of_recv(error),
                },
                waits,
            )?;
            Ok(End { got: (few.count > 0).then_some(few.first), ..end })
        }
        (Operation::Drain, _) => {
            let mut few = Few::default();
            mine.drain(&mut few);
            Ok(End::got((few.count > 0).then_some(few.first)).many(few.count))
        }
        (Operation::Close, _) => Ok(End::just(if channel.close() { "ok" } else { "closed" })),
        (Operation::Closed, way) => drive::<M, _>(
            channel.closed(),
            way,
            || help(Some(mine)),
            |result| result.map_or_else(End::of_stopped, |()| End::just("ok")),
            waits,
        ),
    }
}
