// Programs of one thread: each result of each operation.

use std::cell::Cell;
use std::fmt::Debug;
use std::time::{Duration, Instant};

use crossbeam_channel::{
    Receiver, RecvError, RecvTimeoutError, SendError, SendTimeoutError, Sender, TryRecvError,
    TrySendError, after, at, bounded, never, tick, unbounded,
};

/// The same numbers in each run.
pub struct Dice(pub u32);

impl Dice {
    pub fn below(&mut self, limit: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0 % limit
    }
}

fn pair<T>(capacity: Option<usize>) -> (Sender<T>, Receiver<T>) {
    capacity.map_or_else(unbounded, bounded)
}

const CAPACITIES: [Option<usize>; 5] = [Some(0), Some(1), Some(3), Some(40), None];

fn about<T>(sender: &Sender<T>, receiver: &Receiver<T>) -> String {
    format!(
        "{} {} {} {:?} / {} {} {} {:?}",
        sender.len(),
        sender.is_empty(),
        sender.is_full(),
        sender.capacity(),
        receiver.len(),
        receiver.is_empty(),
        receiver.is_full(),
        receiver.capacity()
    )
}

pub fn random_operations() -> Vec<String> {
    let mut seen = Vec::new();
    for (seed, capacity) in CAPACITIES.into_iter().enumerate() {
        let (sender, receiver) = pair(capacity);
        let mut dice = Dice(seed as u32 + 7);
        let now = Instant::now();
        for number in 0..3_000u32 {
            seen.push(match dice.below(7) {
                0 | 1 => format!("{:?}", sender.try_send(number)),
                2 => format!("{:?}", receiver.try_recv()),
                3 => format!("{:?}", sender.send_timeout(number, Duration::ZERO)),
                4 => format!("{:?}", receiver.recv_timeout(Duration::ZERO)),
                5 => format!(
                    "{:?} {:?}",
                    sender.send_deadline(number, now),
                    receiver.recv_deadline(now)
                ),
                _ => about(&sender, &receiver),
            });
        }
        drop(sender);
        seen.push(format!("{:?}", receiver.iter().collect::<Vec<_>>()));
    }
    seen
}

pub fn endpoints_come_and_go() -> Vec<String> {
    let mut seen = Vec::new();
    for (seed, capacity) in CAPACITIES.into_iter().enumerate() {
        let mut dice = Dice(seed as u32 + 99);
        for _ in 0..100 {
            let (sender, receiver) = pair(capacity);
            let (mut senders, mut receivers) = (vec![sender], vec![receiver]);
            for number in 0..30 {
                let of = |dice: &mut Dice, count: usize| dice.below(count.max(1) as u32) as usize;
                match dice.below(6) {
                    0 => {
                        let at = of(&mut dice, senders.len());
                        senders.extend(senders.get(at).cloned());
                    }
                    1 => {
                        let at = of(&mut dice, receivers.len());
                        receivers.extend(receivers.get(at).cloned());
                    }
                    2 if !senders.is_empty() => {
                        drop(senders.swap_remove(of(&mut dice, senders.len())))
                    }
                    3 if !receivers.is_empty() => {
                        drop(receivers.swap_remove(of(&mut dice, receivers.len())));
                    }
                    4 => seen.extend(
                        senders.last().map(|sender| format!("{:?}", sender.try_send(number))),
                    ),
                    _ => seen.extend(
                        receivers.last().map(|receiver| format!("{:?}", receiver.try_recv())),
                    ),
                }
                // What nobody will receive is not there for equally long.
                if !receivers.is_empty() {
                    seen.extend(senders.first().map(|sender| format!("{}", sender.len())));
                }
                seen.extend(receivers.first().map(|receiver| format!("{}", receiver.len())));
            }
        }
    }
    seen
}

pub fn errors_speak() -> Vec<String> {
    fn both(error: impl std::error::Error) -> String {
        format!("{error:?} / {error} / {error:>60}")
    }
    let (sender, receiver) = bounded(1);
    sender.send("one").unwrap();
    let full = sender.try_send("two").unwrap_err();
    let late = sender.send_timeout("three", Duration::ZERO).unwrap_err();
    let kept = receiver.clone();
    drop((receiver, kept));
    let refused = sender.try_send("four").unwrap_err();
    let gone = sender.send("five").unwrap_err();
    let gone_too = sender.send_timeout("six", Duration::from_secs(9)).unwrap_err();
    let (sender, receiver) = bounded::<u8>(1);
    let empty = receiver.try_recv().unwrap_err();
    let timeout = receiver.recv_timeout(Duration::ZERO).unwrap_err();
    drop(sender);
    let mut select = crossbeam_channel::Select::new();
    vec![
        both(full),
        both(late),
        both(refused),
        both(gone),
        both(gone_too),
        both(empty),
        both(timeout),
        both(receiver.try_recv().unwrap_err()),
        both(receiver.recv().unwrap_err()),
        both(receiver.recv_timeout(Duration::from_secs(9)).unwrap_err()),
        both(select.try_select().unwrap_err()),
        both(select.select_timeout(Duration::ZERO).unwrap_err()),
        format!("{:?} {:?}", select.try_ready(), select.ready_timeout(Duration::ZERO)),
        format!("{} {} {}", full.is_full(), full.is_disconnected(), full.into_inner()),
        format!("{} {} {}", late.is_timeout(), late.is_disconnected(), late.into_inner()),
        format!("{} {}", gone.into_inner(), gone == SendError("five")),
        format!("{} {}", empty.is_empty(), empty.is_disconnected()),
        format!("{} {}", timeout.is_timeout(), timeout.is_disconnected()),
        format!("{:?}", TrySendError::from(gone)),
        format!("{:?}", SendTimeoutError::from(gone).is_disconnected()),
        format!("{:?} {:?}", TryRecvError::from(RecvError), RecvTimeoutError::from(RecvError)),
    ]
}

pub fn values_are_dropped() -> Vec<String> {
    struct Value<'a>(&'a Cell<usize>);
    impl Drop for Value<'_> {
        fn drop(&mut self) {
            self.0.set(self.0.get() + 1);
        }
    }
    let mut seen = Vec::new();
    for capacity in [Some(1), Some(5), None] {
        let dropped = Cell::new(0);
        let (sender, receiver) = pair(capacity);
        for _ in 0..4 {
            drop(sender.try_send(Value(&dropped)));
        }
        seen.push(format!("refused: {}", dropped.replace(0)));
        drop(receiver.try_recv());
        seen.push(format!("received: {}", dropped.replace(0)));
        let second = sender.clone();
        drop(sender);
        seen.push(format!("one sender less: {}", dropped.get()));
        // When exactly, what nobody will receive is dropped, is not the same.
        drop(receiver);
        drop(second.send(Value(&dropped)));
        drop(second);
        seen.push(format!("nobody is there: {}", dropped.replace(0)));

        let (sender, receiver) = pair(capacity);
        drop(sender.try_send(Value(&dropped)));
        drop(sender);
        seen.push(format!("nobody sends: {}", dropped.get()));
        drop(receiver);
        seen.push(format!("nobody is there: {}", dropped.get()));
    }
    seen
}

pub fn iterators() -> Vec<String> {
    let (sender, receiver) = unbounded();
    let fill = || (0..5).for_each(|number| sender.send(number).unwrap());
    fill();
    let mut seen = vec![format!("{:?}", receiver.try_iter().collect::<Vec<_>>())];
    fill();
    let mut iter = receiver.iter();
    seen.push(format!("{:?} {:?} {iter:?}", iter.next(), iter.next()));
    seen.push(format!("{:?} {:?} {:?}", sender, receiver, receiver.try_iter()));
    let mut sum = 0;
    drop(sender);
    for number in &receiver {
        sum += number;
    }
    let mut all = receiver.into_iter();
    seen.push(format!("{sum} {:?} {all:?}", all.next()));
    seen
}

pub fn same_channels() -> Vec<String> {
    let mut seen = Vec::new();
    for capacity in CAPACITIES {
        let (sender, receiver) = pair::<u8>(capacity);
        let (other, another) = pair::<u8>(capacity);
        seen.push(format!(
            "{} {} {} {}",
            sender.same_channel(&sender.clone()),
            sender.same_channel(&other),
            receiver.same_channel(&receiver.clone()),
            receiver.same_channel(&another)
        ));
        seen.push(format!("{}", receiver.same_channel(&never())));
    }
    let now = Instant::now();
    let (one, two) = (at(now), at(now));
    seen.push(format!("{} {}", one.same_channel(&one.clone()), one.same_channel(&two)));
    let (one, two) = (tick(Duration::from_secs(1)), tick(Duration::from_secs(1)));
    seen.push(format!("{} {}", one.same_channel(&one.clone()), one.same_channel(&two)));
    seen.push(format!("{}", never::<u8>().same_channel(&never())));
    seen
}

pub fn timers() -> Vec<String> {
    fn state(receiver: &Receiver<Instant>) -> String {
        format!(
            "{} {} {} {:?}",
            receiver.len(),
            receiver.is_empty(),
            receiver.is_full(),
            receiver.capacity()
        )
    }
    const SOON: Duration = Duration::from_millis(5);
    const LATE: Duration = Duration::from_secs(3600);
    let start = Instant::now();
    let mut seen = Vec::new();
    // Due at once, once.
    let due = at(start);
    seen.push(state(&due));
    seen.push(format!("{:?}", due.recv() == Ok(start)));
    seen.push(format!("{:?} {}", due.try_recv(), state(&due)));
    seen.push(format!("{:?}", due.recv_timeout(SOON)));
    // Due by a deadline that has passed before it was due.
    let before = start.checked_sub(SOON).unwrap();
    seen.push(format!("{:?}", at(start).recv_deadline(before) == Ok(start)));
    // Later.
    let late = after(LATE);
    seen.push(format!("{} {:?} {:?}", state(&late), late.try_recv(), late.recv_timeout(SOON)));
    let soon = after(SOON);
    seen.push(format!("{}", soon.recv().unwrap() >= start + SOON));
    let waited = after(SOON).recv_timeout(LATE).unwrap();
    seen.push(format!("{}", Instant::now() >= waited));
    // Again and again.
    let ticks = tick(SOON);
    let instants: Vec<_> = ticks.iter().take(4).collect();
    seen.push(format!("{}", instants.windows(2).all(|two| two[1] >= two[0] + SOON)));
    seen.push(format!("{:?}", tick(LATE).try_recv()));
    seen.push(format!("{:?}", tick(LATE).recv_deadline(start)));
    // Not in a burst: one, and on a busy machine those that have become due meanwhile.
    let ticks = tick(SOON);
    std::thread::sleep(SOON * 8);
    seen.push(format!("{}", ticks.try_iter().take(8).count() < 8));
    // Never.
    let nothing = never::<u8>();
    seen.push(format!("{:?} {:?}", nothing.try_recv(), nothing.recv_timeout(SOON)));
    seen.push(format!("{} {} {:?}", nothing.len(), nothing.is_full(), nothing.capacity()));
    seen.push(format!("{:?}", after(Duration::MAX).recv_timeout(SOON)));
    seen
}

pub fn numbers_of_all_sizes() -> Vec<String> {
    fn through<T: Copy + Debug>(value: T, seen: &mut Vec<String>) {
        for capacity in [Some(1), Some(33), None] {
            let (sender, receiver) = pair(capacity);
            let sent = (0..70).filter(|_| sender.try_send(value).is_ok()).count();
            drop(sender);
            seen.push(format!("{sent} {:?}", receiver.iter().last()));
        }
    }
    let mut seen = Vec::new();
    through((), &mut seen);
    through(1u8, &mut seen);
    through(u128::MAX, &mut seen);
    through([7u64; 300], &mut seen);
    seen
}
