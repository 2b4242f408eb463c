//! The checker, checked: histories written by hand that it must accept, each beside one that differs in an
//! answer and that it must refuse; and, for the plain queue, a second opinion.

use super::checker::{Verdict, check};
use super::history::{Answer, Arm, Call, History, Lane, OperationId, Outcome, Record, Value};
use super::models::{Kind, Policy};

const ONE: Kind = Kind::Buffered(1, Policy::Wait);
const TWO: Kind = Kind::Buffered(2, Policy::Wait);
const SENT: Answer = Answer::Ready(0, Outcome::Sent(None));
const CLOSED: Answer = Answer::Ready(0, Outcome::Closed);
const HELD: Answer = Answer::Ready(0, Outcome::Held);

fn got(value: Value) -> Answer {
    Answer::Ready(0, Outcome::Received(value))
}

fn send(channel: u8, value: Value) -> Arm {
    Arm::Send { channel, value, rank: 0 }
}

fn receive(channel: u8) -> Arm {
    Arm::Receive { channel }
}

/// A history in the making.
#[derive(Clone)]
struct Draft {
    kinds: Vec<Kind>,
    lanes: Vec<Lane>,
    now: u64,
}

impl Draft {
    fn on(kinds: &[Kind]) -> Self {
        Self { kinds: kinds.to_vec(), lanes: vec![Lane::default(); 4], now: 0 }
    }

    /// A call of thread `lane` that begins and ends at these times.
    fn over(mut self, lane: usize, from: u64, to: u64, call: Call, answer: Answer) -> Self {
        assert!(from < to);
        self.lanes[lane].records.push(Record { from, to, call, answer });
        self.now = self.now.max(to + 1);
        self
    }

    /// A call after all others.
    fn then(self, lane: usize, call: Call, answer: Answer) -> Self {
        let now = self.now;
        self.over(lane, now, now + 1, call, answer)
    }

    fn try_send(self, lane: usize, value: Value, answer: Answer) -> Self {
        self.then(lane, Call::TrySend { channel: 0, value, rank: 0 }, answer)
    }

    fn try_receive(self, lane: usize, answer: Answer) -> Self {
        self.try_receive_on(lane, 0, answer)
    }

    fn try_receive_on(self, lane: usize, channel: u8, answer: Answer) -> Self {
        let reader = u8::try_from(lane).expect("few");
        self.then(lane, Call::TryReceive { channel, reader }, answer)
    }

    /// A future, polled by thread `lane` from now on. The first future of a thread has the number
    /// `first(lane)`.
    fn future(mut self, lane: usize, arms: &[Arm]) -> Self {
        self.lanes[lane].begin(u8::try_from(lane).expect("few"), arms.to_vec());
        self
    }

    fn poll(self, lane: usize, answer: Answer) -> Self {
        self.then(lane, Call::Poll(first(lane)), answer)
    }

    fn drop(self, lane: usize, gone: Option<u8>) -> Self {
        self.then(lane, Call::Drop(first(lane)), Answer::Dropped(gone))
    }

    fn verdict(self) -> (Verdict, History) {
        let history = History::of(self.lanes);
        (check(&history, &self.kinds), history)
    }

    #[track_caller]
    fn must_be_legal(self) {
        let (verdict, history) = self.verdict();
        assert!(matches!(verdict, Verdict::Explained(_)), "{verdict}\n{history}");
    }

    #[track_caller]
    fn must_be_illegal(self) {
        let (verdict, history) = self.verdict();
        assert!(matches!(verdict, Verdict::Refuted(..)), "{verdict}\n{history}");
    }

    /// What `step` makes of this is legal with the first answer, and illegal with each of the others.
    #[track_caller]
    fn only(self, step: impl Fn(Self, Answer) -> Self, right: Answer, wrong: &[Answer]) -> Self {
        for &answer in wrong {
            step(self.clone(), answer).must_be_illegal();
        }
        let right = step(self, right);
        right.clone().must_be_legal();
        right
    }
}

fn first(lane: usize) -> OperationId {
    u8::try_from(lane).expect("few") * super::history::OPERATIONS_A_LANE
}

#[test]
fn values_leave_in_order_once_and_not_before_they_came() {
    Draft::on(&[TWO])
        .only(|draft, answer| draft.try_receive(1, answer), Answer::Empty, &[got(1), CLOSED])
        .try_send(0, 1, SENT)
        .only(|draft, answer| draft.try_send(0, 2, answer), SENT, &[Answer::Full, CLOSED])
        .only(|draft, answer| draft.try_send(2, 3, answer), Answer::Full, &[SENT])
        .only(
            |draft, answer| draft.try_receive(1, answer),
            got(1),
            &[got(2), got(3), Answer::Empty],
        )
        .only(|draft, answer| draft.try_receive(1, answer), got(2), &[got(1), Answer::Empty])
        .only(|draft, answer| draft.try_receive(1, answer), Answer::Empty, &[got(2)]);
}

/// Calls that overlap may take effect in either order; those that do not, may not.
#[test]
fn real_time_counts() {
    let send = |value| Call::TrySend { channel: 0, value, rank: 0 };
    let two = |from| {
        Draft::on(&[TWO]).over(0, 0, 10, send(1), SENT).over(1, from, from + 5, send(2), SENT)
    };
    two(8).try_receive(2, got(2)).try_receive(2, got(1)).must_be_legal();
    two(11).try_receive(2, got(2)).try_receive(2, got(1)).must_be_illegal();

    let receive = Call::TryReceive { channel: 0, reader: 1 };
    Draft::on(&[ONE]).over(0, 5, 10, send(1), SENT).over(1, 0, 6, receive, got(1)).must_be_legal();
    Draft::on(&[ONE])
        .over(0, 5, 10, send(1), SENT)
        .over(1, 0, 4, receive, got(1))
        .must_be_illegal();
}

#[test]
fn a_promised_slot_is_nobody_elses() {
    Draft::on(&[ONE])
        .try_send(0, 1, SENT)
        .future(1, &[send(0, 2)])
        .only(|draft, answer| draft.poll(1, answer), Answer::Pending, &[SENT])
        .try_receive(0, got(1))
        // The slot is the waiter's now.
        .only(|draft, answer| draft.try_send(0, 3, answer), Answer::Full, &[SENT])
        .only(
            |draft, answer| draft.then(2, Call::TryReserve { channel: 0 }, answer),
            Answer::Full,
            &[HELD],
        )
        .only(|draft, answer| draft.poll(1, answer), SENT, &[Answer::Pending, CLOSED])
        .only(|draft, answer| draft.try_receive(0, answer), got(2), &[Answer::Empty, got(3)]);
}

#[test]
fn a_promised_value_is_nobody_elses() {
    let waits = Draft::on(&[TWO]).future(1, &[receive(0)]).poll(1, Answer::Pending);
    waits
        .clone()
        .try_send(0, 1, SENT)
        .only(|draft, answer| draft.try_receive(2, answer), Answer::Empty, &[got(1)])
        .only(|draft, answer| draft.poll(1, answer), got(1), &[Answer::Pending, CLOSED]);
    // Dropped instead: it is still there.
    waits.try_send(0, 1, SENT).drop(1, None).only(
        |draft, answer| draft.try_receive(2, answer),
        got(1),
        &[Answer::Empty],
    );
}

#[test]
fn those_who_wait_are_served_in_order() {
    Draft::on(&[ONE])
        .future(1, &[receive(0)])
        .future(2, &[receive(0)])
        .poll(1, Answer::Pending)
        .poll(2, Answer::Pending)
        .try_send(0, 1, SENT)
        .only(|draft, answer| draft.poll(2, answer), Answer::Pending, &[got(1)])
        .only(|draft, answer| draft.poll(1, answer), got(1), &[Answer::Pending]);
}

/// Serving those who wait may take as long as the calls that gave rise to it, and no longer.
#[test]
fn nobody_waits_for_what_is_there() {
    let receive = Call::TryReceive { channel: 0, reader: 0 };
    let waits = Draft::on(&[ONE])
        .try_send(0, 1, SENT)
        .future(1, &[send(0, 2)])
        .poll(1, Answer::Pending)
        .over(0, 10, 20, receive, got(1));
    let poll =
        |draft: Draft, from| draft.over(1, from, from + 1, Call::Poll(first(1)), Answer::Pending);
    poll(waits.clone(), 15).must_be_legal();
    poll(waits, 21).must_be_illegal();
}

#[test]
fn a_rendezvous_needs_two() {
    Draft::on(&[Kind::Rendezvous])
        .only(|draft, answer| draft.try_send(0, 1, answer), Answer::Full, &[SENT])
        .future(1, &[send(0, 2)])
        .only(|draft, answer| draft.poll(1, answer), Answer::Pending, &[SENT])
        .only(|draft, answer| draft.try_receive(0, answer), got(2), &[Answer::Empty, got(1)])
        // It has been taken, so it does not come back.
        .only(
            |draft, answer| draft.then(1, Call::Drop(first(1)), answer),
            Answer::Dropped(Some(0)),
            &[Answer::Dropped(None)],
        );
    Draft::on(&[Kind::Rendezvous])
        .future(1, &[receive(0)])
        .poll(1, Answer::Pending)
        .only(|draft, answer| draft.try_send(0, 1, answer), SENT, &[Answer::Full])
        // The meeting point is taken.
        .only(|draft, answer| draft.try_send(0, 2, answer), Answer::Full, &[SENT])
        .only(|draft, answer| draft.try_receive(0, answer), Answer::Empty, &[got(1)])
        .drop(1, None)
        .only(|draft, answer| draft.try_receive(0, answer), got(1), &[Answer::Empty]);
}

#[test]
fn one_arm_of_a_select_happens() {
    let waits = Draft::on(&[Kind::Rendezvous, Kind::Rendezvous])
        .future(1, &[send(0, 1), send(1, 2)])
        .poll(1, Answer::Pending)
        .try_receive_on(0, 1, got(2));
    waits
        .clone()
        .only(|draft, answer| draft.try_receive(2, answer), Answer::Empty, &[got(1)])
        .only(
            |draft, answer| draft.poll(1, answer),
            Answer::Ready(1, Outcome::Sent(None)),
            &[Answer::Pending, SENT],
        );
    waits.only(
        |draft, answer| draft.then(1, Call::Drop(first(1)), answer),
        Answer::Dropped(Some(1)),
        &[Answer::Dropped(None), Answer::Dropped(Some(0))],
    );
}

/// A peer that publishes its value before it has claimed the arm that it is for.
#[test]
fn publishing_before_claiming_is_caught() {
    let second = |draft: Draft, answer| {
        draft.then(2, Call::TrySend { channel: 1, value: 2, rank: 0 }, answer)
    };
    Draft::on(&[Kind::Rendezvous, Kind::Rendezvous])
        .future(1, &[receive(0), receive(1)])
        .poll(1, Answer::Pending)
        .try_send(0, 1, SENT)
        .only(second, Answer::Full, &[SENT])
        .only(|draft, answer| draft.poll(1, answer), got(1), &[Answer::Pending])
        .only(|draft, answer| draft.try_receive_on(3, 1, answer), Answer::Empty, &[got(2)]);
}

/// Where memory is short, room that there is may be refused while others have it in hand, and not else.
#[test]
fn memory_in_hand_may_be_missed() {
    let one = |capacity| Draft::on(&[Kind::Scarce(capacity)]).try_send(0, 1, SENT);
    let send = |draft: Draft, answer| draft.try_send(0, 2, answer);
    send(one(4), SENT).must_be_legal();
    send(one(4), Answer::Full).must_be_legal();
    one(5).only(send, SENT, &[Answer::Full]);
    one(1).only(send, Answer::Full, &[SENT]);
}

/// While it asks its arms one after the other, others may come between; but then it knows.
#[test]
fn a_select_asks_in_turn() {
    let call = Call::Poll(first(1));
    let select = |answer| {
        Draft::on(&[ONE, Kind::Rendezvous])
            .future(1, &[receive(0), send(1, 2)])
            .over(1, 0, 20, call, answer)
            .over(0, 5, 6, Call::TrySend { channel: 0, value: 1, rank: 0 }, SENT)
            .over(2, 8, 9, Call::TryReceive { channel: 1, reader: 2 }, Answer::Empty)
    };
    select(got(1)).must_be_legal();
    select(Answer::Pending).try_receive(0, got(1)).must_be_illegal();
    select(Answer::Ready(1, Outcome::Sent(None))).must_be_illegal();
    // Nobody was there before it, and a peer after that.
    select(Answer::Ready(1, Outcome::Sent(None)))
        .over(3, 10, 11, Call::TryReceive { channel: 1, reader: 3 }, got(2))
        .must_be_illegal();
    let before =
        |draft: Draft| draft.over(3, 1, 2, Call::TryReceive { channel: 1, reader: 3 }, got(2));
    before(select(Answer::Ready(1, Outcome::Sent(None)))).try_receive(0, got(1)).must_be_legal();
    before(select(Answer::Ready(1, Outcome::Sent(None))))
        .try_receive(0, Answer::Empty)
        .must_be_illegal();
}

#[test]
fn a_select_never_matches_itself() {
    Draft::on(&[Kind::Rendezvous])
        .future(1, &[send(0, 1), receive(0)])
        .only(
            |draft, answer| draft.poll(1, answer),
            Answer::Pending,
            &[SENT, Answer::Ready(1, Outcome::Received(1))],
        )
        .only(|draft, answer| draft.poll(1, answer), Answer::Pending, &[SENT]);
}

#[test]
fn closing_keeps_what_is_in_and_sends_the_rest_away() {
    let close = Call::Close { channel: 0 };
    Draft::on(&[ONE])
        .try_send(0, 1, SENT)
        .future(1, &[send(0, 2)])
        .poll(1, Answer::Pending)
        .only(
            |draft, answer| draft.then(2, close, answer),
            Answer::WasOpen(true),
            &[Answer::WasOpen(false)],
        )
        .only(|draft, answer| draft.poll(1, answer), CLOSED, &[Answer::Pending, SENT])
        .only(|draft, answer| draft.try_send(0, 3, answer), CLOSED, &[Answer::Full, SENT])
        .only(|draft, answer| draft.try_receive(0, answer), got(1), &[CLOSED, Answer::Empty])
        .only(|draft, answer| draft.try_receive(0, answer), CLOSED, &[Answer::Empty, got(2)]);
}

/// A permit is a slot, also of a channel that is closed: something may yet come.
#[test]
fn a_permit_is_a_slot() {
    Draft::on(&[ONE])
        .only(
            |draft, answer| draft.then(0, Call::TryReserve { channel: 0 }, answer),
            HELD,
            &[Answer::Full],
        )
        .only(|draft, answer| draft.try_send(1, 1, answer), Answer::Full, &[SENT])
        .then(1, Call::Close { channel: 0 }, Answer::WasOpen(true))
        .only(|draft, answer| draft.try_receive(1, answer), Answer::Empty, &[CLOSED])
        .then(0, Call::Redeem { channel: 0, value: 2, rank: 0 }, SENT)
        .only(|draft, answer| draft.try_receive(1, answer), got(2), &[Answer::Empty, CLOSED])
        .only(|draft, answer| draft.try_receive(1, answer), CLOSED, &[Answer::Empty]);
}

/// What was matched before it was given up counts; what was not, has not happened.
#[test]
fn giving_up_is_in_time_or_not() {
    let limit = Call::Limit(first(1));
    let waits = Draft::on(&[Kind::Rendezvous]).future(1, &[send(0, 1)]).poll(1, Answer::Pending);
    waits.clone().try_receive(0, got(1)).only(
        |draft, answer| draft.then(1, limit, answer),
        SENT,
        &[Answer::Stopped],
    );
    waits.only(|draft, answer| draft.then(1, limit, answer), Answer::Stopped, &[SENT]).only(
        |draft, answer| draft.try_receive(0, answer),
        Answer::Empty,
        &[got(1)],
    );
}

#[test]
fn what_a_policy_drops_is_told() {
    let drops = |value| Answer::Ready(0, Outcome::Sent(Some(value)));
    let full = |kind| Draft::on(&[kind]).try_send(0, 1, SENT);
    let send = |draft: Draft, answer| draft.try_send(0, 2, answer);
    let receive = |draft: Draft, answer| draft.try_receive(0, answer);
    full(Kind::Conflated).only(send, drops(1), &[SENT, drops(2), Answer::Full]).only(
        receive,
        got(2),
        &[got(1), Answer::Empty],
    );
    full(Kind::Buffered(1, Policy::DropOldest))
        .only(send, drops(1), &[SENT, drops(2), Answer::Full])
        .only(receive, got(2), &[got(1), Answer::Empty]);
    full(Kind::Buffered(1, Policy::DropNewest))
        .only(send, drops(2), &[SENT, drops(1), Answer::Full])
        .only(receive, got(1), &[got(2), Answer::Empty]);
}

/// A step of priority is ahead of two values here.
#[test]
fn priority_ages() {
    let send =
        |draft: Draft, value, rank| draft.then(0, Call::TrySend { channel: 0, value, rank }, SENT);
    let receive = |draft: Draft, answer| draft.try_receive(0, answer);
    let mut draft = Draft::on(&[Kind::Priority(4, 2)]);
    for (value, rank) in [(1, 0), (2, 1), (3, 1), (4, 1)] {
        draft = send(draft, value, rank);
    }
    // 2 and 3 came at most two later than 1 and pass it; 4 does not. Equals keep their order.
    draft
        .only(receive, got(2), &[got(1), got(3), got(4)])
        .only(receive, got(3), &[got(1), got(4)])
        .only(receive, got(1), &[got(4), Answer::Empty]);
}

#[test]
fn every_subscriber_hears_everything_or_how_much_it_missed() {
    let subscribe = |draft: Draft, lane| {
        draft.then(usize::from(lane), Call::Subscribe { channel: 0, reader: lane }, Answer::Done)
    };
    let two = subscribe(subscribe(Draft::on(&[Kind::Broadcast(1, Policy::Wait)]), 1), 2);
    two.try_send(0, 1, SENT)
        .try_receive(1, got(1))
        .only(|draft, answer| draft.try_receive(1, answer), Answer::Empty, &[got(1)])
        // The other one has yet to read it.
        .only(|draft, answer| draft.try_send(0, 2, answer), Answer::Full, &[SENT])
        .only(|draft, answer| draft.try_receive(2, answer), got(1), &[Answer::Empty])
        .only(|draft, answer| draft.try_send(0, 2, answer), SENT, &[Answer::Full]);

    let lagged = |missed| Answer::Ready(0, Outcome::Lagged(missed));
    let one = subscribe(Draft::on(&[Kind::Broadcast(1, Policy::DropOldest)]), 1);
    one.try_send(0, 1, SENT)
        .try_send(0, 2, Answer::Ready(0, Outcome::Sent(Some(1))))
        .only(
            |draft, answer| draft.try_receive(1, answer),
            lagged(1),
            &[got(1), got(2), lagged(2), Answer::Empty],
        )
        .only(|draft, answer| draft.try_receive(1, answer), got(2), &[Answer::Empty, lagged(1)]);
}
