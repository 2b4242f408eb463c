//! Tickets: good once for each time they were deposited, and never again.

use cloakroom::arena::PayloadState;
use cloakroom::sync::RawMutex;
use cloakroom::{Arena, RedeemError, Ticket};

use crate::check::Outcome;

tests!("tickets":
    a_ticket_is_good_once,
    a_stale_ticket_is_refused_when_its_descriptor_is_used_again,
    a_ticket_with_a_flipped_bit_is_refused,
    a_ticket_of_another_arena_is_refused,
    a_ticket_of_an_earlier_epoch_is_refused,
    the_epoch_stays_while_anything_is_live,
    each_share_of_a_payload_has_its_own_claim,
    a_parcel_frees_its_payload,
    a_parcel_turns_into_a_ticket,
    a_discarded_ticket_frees_its_payload,
    the_dump_shows_what_is_live,
);

fn a_ticket_is_good_once<M: RawMutex + 'static>() -> Outcome {
    let arena: Arena<M, 4, 16, 4> = Arena::new();
    let mut coat = ok!(arena.try_alloc(4));
    coat.copy_from_slice(b"coat");
    let ticket = coat.deposit();
    // A plain number may travel anywhere.
    let ticket = Ticket::from_bits(ticket.to_bits());
    let coat = ok!(arena.redeem(ticket));
    check_eq!(&*coat, b"coat");
    check!(matches!(arena.redeem(ticket), Err(RedeemError::Stale)));
    drop(coat);
    check!(matches!(arena.redeem(ticket), Err(RedeemError::Stale)));
    check_eq!(arena.snapshot().live, 0);
    Ok(())
}

fn a_stale_ticket_is_refused_when_its_descriptor_is_used_again<M: RawMutex + 'static>() -> Outcome {
    let arena: Arena<M, 4, 16, 1> = Arena::new();
    let stale = ok!(arena.try_alloc(4)).deposit();
    ok!(arena.handle().discard(stale));
    for round in 0..100u8 {
        let mut lease = ok!(arena.try_alloc(4));
        lease.fill(round);
        let ticket = lease.deposit();
        check!(ticket != stale);
        check!(matches!(arena.redeem(stale), Err(RedeemError::Stale)));
        check_eq!(&*ok!(arena.redeem(ticket)), &[round; 4]);
    }
    Ok(())
}

fn a_ticket_with_a_flipped_bit_is_refused<M: RawMutex + 'static>() -> Outcome {
    let arena: Arena<M, 4, 16, 4> = Arena::new();
    let ticket = ok!(arena.try_alloc(4)).deposit();
    for bit in 0..64 {
        let damaged = Ticket::from_bits(ticket.to_bits() ^ (1 << bit));
        check!(arena.redeem(damaged).is_err());
    }
    check!(arena.redeem(ticket).is_ok());
    check!(arena.handle().verify().is_clean());
    Ok(())
}

fn a_ticket_of_another_arena_is_refused<M: RawMutex + 'static>() -> Outcome {
    let (here, there): (Arena<M, 4, 16, 4>, Arena<M, 4, 16, 4>) = (Arena::new(), Arena::new());
    check!(here.handle().set_epoch(1));
    check!(there.handle().set_epoch(2));
    let ours = ok!(here.try_alloc(1)).deposit();
    let theirs = ok!(there.try_alloc(1)).deposit();
    check!(here.redeem(theirs).is_err());
    check!(there.redeem(ours).is_err());
    check!(here.redeem(ours).is_ok() && there.redeem(theirs).is_ok());
    Ok(())
}

fn a_ticket_of_an_earlier_epoch_is_refused<M: RawMutex + 'static>() -> Outcome {
    let arena: Arena<M, 4, 16, 4> = Arena::new();
    check!(arena.handle().set_epoch(7));
    let earlier = ok!(arena.try_alloc(1)).deposit();
    ok!(arena.handle().discard(earlier));
    check!(arena.handle().set_epoch(8));
    let now = ok!(arena.try_alloc(1)).deposit();
    check!(arena.redeem(earlier).is_err());
    check!(arena.redeem(now).is_ok());
    Ok(())
}

fn the_epoch_stays_while_anything_is_live<M: RawMutex + 'static>() -> Outcome {
    let arena: Arena<M, 4, 16, 4> = Arena::new();
    check!(arena.handle().set_epoch(7));
    let ticket = ok!(arena.try_alloc(1)).deposit();
    check!(!arena.handle().set_epoch(8));
    check!(arena.redeem(ticket).is_ok());
    check!(arena.handle().set_epoch(8));
    Ok(())
}

fn each_share_of_a_payload_has_its_own_claim<M: RawMutex + 'static>() -> Outcome {
    let arena: Arena<M, 4, 16, 4> = Arena::new();
    let first = ok!(arena.try_alloc_from(b"pair"));
    let second = first.clone();
    let ticket = ok!(first.deposit());
    check_eq!(ok!(second.deposit()), ticket);
    let first = ok!(arena.redeem(ticket));
    let second = ok!(arena.redeem(ticket));
    check_eq!(first.as_ptr(), second.as_ptr());
    check!(matches!(arena.redeem(ticket), Err(RedeemError::Stale)));
    drop(first);
    check_eq!(&*second, b"pair");
    Ok(())
}

fn a_parcel_frees_its_payload<M: RawMutex + 'static>() -> Outcome {
    let arena: Arena<M, 4, 16, 4> = Arena::new();
    let parcel = ok!(arena.try_alloc(20)).into_parcel();
    check_eq!((parcel.len(), arena.snapshot().live), (20, 1));
    drop(parcel);
    check_eq!((arena.snapshot().free, arena.snapshot().live), (4, 0));
    Ok(())
}

fn a_parcel_turns_into_a_ticket<M: RawMutex + 'static>() -> Outcome {
    let arena: Arena<M, 4, 16, 4> = Arena::new();
    let ticket = ok!(arena.try_alloc(20)).into_parcel().into_ticket();
    check_eq!(arena.snapshot().live, 1);
    check_eq!(ok!(arena.redeem(ticket)).len(), 20);
    check_eq!(arena.snapshot().live, 0);
    Ok(())
}

fn a_discarded_ticket_frees_its_payload<M: RawMutex + 'static>() -> Outcome {
    let arena: Arena<M, 4, 16, 4> = Arena::new();
    let ticket = ok!(arena.try_alloc(60)).deposit();
    ok!(arena.handle().discard(ticket));
    check!(matches!(arena.handle().discard(ticket), Err(RedeemError::Stale)));
    check_eq!(arena.snapshot().free, 4);
    Ok(())
}

fn the_dump_shows_what_is_live<M: RawMutex + 'static>() -> Outcome {
    let arena: Arena<M, 8, 16, 4> = Arena::new();
    let held = ok!(arena.try_alloc_from(b"in hand"));
    let ticket = ok!(arena.try_alloc(33)).deposit();
    let mut seen = 0;
    for payload in arena.handle().dump() {
        seen += 1;
        if payload.ticket == ticket {
            check_eq!((payload.state, payload.len), (PayloadState::AtRest, 33));
            check_eq!((payload.pages, payload.at_rest, payload.in_hand), (3, 1, 0));
        } else {
            check_eq!((payload.state, payload.len), (PayloadState::InHand, 7));
        }
    }
    check_eq!(seen, 2);
    drop(held);
    check_eq!(arena.handle().dump().count(), 1);
    Ok(())
}
