//! Several values at once, stopped in the middle.

use core::future::poll_fn;
use core::pin::pin;
use core::task::Poll;

use cloakroom::channel::{Buffered, Channel, Rendezvous};
use cloakroom::limit::{Operation, Stopped};
use cloakroom::select::{Either, Either3, plain, select};
use cloakroom::sync::RawMutex;
use cloakroom::{PartlySent, SendTimeoutError};

use crate::check::Outcome;
use crate::fixture::{reconciles, witness};

tests!("batches":
    rule_1_a_batch_that_is_stopped_says_what_is_left,
    a_batch_goes_on_without_a_value_that_was_taken_back,
    rule_4_receiving_none_is_an_arm_like_any_other,
);

type Ring<M> = Channel<M, u32, Buffered<1>>;

/// A slot is handed to its second value in the moment of the timeout: that is sent, and the third is given back.
fn rule_1_a_batch_that_is_stopped_says_what_is_left<M: RawMutex + 'static>() -> Outcome {
    let ring = Ring::<M>::new();
    witness!(w);
    let mut values = 1..=4;
    {
        let mut batch = pin!(ring.send_many(values.by_ref()));
        check!(w.poll(batch.as_mut()).is_pending());
        check_eq!(ring.try_recv(), Ok(1));
        let stopped = expect!(batch.abandon(Stopped::Timeout), Some(Err(stopped)) => stopped);
        let PartlySent { sent, error } = stopped;
        check!(matches!((sent, error), (2, SendTimeoutError::Timeout(3))));
    }
    check_eq!((values.next(), ring.try_recv()), (Some(4), Ok(2)));

    // Nothing was left: the whole batch was sent.
    let mut batch = pin!(ring.send_many([5, 6]));
    check!(w.poll(batch.as_mut()).is_pending());
    check_eq!(ring.try_recv(), Ok(5));
    check!(matches!(batch.abandon(Stopped::Cancelled), Some(Ok(2))));
    check_eq!(ring.try_recv(), Ok(6));
    check!(reconciles(&ring.snapshot()));
    Ok(())
}

fn a_batch_goes_on_without_a_value_that_was_taken_back<M: RawMutex + 'static>() -> Outcome {
    let ring = Ring::<M>::new();
    witness!(w);
    let mut batch = pin!(ring.send_many(1..=3));
    check_eq!(batch.as_mut().take_value(), None);
    check!(w.poll(batch.as_mut()).is_pending());
    check_eq!(batch.as_mut().take_value(), Some(2));
    check_eq!(ring.try_recv(), Ok(1));
    check!(matches!(ready!(w.poll(batch)), Ok(2)));
    check_eq!(ring.try_recv(), Ok(3));
    Ok(())
}

/// Where values go that nobody wants.
struct Nowhere;

impl Extend<u32> for Nowhere {
    fn extend<I: IntoIterator<Item = u32>>(&mut self, values: I) {
        values.into_iter().for_each(drop);
    }
}

/// It is ready at once, but not once the value of another arm has been taken by a receiver.
fn rule_4_receiving_none_is_an_arm_like_any_other<M: RawMutex + 'static>() -> Outcome {
    let (meeting, ring) = (Channel::<M, u32, Rendezvous>::new(), Ring::<M>::new());
    witness!(w);
    let mut nowhere = Nowhere;
    {
        let mut nothing = pin!(ring.recv_many(&mut nowhere, 0));
        check!(matches!(ready!(w.poll(nothing.as_mut())), Ok(0)));
        {
            let mut either = pin!(select((meeting.send(1), nothing.as_mut())));
            check_eq!(either.as_mut().try_ready(), Some(1));
            check!(matches!(ready!(w.poll(either)), Either::Second(Ok(0))));
        }
        check!(matches!(nothing.abandon(Stopped::Timeout), Some(Ok(0))));
    }
    let mut send = pin!(meeting.send(2));
    check!(w.poll(send.as_mut()).is_pending());
    // The select is decided while its first arm is polled.
    let takes = plain(poll_fn(|_| {
        let taken = meeting.try_recv();
        if taken == Ok(2) { Poll::<()>::Pending } else { Poll::Ready(()) }
    }));
    let either = pin!(select((takes, ring.recv_many(&mut nowhere, 0), send)));
    check!(matches!(ready!(w.poll(either)), Either3::Third(Ok(()))));
    Ok(())
}
