//! Piles: numbers of freed payloads, by class, in cache lines of their own.
//!
//! What lies on a pile is not touched: that would be a cache line for each payload, which the one who put it there has.

use super::layout::Index;
use super::map::QUICK;
use crate::prefetch::LINE;

/// A pile for each class, of so many payloads at the most, the last freed on top.
#[repr(C)]
pub(super) struct Piles<const MOST: usize> {
    heights: [u8; QUICK],
    /// Behind a tray's lock, and with it in one line, this has each pile begin with a line.
    _fill: [u8; LINE - QUICK - LOCK],
    piles: [[Index; MOST]; QUICK],
}

/// What a biased lock takes.
const LOCK: usize = 16;

impl<const MOST: usize> Piles<MOST> {
    pub(super) const EMPTY: Self = {
        assert!(MOST <= u8::MAX as usize);
        Self { heights: [0; QUICK], _fill: [0; LINE - QUICK - LOCK], piles: [[0; MOST]; QUICK] }
    };

    /// How many there are; none of a class that there is no pile for.
    #[inline]
    pub(super) fn height(&self, class: usize) -> usize {
        self.heights.get(class).map_or(0, |&height| height as usize)
    }

    /// `false`, and nothing changed, where there is no room.
    #[inline]
    pub(super) fn push(&mut self, class: usize, index: usize) -> bool {
        let (Some(height), Some(pile)) = (self.heights.get_mut(class), self.piles.get_mut(class))
        else {
            return false;
        };
        let Some(place) = pile.get_mut(*height as usize) else { return false };
        // Lossless: that is what descriptors are counted in.
        *place = index as Index;
        *height += 1;
        true
    }

    #[inline]
    pub(super) fn pop(&mut self, class: usize) -> Option<usize> {
        let index = self.below(class, 0)?;
        *self.heights.get_mut(class)? -= 1;
        Some(index)
    }

    /// The one that will be on top when so many have been taken.
    #[inline]
    pub(super) fn below(&self, class: usize, taken: usize) -> Option<usize> {
        let at = self.height(class).checked_sub(taken + 1)?;
        self.piles.get(class)?.get(at).map(|&index| index as usize)
    }

    /// Hands over `most`, as far as there are so many, and room for them, the last freed first. How many it was.
    pub(super) fn hand_over<const ROOM: usize>(
        &mut self,
        class: usize,
        most: usize,
        to: &mut Piles<ROOM>,
    ) -> usize {
        for moved in 0..most {
            if self.below(class, 0).is_none_or(|index| !to.push(class, index)) {
                return moved;
            }
            self.pop(class);
        }
        most
    }

    /// The same from the bottom, in that order.
    pub(super) fn hand_over_oldest<const ROOM: usize>(
        &mut self,
        class: usize,
        most: usize,
        to: &mut Piles<ROOM>,
    ) -> usize {
        let (Some(height), Some(pile)) = (self.heights.get_mut(class), self.piles.get_mut(class))
        else {
            return 0;
        };
        let here = usize::from(*height);
        let oldest = pile.iter().take(most.min(here));
        let moved = oldest.take_while(|&&index| to.push(class, index as usize)).count();
        pile.copy_within(moved..here, 0);
        // Lossless: no more than there were.
        *height -= moved as u8;
        moved
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_one_put_is_taken_first() {
        let mut piles = Piles::<4>::EMPTY;
        assert!([7, 8, 9].into_iter().all(|index| piles.push(2, index)));
        assert_eq!((piles.height(2), piles.height(1)), (3, 0));
        assert_eq!((piles.below(2, 1), piles.below(2, 3)), (Some(8), None));
        assert_eq!([9, 8, 7].map(Some), [(); 3].map(|()| piles.pop(2)));
        assert_eq!(piles.pop(2), None);
    }

    #[test]
    fn a_pile_has_an_end_and_a_class_that_is_none_has_no_pile() {
        let mut piles = Piles::<2>::EMPTY;
        assert!(piles.push(0, 1) && piles.push(0, 2));
        assert!(!piles.push(0, 3) && !piles.push(QUICK, 3));
        assert_eq!((piles.pop(QUICK), piles.height(QUICK)), (None, 0));
        assert_eq!([piles.pop(0), piles.pop(0)], [Some(2), Some(1)]);
    }

    #[test]
    fn what_is_handed_over_is_what_there_is_and_what_there_is_room_for() {
        let (mut from, mut to) = (Piles::<8>::EMPTY, Piles::<3>::EMPTY);
        assert!((0..6).all(|index| from.push(1, index)));
        assert_eq!(from.hand_over(1, 2, &mut to), 2);
        assert_eq!(from.hand_over(1, 2, &mut to), 1);
        assert_eq!((from.height(1), to.height(1)), (3, 3));
        assert_eq!([to.pop(1), to.pop(1), to.pop(1)], [Some(3), Some(4), Some(5)]);
        assert_eq!(from.hand_over(1, 8, &mut to), 3);
        assert_eq!(from.hand_over(1, 8, &mut to), 0);
    }

    #[test]
    fn the_oldest_are_handed_over_and_the_others_stay_in_their_order() {
        let (mut from, mut to) = (Piles::<8>::EMPTY, Piles::<3>::EMPTY);
        assert!((0..6).all(|index| from.push(1, index)));
        assert_eq!(from.hand_over_oldest(1, 2, &mut to), 2);
        assert_eq!(from.hand_over_oldest(1, 2, &mut to), 1);
        assert_eq!([to.pop(1), to.pop(1), to.pop(1)], [Some(2), Some(1), Some(0)]);
        assert_eq!([from.pop(1), from.pop(1), from.pop(1)], [Some(5), Some(4), Some(3)]);
        assert_eq!(
            (from.hand_over_oldest(1, 2, &mut to), from.hand_over_oldest(QUICK, 2, &mut to)),
            (0, 0)
        );
    }
}
