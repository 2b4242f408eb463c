//! Selects of several shapes, over two channels.

use std::pin::pin;

use cloakroom::select::{Either, Either3, Either4, select};

use super::actor::{Actor, Over, PermitOf, Place, gone, held, received, sent};
use super::history::{Answer, Arm, Call, Outcome};
use super::limits::{Limits, Manner};
use super::subjects::Subject;

impl<'h, A: Subject, B: Subject> Actor<'h, A, B> {
    /// A select over `p` and `q`.
    pub fn select<P: Subject, Q: Subject>(
        &mut self,
        p: &mut Place<'h, P>,
        q: &mut Place<'h, Q>,
    ) -> Result<(), Over> {
        let permit = self.choose(p, q)?;
        self.redeem(p, permit);
        Ok(())
    }

    fn choose<P: Subject, Q: Subject>(
        &mut self,
        p: &mut Place<'h, P>,
        q: &mut Place<'h, Q>,
    ) -> Result<Option<PermitOf<'h, P>>, Over> {
        let manner = self.manner();
        let (first, second) = (self.value(), self.value());
        let ranks = (self.rank(), self.rank());
        let mut to_p = pin!(p.channel.send(first).priority(P::rank(ranks.0)));
        let mut to_q = pin!(q.channel.send(second).priority(Q::rank(ranks.1)));
        let send_p = Arm::Send { channel: p.number, value: first, rank: ranks.0 };
        let send_q = Arm::Send { channel: q.number, value: second, rank: ranks.1 };
        let receive_p = Arm::Receive { channel: p.number };
        let receive_q = Arm::Receive { channel: q.number };
        let (channel_p, reserve_p) = (p.channel, Arm::Reserve { channel: p.number });
        let closed_p = Arm::Closed { channel: p.number };
        let recv_p = P::receive(self.reader(p));
        let recv_q = Q::receive(self.reader(q));
        let mut permit = None;

        /// Runs one shape to its end.
        macro_rules! choose {
            (
                [$($arm:expr),+], ($($future:expr),+), $output:ident => $answer:expr,
                $p:expr, $q:expr
            ) => {{
                let id = self.begin(vec![$($arm),+]);
                let limits = Limits::default();
                let choice = select(($($future),+));
                let (ended, begun) = if matches!(manner, Manner::Limit { .. }) {
                    let mut choice = Box::pin(limits.limit(choice, manner));
                    let answer = |result| match result {
                        Ok($output) => $answer,
                        Err(why) => limits.explain(why),
                    };
                    let ended = self.wait(id, choice.as_mut(), None, &limits, answer)?;
                    (ended, self.stamp())
                } else {
                    let mut choice = Box::pin(choice);
                    let (polls, answer) = (manner.polls(), |$output| $answer);
                    let ended = self.wait(id, choice.as_mut(), polls, &limits, answer)?;
                    // Stamped before it is dropped.
                    (ended, self.stamp())
                };
                let places: (Option<u8>, Option<u8>) = ($p, $q);
                let of_p = places.0.filter(|_| gone::<P>(to_p.as_mut(), first));
                let of_q = places.1.filter(|_| gone::<Q>(to_q.as_mut(), second));
                let gone = of_p.or(of_q);
                let rightly = match ended {
                    Some(Answer::Ready(arm, _)) => {
                        Some(arm).filter(|_| places.0 == Some(arm) || places.1 == Some(arm))
                    }
                    Some(_) => None,
                    None => {
                        self.enter(begun, Call::Drop(id), Answer::Dropped(gone));
                        gone
                    }
                };
                if gone != rightly || (of_p.is_some() && of_q.is_some()) {
                    self.lane.complaints.push(format!(
                        "of select {id}, which came to {ended:?}, these values are gone: {of_p:?}, {of_q:?}"
                    ));
                }
            }};
        }

        match self.random.below(6) {
            0 => choose!(
                [send_p, receive_q],
                (to_p.as_mut(), recv_q),
                output => match output {
                    Either::First(result) => Answer::Ready(0, sent::<P>(result)),
                    Either::Second(result) => Answer::Ready(1, received::<Q>(result)),
                },
                Some(0),
                None
            ),
            1 => choose!(
                [receive_p, receive_q],
                (recv_p, recv_q),
                output => match output {
                    Either::First(result) => Answer::Ready(0, received::<P>(result)),
                    Either::Second(result) => Answer::Ready(1, received::<Q>(result)),
                },
                None,
                None
            ),
            2 => choose!(
                [send_p, send_q],
                (to_p.as_mut(), to_q.as_mut()),
                output => match output {
                    Either::First(result) => Answer::Ready(0, sent::<P>(result)),
                    Either::Second(result) => Answer::Ready(1, sent::<Q>(result)),
                },
                Some(0),
                Some(1)
            ),
            3 => choose!(
                [receive_q, send_p, receive_p, send_q],
                (recv_q, to_p.as_mut(), recv_p, to_q.as_mut()),
                output => match output {
                    Either4::First(result) => Answer::Ready(0, received::<Q>(result)),
                    Either4::Second(result) => Answer::Ready(1, sent::<P>(result)),
                    Either4::Third(result) => Answer::Ready(2, received::<P>(result)),
                    Either4::Fourth(result) => Answer::Ready(3, sent::<Q>(result)),
                },
                Some(1),
                Some(3)
            ),
            4 => choose!(
                [reserve_p, receive_q],
                (channel_p.reserve(), recv_q),
                output => match output {
                    Either::First(result) => Answer::Ready(0, held::<P>(result, &mut permit)),
                    Either::Second(result) => Answer::Ready(1, received::<Q>(result)),
                },
                None,
                None
            ),
            _ => choose!(
                [receive_p, send_q, closed_p],
                (recv_p, to_q.as_mut(), channel_p.closed()),
                output => match output {
                    Either3::First(result) => Answer::Ready(0, received::<P>(result)),
                    Either3::Second(result) => Answer::Ready(1, sent::<Q>(result)),
                    Either3::Third(()) => {
                        Answer::Ready(2, Outcome::Closed)
                    }
                },
                None,
                Some(1)
            ),
        }
        Ok(permit)
    }
}
