//! Loans that are renewed: one side goes on to its next segment, and the other side notices nothing.
//!
//! Otherwise both lanes' locks would be taken by both sides at each segment, and biased to neither.

use super::Lanes;
use super::lane::{End, LINES_AHEAD, MOST};
#[cfg(doc)]
use crate::channel::aside::Lending;
use crate::channel::aside::{Passed, Returned, Window};
use crate::prefetch;

impl<T> End<T> {
    /// Something else is lent, when so many have gone by.
    fn renew(&mut self, window: Window<T>, passed: usize) {
        (self.bytes, self.copied, self.failures) = (0, 0, 0);
        self.set(window, passed);
    }
}

impl<T> Lanes<T> {
    /// As [`Lending::renew_sends`].
    ///
    /// # Safety
    /// As there.
    pub(super) unsafe fn go_on_sending(
        &self,
        renew: impl FnOnce(Returned) -> Option<Window<T>>,
    ) -> bool {
        // Nobody closes it meanwhile, as that takes the channel's lock.
        let (true, Ok(mut end)) = (self.is_lent.get(), self.tail.enter()) else { return false };
        let passed = self.tail.own_passed();
        if passed != end.last {
            // Another sender has come before.
            return true;
        }
        if passed == MOST {
            return false;
        }
        let sends = end.since(passed.wrapping_sub(self.told[0].get()));
        let returned = Returned { high_water: end.high_water, sends, recvs: Passed::default() };
        let Some(window) = renew(returned) else { return false };
        end.renew(window, passed);
        self.tail.see(&end, self.head.passed());
        prefetch::lines_to_write(end.ahead(0), LINES_AHEAD);
        self.told[0].set(passed);
        self.is_renewed.set(true);
        true
    }

    /// As [`Lending::renew_recvs`].
    ///
    /// # Safety
    /// As there.
    pub(super) unsafe fn go_on_receiving(
        &self,
        renew: impl FnOnce(Returned) -> Option<Window<T>>,
    ) -> Option<T> {
        if !self.is_lent.get() {
            return None;
        }
        // Nobody closes it meanwhile, as above.
        let mut end = self.head.enter().ok()?;
        let passed = self.head.own_passed();
        let seen = self.tail.passed();
        if passed != end.last || end.between(passed, seen) == 0 || passed == MOST {
            // Another receiver has come before, or it has to be lent anew.
            return None;
        }
        // Behind what was lent lies one slot more, by the caller's word.
        let slot = end.ahead(0);
        let passed = passed.wrapping_add(1);
        let recvs = end.since(passed.wrapping_sub(self.told[1].get()));
        let window = renew(Returned { recvs, ..Returned::default() })?;
        // SAFETY: as in `take`; it is still there, by the caller's word.
        let mut value = self.uses(slot, |slot| unsafe { (*slot).assume_init_read() });
        self.head.publish(passed);
        end.renew(window, passed);
        self.head.see(&end, seen);
        end.weigh(&mut value);
        self.told[1].set(passed);
        self.is_renewed.set(true);
        Some(value)
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use std::mem::MaybeUninit;

    use super::*;
    use crate::channel::aside::{Lending, Lent, Missed};

    type Slots = [MaybeUninit<u32>; 2];

    /// A loan without a limit of two slots and, to receivers, all of them but the last.
    fn lent(slots: &mut Slots, is_closed: bool, len: usize) -> Lent<u32> {
        let slots = slots.as_mut_ptr();
        Lent {
            tail: Window { slots, at: len, left: 2 - len },
            head: Window { slots, at: 0, left: 1 },
            turn: 2,
            len,
            room: usize::MAX,
            promised: [0; 2],
            high_water: 0,
            is_closed,
            weighs: false,
        }
    }

    #[test]
    fn each_side_goes_on_and_tells_what_has_gone_by() {
        let [mut first, mut second]: [Slots; 2] = [[const { MaybeUninit::uninit() }; 2]; 2];
        let lanes = Lanes::<u32>::NEW;
        // SAFETY: these slots are the lanes' until the test's end, and so are those of the second window.
        unsafe {
            lanes.lend(lent(&mut first, false, 0));
            assert!(lanes.send(1, false).is_ok() && lanes.send(2, false).is_ok());
            assert!(matches!(lanes.send(3, false), Err(Missed::Spent(3))));

            assert!(!lanes.renew_sends(|_| None));
            assert!(matches!(lanes.send(3, false), Err(Missed::Spent(3))));
            let place = second.as_mut_ptr();
            assert!(lanes.renew_sends(|returned| {
                assert_eq!((returned.sends.values, returned.recvs.values), (2, 0));
                Some(Window { slots: place, at: 0, left: 2 })
            }));
            assert!(lanes.renew_sends(|_| unreachable!("another sender has come before")));
            assert!(lanes.send(3, false).is_ok());

            assert!(matches!(lanes.recv(false), Ok(1)));
            assert!(matches!(lanes.recv(false), Err(Missed::Spent(()))));
            assert_eq!(lanes.renew_recvs(|_| None), None);
            let received = lanes.renew_recvs(|returned| {
                assert_eq!((returned.sends.values, returned.recvs.values), (0, 2));
                Some(Window { slots: place, at: 0, left: 1 })
            });
            assert_eq!(received, Some(2));
            assert_eq!(lanes.renew_recvs(|_| unreachable!("there is something on loan")), None);
            assert!(matches!(lanes.recv(false), Ok(3)));
            assert!(matches!(lanes.recv(false), Err(Missed::NotNow(()))));
        }
        let returned = lanes.recall().expect("it was lent");
        assert_eq!((returned.sends.values, returned.recvs.values), (1, 1));
        assert_eq!(returned.high_water, 3);
        assert!(lanes.recall().is_none());
    }

    #[test]
    fn no_count_wraps() {
        let mut slots: Slots = [const { MaybeUninit::uninit() }; 2];
        let lanes = Lanes::<u32>::NEW;
        // SAFETY: as above.
        unsafe {
            lanes.lend(lent(&mut slots, false, 0));
            for lane in [&lanes.tail, &lanes.head] {
                let mut end = lane.enter().expect("it is open");
                end.last = MOST;
                lane.publish(MOST);
            }
            lanes.tail.publish(MOST + 1);
            assert_eq!(lanes.renew_recvs(|_| unreachable!("it has to be lent anew")), None);
            lanes.tail.publish(MOST);
            assert!(!lanes.renew_sends(|_| unreachable!("it has to be lent anew")));
        }
    }

    #[test]
    fn a_closed_channel_lends_values_alone() {
        let mut slots = [MaybeUninit::new(1), MaybeUninit::new(2)];
        let lanes = Lanes::<u32>::NEW;
        // SAFETY: as above.
        unsafe { lanes.lend(lent(&mut slots, true, 2)) };
        assert!(matches!(lanes.send(3, true), Err(Missed::Shut(3))));
        assert!(matches!(lanes.recv(false), Ok(1)));
        // The last one is received under the lock.
        assert!(matches!(lanes.recv(true), Err(Missed::Spent(()))));
        let returned = lanes.recall().expect("it was lent");
        assert_eq!((returned.sends.values, returned.recvs.values), (0, 1));
    }
}
