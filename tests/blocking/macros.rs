// Programs with the macros.

use std::time::Duration;

use crossbeam_channel::{
    Receiver, RecvError, Sender, after, bounded, never, select, select_biased, tick, unbounded,
};

const NOW: Duration = Duration::ZERO;
const LATE: Duration = Duration::from_secs(3600);

pub fn ways_to_write_it() -> Vec<String> {
    let (sender, receiver) = unbounded();
    let (full, _outbox) = bounded(1);
    full.send(0).unwrap();
    let mut seen = Vec::new();
    let fill = || sender.send(1).unwrap();

    // Commas, braces, trailing and not.
    fill();
    select! { recv(receiver) -> message => seen.push(format!("{message:?}")) }
    fill();
    select! { recv(receiver) -> message => seen.push(format!("{message:?}")), }
    fill();
    select! { recv(receiver) -> message => { seen.push(format!("{message:?}")) } }
    fill();
    select! {
        recv(receiver) -> message => { seen.push(format!("{message:?}")); }
        send(full, 1) -> sent => { seen.push(format!("{sent:?}")); }
    }
    fill();
    select! {
        recv(receiver,) -> message => { seen.push(format!("{message:?}")); },
        send(full, 1,) -> sent => { seen.push(format!("{sent:?}")); },
    }
    // Values.
    fill();
    let value = select! {
        recv(receiver) -> message => message.unwrap() + 1,
        recv(never::<u8>()) -> _ => unreachable!(),
        default => 0,
    };
    seen.push(value.to_string());
    let value: u32 = select! {
        default => if seen.is_empty() { 1 } else { 2 },
        recv(receiver) -> message => match message {
            Ok(number) => number + 3,
            Err(RecvError) => 9,
        },
    };
    seen.push(value.to_string());
    // Patterns.
    let (pairs, of_pairs) = bounded(1);
    pairs.send((1, "two")).unwrap();
    drop(pairs);
    for _ in 0..2 {
        let text = select_biased! {
            recv(of_pairs) -> pair => {
                let Ok((number, text)) = pair else { break };
                format!("{number} {text}")
            }
            recv(never::<()>()) -> (Ok(()) | Err(_)) => unreachable!(),
        };
        seen.push(text);
    }
    // Paths.
    fill();
    crossbeam_channel::select! { recv(receiver) -> _ => seen.push("path".into()) }
    crossbeam_channel::select_biased! {
        recv(receiver) -> _ => {}
        default() => seen.push("biased path".into()),
    }
    seen
}

pub fn values_are_computed_late() -> Vec<String> {
    let (first, _to_first) = bounded(1);
    let (second, to_second) = bounded(0);
    let mut computed = 0;
    let mut compute = || {
        computed += 1;
        computed
    };
    let mut seen = Vec::new();
    first.send(0).unwrap();
    // Nobody is ready.
    select! {
        send(first, compute()) -> _ => unreachable!(),
        default => seen.push("full".to_string()),
    }
    select! {
        send(second, compute()) -> _ => unreachable!(),
        default(Duration::from_millis(2)) => seen.push("nobody".to_string()),
    }
    // Somebody is.
    let thread = std::thread::spawn(move || to_second.recv());
    select! {
        send(second, compute()) -> sent => seen.push(format!("{sent:?}")),
        send(first, compute()) -> _ => unreachable!(),
    }
    seen.push(format!("{:?}", thread.join().unwrap()));
    // Nobody will be: the value comes back.
    select! {
        send(second, compute()) -> sent => seen.push(format!("{:?}", sent.map_err(|error| error.0))),
    }
    seen.push(computed.to_string());
    seen
}

pub fn control_flow() -> Vec<String> {
    fn first_even(receiver: &Receiver<u32>) -> Option<u32> {
        loop {
            select! {
                recv(receiver) -> number => match number {
                    Ok(number) if number % 2 == 0 => return Some(number),
                    Ok(_) => continue,
                    Err(_) => break,
                },
                default(LATE) => unreachable!(),
            }
        }
        None
    }
    fn question(sender: &Sender<u32>, value: u32) -> Result<&'static str, u32> {
        select! {
            send(sender, value) -> sent => sent.map_err(|error| error.into_inner())?,
        }
        Ok("sent")
    }
    let (sender, receiver) = unbounded();
    (1..6).for_each(|number| sender.send(number).unwrap());
    let mut seen =
        vec![format!("{:?}", first_even(&receiver)), format!("{:?}", first_even(&receiver))];
    seen.push(format!("{:?}", question(&sender, 9)));
    drop(receiver);
    seen.push(format!("{:?}", question(&sender, 10)));
    let (sender, receiver) = unbounded();
    (1..6).for_each(|number| sender.send(number).unwrap());
    drop(sender);
    let mut sum = 0;
    'all: loop {
        for _ in 0..2 {
            select! {
                recv(receiver) -> number => if let Ok(number) = number { sum += number } else { break 'all },
            }
        }
    }
    seen.push(sum.to_string());
    seen
}

pub fn borrowed_endpoints() -> Vec<String> {
    struct Pair {
        senders: Vec<Sender<u8>>,
        receivers: Vec<Receiver<u8>>,
    }
    let (senders, receivers) = (0..2).map(|_| bounded(2)).unzip();
    let mut pair = Pair { senders, receivers };
    let mut seen = Vec::new();
    let reference = &pair.receivers[0];
    let optional = pair.receivers.get(9);
    for _ in 0..3 {
        select! {
            send(&pair.senders[1], 5) -> sent => seen.push(format!("{sent:?}")),
            recv(reference) -> _ => unreachable!(),
            recv(&reference) -> _ => unreachable!(),
            recv(optional.unwrap_or(&never())) -> _ => unreachable!(),
            recv(after(LATE)) -> _ => unreachable!(),
            recv(tick(LATE)) -> _ => unreachable!(),
            default => seen.push("full".into()),
        }
    }
    // A body may change, move and drop what it has waited for.
    select! {
        recv(pair.receivers[1]) -> message => {
            pair.receivers.pop();
            seen.push(format!("{message:?} {}", pair.receivers.len()));
        }
    }
    let (sender, receiver) = bounded(1);
    select! {
        send(sender, "moved") -> _ => drop(sender),
        recv(receiver) -> _ => drop(receiver),
    }
    // One within the other.
    let (outer, from_outer) = unbounded();
    outer.send(1).unwrap();
    outer.send(2).unwrap();
    select! {
        recv(from_outer) -> one => select! {
            recv(from_outer) -> two => seen.push(format!("{one:?} {two:?}")),
            default => unreachable!(),
        },
        default => unreachable!(),
    }
    seen
}

pub fn defaults() -> Vec<String> {
    let (sender, receiver) = bounded::<u8>(1);
    let mut seen = Vec::new();
    select! { default => seen.push("alone".to_string()) }
    select! { default() => seen.push("alone".to_string()), }
    select! { default(NOW) => seen.push("at once".to_string()) }
    select! { default(Duration::from_millis(1)) => { seen.push("soon".to_string()); } }
    let start = std::time::Instant::now();
    select! {
        recv(receiver) -> _ => unreachable!(),
        recv(after(LATE)) -> _ => unreachable!(),
        default(Duration::from_millis(3)) => {
            seen.push(format!("{}", start.elapsed() >= Duration::from_millis(3)));
        }
    }
    select! {
        recv(receiver) -> _ => unreachable!(),
        recv(after(Duration::from_millis(3))) -> due => {
            seen.push(format!("{}", due.unwrap() >= start + Duration::from_millis(3)));
        }
        default(LATE) => unreachable!(),
    }
    sender.send(1).unwrap();
    select! {
        recv(receiver) -> message => seen.push(format!("{message:?}")),
        default(LATE) => unreachable!(),
    }
    // What is ready comes before time.
    sender.send(2).unwrap();
    select! {
        recv(receiver) -> message => seen.push(format!("{message:?}")),
        default(NOW) => unreachable!(),
    }
    seen
}

pub fn many_cases() -> Vec<String> {
    let (senders, receivers): (Vec<_>, Vec<_>) = (0..12).map(|_| bounded::<usize>(1)).unzip();
    let r = |at: usize| &receivers[at];
    let mut seen = Vec::new();
    for at in [11, 0, 7] {
        senders[at].send(at).unwrap();
        let message = select! {
            recv(r(0)) -> message => message,
            recv(r(1)) -> message => message,
            recv(r(2)) -> message => message,
            recv(r(3)) -> message => message,
            recv(r(4)) -> message => message,
            recv(r(5)) -> message => message,
            recv(r(6)) -> message => message,
            recv(r(7)) -> message => message,
            recv(r(8)) -> message => message,
            recv(r(9)) -> message => message,
            recv(r(10)) -> message => message,
            recv(r(11)) -> message => message,
        };
        seen.push(format!("{message:?}"));
    }
    // Of those that are ready a biased one takes the first.
    senders.iter().enumerate().for_each(|(at, sender)| sender.send(at).unwrap());
    for _ in 0..3 {
        select_biased! {
            recv(r(4)) -> message => seen.push(format!("{message:?}")),
            recv(r(2)) -> message => seen.push(format!("{message:?}")),
            recv(r(8)) -> message => seen.push(format!("{message:?}")),
        }
    }
    // Another takes each, sooner or later.
    let mut hits = [0; 3];
    for _ in 0..600 {
        let (one, from_one) = bounded(1);
        one.send(()).unwrap();
        select! {
            recv(from_one) -> _ => hits[0] += 1,
            recv(after(NOW)) -> _ => hits[1] += 1,
            send(bounded(1).0, ()) -> _ => hits[2] += 1,
        }
    }
    seen.push(format!("{}", hits.iter().all(|hits| *hits > 20)));
    seen
}

pub fn disconnected() -> Vec<String> {
    let mut seen = Vec::new();
    for capacity in [0, 1] {
        let (sender, receiver) = bounded::<u8>(capacity);
        drop(receiver);
        select! { send(sender, 1) -> sent => seen.push(format!("{sent:?}")) }
        select! {
            send(sender, 1) -> sent => seen.push(format!("{sent:?}")),
            default => unreachable!(),
        }
        let (sender, receiver) = bounded::<u8>(capacity);
        let left = sender.try_send(1).is_ok();
        drop(sender);
        seen.push(format!("{left}"));
        for _ in 0..2 {
            select! {
                recv(receiver) -> message => seen.push(format!("{message:?}")),
                default => unreachable!(),
            }
        }
    }
    seen
}
