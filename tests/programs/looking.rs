//! crossbeam's `ready`: to be told that an operation would not wait, and to do it then.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

use cloakroom::TryRecvError;
use cloakroom::select::{SelectSet, select};

use crate::crew::{Crew, poll_once};
use crate::kinds::Kind;
use crate::sets::source;

on_every_kind!(every_crew: told_what_is_ready);
on_every_kind!(alone: looking_changes_nothing);
on_every_kind_with_room!(alone: two_that_look_do_not_keep_each_other_busy);

/// `ready`, then try: whoever is told that there is something may find that others were faster.
fn told_what_is_ready<K: Kind>(crew: Crew) {
    const EACH: u32 = 60;
    const LINES: usize = 3;
    crew.run(async {
        let lines: [_; LINES] = std::array::from_fn(|_| source::<K>(&crew, EACH));
        let received = Arc::new(AtomicUsize::new(0));
        for _ in 0..2 {
            let (lines, received) = (lines.clone(), received.clone());
            crew.spawn(async move {
                let mut receives = lines.each_ref().map(|line| Box::pin(line.recv()));
                let mut open = [true; LINES];
                let mut set = pin!(SelectSet::<_, LINES>::new().fair());
                for receive in &mut receives {
                    assert!(set.as_mut().add(receive.as_mut()).is_ok());
                }
                while !set.is_empty() {
                    let line = set.as_mut().ready().await;
                    assert!(open[line], "an arm that was removed is ready");
                    match lines[line].try_recv() {
                        Ok(_) => {
                            received.fetch_add(1, Ordering::Relaxed);
                        }
                        Err(TryRecvError::Empty) => {}
                        Err(TryRecvError::Closed) => {
                            assert!(set.as_mut().remove(line).is_some());
                            open[line] = false;
                        }
                    }
                }
            });
        }
    });
}

/// Of two that wait until there is something, and then try, one gets it.
fn two_that_look_do_not_keep_each_other_busy<K: Kind>() {
    let line = K::line::<u8>();
    let (mut a, mut b) = (pin!(select([line.recv()])), pin!(select([line.recv()])));
    let (mut a, mut b) = (pin!(a.as_mut().ready()), pin!(b.as_mut().ready()));
    assert!(poll_once(a.as_mut()).is_pending());
    assert!(poll_once(b.as_mut()).is_pending());
    assert!(line.try_send(1).is_ok());
    let mut received = 0;
    for _ in 0..4 {
        for looks in [&mut a, &mut b] {
            // Whoever gets nothing looks again.
            while received == 0 && poll_once(looks.as_mut()).is_ready() {
                received += u32::from(line.try_recv().is_ok());
            }
        }
    }
    assert_eq!(received, 1, "each was told, and then it was the other's");
}

/// Whoever looks whether an operation is ready has not begun it: to others, nobody is there.
fn looking_changes_nothing<K: Kind>() {
    let line = K::line::<u8>();
    let mut receives = pin!(select([line.recv()]));
    {
        let mut looks = pin!(receives.as_mut().ready());
        assert!(poll_once(looks.as_mut()).is_pending());
        if K::CAPACITY == Some(0) {
            assert!(line.try_send(1).is_err(), "it met somebody who only looks");
            let mut send = pin!(line.send(2));
            assert!(poll_once(send.as_mut()).is_pending());
            assert_eq!(poll_once(looks.as_mut()), Poll::Ready(0), "there is somebody to meet");
            assert_eq!(line.try_recv(), Ok(2));
            assert!(poll_once(send).is_ready());
        } else {
            assert!(line.try_send(1).is_ok());
            assert_eq!(poll_once(looks.as_mut()), Poll::Ready(0));
            assert_eq!(line.try_recv(), Ok(1));
        }
    }
    while line.try_send(3).is_ok() {}
    let mut send = pin!(line.send(4));
    {
        let mut sends = pin!(select([send.as_mut()]));
        let mut looks = pin!(sends.as_mut().ready());
        assert!(poll_once(looks.as_mut()).is_pending());
        if K::CAPACITY == Some(0) {
            assert!(line.try_recv().is_err(), "it took the value of somebody who only looks");
            let mut receive = pin!(line.recv());
            assert!(poll_once(receive.as_mut()).is_pending());
            assert_eq!(poll_once(looks.as_mut()), Poll::Ready(0), "there is somebody to meet");
            assert!(line.try_send(5).is_ok());
            assert_eq!(poll_once(receive), Poll::Ready(Ok(5)));
        } else {
            (0..K::STEP).for_each(|_| assert_eq!(line.try_recv(), Ok(3)));
            assert_eq!(poll_once(looks.as_mut()), Poll::Ready(0));
            assert!(line.try_send(6).is_ok(), "nobody holds the slot");
        }
    }
    assert_eq!(send.take_value(), Some(4));
}
