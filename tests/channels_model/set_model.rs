//! The model of a set of arms over several channels.

use crate::model::{Claim, Model, Outcome, Phase};

pub const PLACES: usize = 6;

/// An operation of a model: the number of its channel, and its own.
pub type Piece = (usize, usize);

/// The model of a set.
#[derive(Default)]
pub struct SetModel {
    claim: Claim,
    /// Whether its arms wait, and whether they only look.
    joined: Option<bool>,
    pub places: [Option<Piece>; PLACES],
}

impl SetModel {
    pub fn arms(&self) -> impl Iterator<Item = (usize, Piece)> + use<> {
        let places = self.places;
        (0..PLACES).filter_map(move |place| Some((place, places[place]?)))
    }

    /// Whether its arms wait, and do not only look.
    pub fn is_waiting(&self) -> bool {
        self.joined == Some(false)
    }

    fn join(&mut self, models: &mut [Model], looks: bool) {
        if self.joined == Some(looks) {
            return;
        }
        self.part(models);
        self.joined = Some(looks);
        for (place, (channel, operation)) in self.arms() {
            let arm = &mut models[channel].operations[operation];
            arm.side = Some((self.claim.clone(), place));
            // It happened while it was an arm of nothing, or of another set: it has yet to say so.
            if arm.phase == Phase::Taken && self.claim.get().is_none() {
                self.claim.set(Some(place));
            }
        }
    }

    /// Withdraws all arms.
    pub fn part(&mut self, models: &mut [Model]) {
        if self.joined.take().is_some() {
            for (_, (channel, operation)) in self.arms() {
                models[channel].operations[operation].side = None;
                models[channel].withdraw(operation);
            }
            self.claim.set(None);
        }
    }

    /// Looks at the arms in turn until one is done; at the one that was claimed, if any.
    fn drive<R>(
        &mut self,
        models: &mut [Model],
        looks: bool,
        f: impl Fn(&mut Model, usize) -> Option<R>,
    ) -> Option<(usize, Piece, R)> {
        self.join(models, looks);
        loop {
            let claimed = self.claim.get();
            for (place, (channel, operation)) in self.arms() {
                if claimed.is_some_and(|winner| winner != place) {
                    continue;
                }
                if let Some(done) = f(&mut models[channel], operation) {
                    self.part(models);
                    return Some((place, (channel, operation), done));
                }
            }
            if claimed.is_some() || self.claim.get().is_none() {
                return None;
            }
        }
    }

    pub fn poll(&mut self, models: &mut [Model]) -> Option<(usize, Piece, Outcome)> {
        self.drive(models, false, Model::poll)
    }

    pub fn ready(&mut self, models: &mut [Model]) -> Option<usize> {
        let ready = |model: &mut Model, operation| model.ready(operation).then_some(());
        self.drive(models, true, ready).map(|(place, ..)| place)
    }

    pub fn try_now(&mut self, models: &mut [Model]) -> Option<(usize, Piece, Outcome)> {
        let happened = self.poll(models);
        if self.joined.is_some() {
            // Given up: none of its arms is to happen any more.
            self.claim.set(Some(PLACES));
        }
        self.part(models);
        happened
    }
}
