// Programs with a `Select` that is listed at run time.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use crossbeam_channel::{
    Receiver, RecvError, Select, SelectedOperation, Sender, bounded, never, unbounded,
};

use super::operations::Dice;

/// Does what was selected, and says what came of it.
fn finish(
    operation: SelectedOperation<'_>,
    senders: &[Sender<u32>],
    receivers: &[Receiver<u32>],
    value: u32,
) -> String {
    let index = operation.index();
    match senders.get(index) {
        Some(sender) => format!("{index}: {:?}", operation.send(sender, value)),
        None => format!("{index}: {:?}", operation.recv(&receivers[index - senders.len()])),
    }
}

pub fn random_selects() -> Vec<String> {
    let mut seen = Vec::new();
    for seed in 1..60 {
        let mut dice = Dice(seed * 77);
        let (mut senders, mut receivers): (Vec<_>, Vec<_>) = (0..4)
            .map(|_| match dice.below(5) {
                0 => unbounded(),
                capacity => bounded(capacity as usize - 1),
            })
            .unzip();
        // Some have no other side.
        if dice.below(3) == 0 {
            let dead = bounded(1).0;
            senders[dice.below(4) as usize] = dead;
        }
        if dice.below(3) == 0 {
            let dead = unbounded().1;
            receivers[dice.below(4) as usize] = dead;
        }
        for value in 0..60 {
            let mut select = Select::new_biased();
            for sender in &senders {
                select.send(sender);
            }
            for receiver in &receivers {
                select.recv(receiver);
            }
            // Leaves the sends out, or the first receives: they would always be ready. From the end, as the order of
            // the others is to stay.
            let left = dice.below(6) as usize;
            let mut select = if left < 4 {
                let mut fewer = Select::new_biased();
                for (at, sender) in senders.iter().enumerate() {
                    let index = fewer.send(sender);
                    if at >= left {
                        fewer.remove(index);
                    }
                }
                for receiver in &receivers {
                    fewer.recv(receiver);
                }
                fewer
            } else {
                select
            };
            let chosen = match dice.below(4) {
                0 => select.try_select().ok(),
                1 => select.select_timeout(Duration::ZERO).ok(),
                2 => select.select_deadline(Instant::now()).ok(),
                _ => match select.try_ready() {
                    Ok(index) => {
                        seen.push(format!("ready: {index}"));
                        select.try_select().ok()
                    }
                    Err(error) => {
                        seen.push(format!("{error:?}"));
                        None
                    }
                },
            };
            seen.push(match chosen {
                Some(operation) => finish(operation, &senders, &receivers, value),
                None => "nothing".into(),
            });
            seen.extend(receivers.iter().map(|receiver| receiver.len().to_string()));
        }
    }
    seen
}

/// From the documentation of most programs that do this.
fn recv_from_any<T>(receivers: &[Receiver<T>]) -> Result<T, RecvError> {
    let mut select = Select::new();
    for receiver in receivers {
        select.recv(receiver);
    }
    let operation = select.select();
    let index = operation.index();
    operation.recv(&receivers[index])
}

/// The same, with being ready alone.
fn recv_when_ready<T>(receivers: &[Receiver<T>]) -> Result<T, RecvError> {
    let mut select = Select::new();
    for receiver in receivers {
        select.recv(receiver);
    }
    loop {
        let index = select.ready();
        let result = receivers[index].try_recv();
        if let Err(error) = result {
            if error.is_empty() {
                continue;
            }
        }
        return result.map_err(|_| RecvError);
    }
}

pub fn dynamic_lists() -> Vec<String> {
    let mut seen = Vec::new();
    for recv in [recv_from_any, recv_when_ready] {
        let (senders, receivers): (Vec<_>, Vec<_>) = (0..100).map(|_| bounded(1)).unzip();
        for at in [3, 99, 0, 50] {
            senders[at].send(at).unwrap();
            seen.push(format!("{:?}", recv(&receivers)));
        }
        drop(senders);
        seen.push(format!("{:?}", recv(&receivers)));
    }
    // One list, used again and again, and two operations pending at once.
    let (to_first, first) = unbounded();
    let (to_second, second) = unbounded();
    let mut select = Select::new();
    select.recv(&first);
    select.recv(&second);
    for number in 0..4 {
        to_first.send(number).unwrap();
        let operation = select.select();
        seen.push(format!("{operation:?} {select:?}"));
        seen.push(format!("{} {:?}", operation.index(), operation.recv(&first)));
    }
    to_first.send(10).unwrap();
    to_second.send(20).unwrap();
    let (one, other) = (select.select(), select.clone().select());
    let mut both = vec![one, other];
    both.sort_by_key(SelectedOperation::index);
    for (operation, receiver) in both.into_iter().zip([&first, &second]) {
        seen.push(format!("{:?}", operation.recv(receiver)));
    }
    seen.push(format!("{:?}", select.try_select().is_err()));
    seen
}

pub fn removing() -> Vec<String> {
    let (sender, receiver) = unbounded();
    (0..3).for_each(|number| sender.send(number).unwrap());
    let nothing = never::<u8>();
    let mut select = Select::new();
    let indices = [select.recv(&receiver), select.send(&sender), select.recv(&nothing)];
    select.remove(indices[1]);
    let operation = select.select();
    let mut seen =
        vec![format!("{indices:?} {} {:?}", operation.index(), operation.recv(&receiver))];
    select.remove(indices[0]);
    seen.push(format!("{:?}", select.try_select().map(|operation| operation.index())));
    seen.push(format!("{}", select.recv(&receiver)));
    let operation = select.select();
    seen.push(format!("{} {:?}", operation.index(), operation.recv(&receiver)));
    seen
}

pub fn looking() -> Vec<String> {
    let (sender, receiver) = bounded(1);
    let (_other, quiet) = bounded::<u8>(0);
    let mut seen = Vec::new();
    let look = |seen: &mut Vec<String>| {
        let mut select = Select::new_biased();
        select.recv(&quiet);
        select.recv(&receiver);
        select.send(&sender);
        seen.push(format!("{:?} {:?}", select.try_ready(), select.ready_timeout(Duration::ZERO)));
        seen.push(format!("{:?} {}", select.ready_deadline(Instant::now()), select.ready()));
    };
    look(&mut seen);
    sender.send(1).unwrap();
    look(&mut seen);
    // Looking has taken nothing.
    seen.push(format!("{:?}", receiver.try_recv()));
    look(&mut seen);
    seen
}

/// What a panic said.
fn complaint(program: impl FnOnce()) -> String {
    match catch_unwind(AssertUnwindSafe(program)) {
        Ok(()) => "nothing".into(),
        Err(payload) => payload
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| payload.downcast_ref::<&str>().map(ToString::to_string))
            .unwrap_or_else(|| "something else".into()),
    }
}

pub fn mistakes() -> Vec<String> {
    let (sender, receiver) = unbounded();
    sender.send(1).unwrap();
    vec![
        complaint(|| drop(Select::new().select())),
        complaint(|| {
            Select::new().ready();
        }),
        complaint(|| Select::new().remove(5)),
        complaint(|| {
            let mut select = Select::new();
            let index = select.recv(&receiver);
            select.remove(index);
            select.remove(index);
        }),
        complaint(|| {
            let mut select = Select::new();
            select.recv(&receiver);
            drop(select.select());
        }),
    ]
}
