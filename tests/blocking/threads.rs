// Programs of several threads, whose results do not depend on who was faster.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, Select, Sender, bounded, select, tick, unbounded};

const CAPACITIES: [Option<usize>; 4] = [Some(0), Some(1), Some(16), None];

fn pair<T>(capacity: Option<usize>) -> (Sender<T>, Receiver<T>) {
    capacity.map_or_else(unbounded, bounded)
}

pub fn a_pipeline() -> Vec<String> {
    let mut seen = Vec::new();
    for capacity in CAPACITIES {
        let (first, second) = (pair(capacity), pair(capacity));
        thread::scope(|scope| {
            let (to_first, from_first) = first;
            let (to_second, from_second) = second;
            scope.spawn(move || (1..=500u64).for_each(|number| to_first.send(number).unwrap()));
            scope.spawn(move || {
                for number in from_first {
                    to_second.send(number * number).unwrap();
                }
            });
            seen.push(format!("{:?}", from_second.iter().collect::<Vec<_>>()));
        });
    }
    seen
}

pub fn fan_in() -> Vec<String> {
    const SENDERS: usize = 4;
    const EACH: usize = 300;
    let mut seen = Vec::new();
    for capacity in CAPACITIES {
        thread::scope(|scope| {
            let (senders, receivers): (Vec<_>, Vec<_>) =
                (0..SENDERS).map(|_| pair(capacity)).unzip();
            for sender in senders {
                scope.spawn(move || (0..EACH).for_each(|number| sender.send(number).unwrap()));
            }
            let mut select = Select::new();
            for receiver in &receivers {
                select.recv(receiver);
            }
            let (mut open, mut next) = (SENDERS, [0; SENDERS]);
            while open > 0 {
                let operation = select.select();
                let index = operation.index();
                match operation.recv(&receivers[index]) {
                    Ok(number) => {
                        assert_eq!(number, next[index]);
                        next[index] += 1;
                    }
                    Err(_) => {
                        select.remove(index);
                        open -= 1;
                    }
                }
            }
            seen.push(format!("{next:?}"));
        });
    }
    seen
}

/// Both sides of a rendezvous select: what one has sent the other has received, though each may as well stop.
pub fn rendezvous_of_selects() -> Vec<String> {
    const ROUNDS: usize = 200;
    let mut seen = Vec::new();
    let (sent, received) = (AtomicUsize::new(0), AtomicUsize::new(0));
    for round in 0..ROUNDS {
        let (sender, receiver) = bounded(0);
        let (stop, stopped) = bounded::<()>(0);
        thread::scope(|scope| {
            for _ in 0..2 {
                let (sender, stopped) = (sender.clone(), stopped.clone());
                let sent = &sent;
                scope.spawn(move || {
                    loop {
                        select! {
                            send(sender, round) -> result => {
                                assert!(result.is_ok());
                                sent.fetch_add(1, Relaxed);
                            }
                            recv(stopped) -> _ => break,
                        }
                    }
                });
            }
            for _ in 0..2 {
                let (receiver, stopped) = (receiver.clone(), stopped.clone());
                let received = &received;
                scope.spawn(move || {
                    loop {
                        select! {
                            recv(receiver) -> result => {
                                assert_eq!(result, Ok(round));
                                received.fetch_add(1, Relaxed);
                            }
                            recv(stopped) -> _ => break,
                        }
                    }
                });
            }
            for _ in 0..5 {
                assert_eq!(receiver.recv(), Ok(round));
                received.fetch_add(1, Relaxed);
            }
            drop(stop);
        });
    }
    seen.push(format!("{}", sent.load(Relaxed) == received.load(Relaxed)));
    seen.push(format!("{}", sent.load(Relaxed) >= 5 * ROUNDS));
    seen
}

/// Each thread sends and receives, whatever comes first, on channels that they share: all is received once.
pub fn everybody_selects() -> Vec<String> {
    const THREADS: usize = 4;
    const EACH: usize = 200;
    let mut seen = Vec::new();
    for capacity in CAPACITIES {
        let (sender, receiver) = pair(capacity);
        let (back, returned) = unbounded();
        thread::scope(|scope| {
            for number in 0..THREADS {
                let (sender, receiver, back) = (sender.clone(), receiver.clone(), back.clone());
                scope.spawn(move || {
                    let mut to_send = (0..EACH).map(|at| number * EACH + at).peekable();
                    while let Some(&next) = to_send.peek() {
                        select! {
                            send(sender, next) -> sent => {
                                sent.unwrap();
                                to_send.next();
                            }
                            recv(receiver) -> value => back.send(value.unwrap()).unwrap(),
                        }
                    }
                    drop(sender);
                    for value in receiver {
                        back.send(value).unwrap();
                    }
                });
            }
            drop((sender, receiver, back));
            let mut all: Vec<_> = returned.iter().collect();
            all.sort_unstable();
            seen.push(format!("{all:?}"));
        });
    }
    seen
}

/// Hoare's sieve: a thread and a channel for each prime.
pub fn sieve() -> Vec<String> {
    let mut seen = Vec::new();
    for capacity in [0, 1] {
        let (sender, mut receiver) = bounded(capacity);
        let mut threads = vec![thread::spawn(move || {
            for number in 2.. {
                if sender.send(number).is_err() {
                    break;
                }
            }
        })];
        let mut primes = Vec::new();
        for _ in 0..25 {
            let prime: u32 = receiver.recv().unwrap();
            primes.push(prime);
            let (filtered, next) = bounded(capacity);
            threads.push(thread::spawn(move || {
                for number in receiver.iter().filter(|number| number % prime != 0) {
                    if filtered.send(number).is_err() {
                        break;
                    }
                }
            }));
            receiver = next;
        }
        drop(receiver);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        seen.push(format!("{primes:?}"));
    }
    seen
}

pub fn ping_pong() -> Vec<String> {
    let mut seen = Vec::new();
    for capacity in CAPACITIES {
        let ((ping, pings), (pong, pongs)) = (pair(capacity), pair(capacity));
        let thread = thread::spawn(move || {
            for number in pings {
                pong.send(number + 1).unwrap();
            }
        });
        let mut number = 0u32;
        for _ in 0..1_000 {
            ping.send(number).unwrap();
            number = pongs.recv().unwrap();
        }
        drop(ping);
        thread.join().unwrap();
        seen.push(format!("{number} {:?}", pongs.recv()));
    }
    seen
}

pub fn closing_wakes_everybody() -> Vec<String> {
    let mut seen = Vec::new();
    for capacity in [Some(0), Some(1)] {
        let (sender, receiver) = pair(capacity);
        while sender.try_send(0).is_ok() {}
        let (back, returned) = unbounded();
        thread::scope(|scope| {
            for number in 1..=3 {
                let (sender, back) = (sender.clone(), back.clone());
                scope.spawn(move || {
                    let result = if number == 3 {
                        select! { send(sender, number) -> result => result }
                    } else {
                        sender.send(number)
                    };
                    back.send(result.map_err(|error| error.into_inner())).unwrap();
                });
            }
            thread::sleep(Duration::from_millis(20));
            drop(receiver);
            let mut all: Vec<_> = returned.iter().take(3).collect();
            all.sort();
            seen.push(format!("{all:?}"));
        });

        let (sender, receiver) = pair::<u8>(capacity);
        let (back, returned) = unbounded();
        thread::scope(|scope| {
            for number in 1..=3 {
                let (receiver, back) = (receiver.clone(), back.clone());
                scope.spawn(move || {
                    let result = if number == 3 {
                        select! { recv(receiver) -> result => result }
                    } else {
                        receiver.recv()
                    };
                    back.send(result).unwrap();
                });
            }
            thread::sleep(Duration::from_millis(20));
            drop(sender);
            seen.push(format!("{:?}", returned.iter().take(3).collect::<Vec<_>>()));
        });
    }
    seen
}

pub fn workers_and_a_tick() -> Vec<String> {
    let (jobs, inbox) = bounded(2);
    let (results, outbox) = bounded(2);
    let workers: Vec<_> = (0..3)
        .map(|_| {
            let (inbox, results) = (inbox.clone(), results.clone());
            thread::spawn(move || inbox.iter().for_each(|job: u64| results.send(job * 2).unwrap()))
        })
        .collect();
    drop((inbox, results));
    let ticks = tick(Duration::from_micros(200));
    let (mut ticked, mut sum, mut next) = (0, 0, 0);
    let mut jobs = Some(jobs);
    loop {
        match &jobs {
            Some(sender) => select! {
                send(sender, next) -> sent => {
                    sent.unwrap();
                    next += 1;
                }
                recv(outbox) -> result => sum += result.unwrap(),
                recv(ticks) -> _ => ticked += 1,
            },
            None => match outbox.recv() {
                Ok(result) => sum += result,
                Err(_) => break,
            },
        }
        if next == 500 {
            jobs = None;
        }
    }
    workers.into_iter().for_each(|worker| worker.join().unwrap());
    ticked += ticks.recv().iter().count();
    vec![format!("{sum} {next} {}", ticked > 0)]
}
