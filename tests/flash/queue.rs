//! A queue over a log in flash.

use cloakroom::Arena;
use cloakroom::durable::{Queue, TryRecvError};
use cloakroom::journal::Journal;
use cloakroom::journal::flash::FlashLog;
use cloakroom::journal::flash::FlashOptions;
use cloakroom::sync::NoopRawMutex;

use crate::chip::Chip;
use crate::script::{Log, Memory, blank, options, slots};

type Orders<'q, 'a> = Queue<'q, 'a, NoopRawMutex, Log<'q, 4>, 4, 2>;

#[test]
fn messages_survive_and_come_in_order() {
    let arena: Arena<NoopRawMutex, 64, 64, 32> = Arena::new();
    let (chip, mut memory) = (Chip::<4>::of(&blank()), Memory::new());
    let at_once = FlashOptions { ack_at_once: true, ..options() };
    let order = |text: &[u8]| {
        arena.try_alloc_from(text).ok().and_then(|lease| lease.try_into_mut().ok()).unwrap()
    };
    {
        let (log, _) = FlashLog::open(slots(&chip), &mut memory, at_once).unwrap();
        let orders: Orders<'_, '_> = Queue::new(arena.handle(), &log, 1, ());
        for text in [b"one", b"two", b"ten"] {
            orders.try_send(order(text)).unwrap();
        }
        assert_eq!(&*orders.try_recv().unwrap().ack().unwrap(), b"one");
        // Received, and not done with, when the power fails:
        assert_eq!(&*orders.try_recv().unwrap(), b"two");
    }
    {
        let (log, report) = FlashLog::open(slots(&chip), &mut memory, at_once).unwrap();
        assert_eq!(report.pending, 2);
        let orders: Orders<'_, '_> = Queue::new(arena.handle(), &log, 1, ());
        let two = orders.try_recv().unwrap();
        assert!(two.may_be_again() && &*two == b"two");
        two.ack().unwrap();
        let ten = orders.try_recv().unwrap();
        assert_eq!(&*ten.ack().unwrap(), b"ten");
        assert!(matches!(orders.try_recv(), Err(TryRecvError::Empty)));
        assert_eq!(orders.try_send(order(b"new")).unwrap(), 4, "numbers go on");
        orders.close_for_good().unwrap();
    }
    let (log, _) = FlashLog::open(slots(&chip), &mut memory, options()).unwrap();
    assert!(log.is_closed(1));
    let orders: Orders<'_, '_> = Queue::new(arena.handle(), &log, 1, ());
    assert_eq!(&*orders.try_recv().unwrap().ack().unwrap(), b"new");
    assert!(matches!(orders.try_recv(), Err(TryRecvError::Closed)));
}

/// A closed channel is copied forward as messages are, for as long as the log is used.
#[test]
fn a_channel_stays_closed() {
    let (chip, mut memory) = (Chip::<4>::of(&blank()), Memory::new());
    let (log, _) = FlashLog::open(slots(&chip), &mut memory, options()).unwrap();
    Journal::close(&log, 9, ()).unwrap();
    for seq in 1..200 {
        log.keep(&cloakroom::journal::Entry { chan: 1, seq, payload: &[2; 90] }, ()).unwrap();
        log.forget(1, seq).unwrap();
    }
    assert!(log.durable().segment > 12);
    let (log, report) = FlashLog::open(slots(&chip), &mut memory, options()).unwrap();
    assert!(log.is_closed(9) && report.closed == 1);
}
