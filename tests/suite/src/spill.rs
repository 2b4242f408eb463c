//! Channels that spill: to memory, and to a device that does not lend.

use core::cell::Cell;
use core::pin::pin;
use core::task::Poll;

use cloakroom::Arena;
use cloakroom::channel::Buffered;
use cloakroom::spill::{
    Class, Extents, MemoryTarget, Policy, Slot, Spill, SpillBytes, SpillError, SpillTarget,
    TrySpillRecvError, TrySpillSendError, Watermarks, Word,
};

use crate::check::Outcome;
use crate::fixture::{Numbers, Place, witness};

tests_at_a_place!("spill":
    a_place_in_the_queue_is_small,
    order_is_kept_across_the_boundary,
    a_full_target_leaves_messages_in_the_arena,
    other_bytes_are_not_received,
    what_waits_moves_out_and_back,
    a_receive_that_is_dropped_loses_nothing,
);

const LEN: usize = 32;

type Room = [u8; 16 * LEN];
type Ring<'a, M> = SpillBytes<'a, M, Buffered<24>>;

fn extents() -> Extents<1, [Word; 1]> {
    Extents::new([Class { bytes: LEN as u32, count: 16 }], Word::free::<1>())
}

/// What copies back only, and can fail.
struct Device<'m> {
    memory: MemoryTarget<'m, 1, [Word; 1]>,
    lies: Flag,
}

/// Tests have one thread.
struct Flag(Cell<bool>);

// SAFETY: as above.
unsafe impl Sync for Flag {}

impl<'m> Device<'m> {
    fn new(room: &'m mut Room) -> Self {
        Self { memory: MemoryTarget::new(room, extents()), lies: Flag(Cell::new(false)) }
    }
}

impl SpillTarget for Device<'_> {
    fn store(&self, bytes: &[u8]) -> Result<u32, SpillError> {
        self.memory.store(bytes)
    }

    unsafe fn read(&self, extent: u32, into: &mut [u8]) -> Result<(), SpillError> {
        // SAFETY: passed on.
        unsafe { self.memory.read(extent, into) }?;
        if let (true, Some(byte)) = (self.lies.0.get(), into.last_mut()) {
            *byte ^= 1;
        }
        Ok(())
    }

    unsafe fn free(&self, extent: u32) {
        // SAFETY: passed on.
        unsafe { self.memory.free(extent) }
    }

    fn capacity(&self) -> u64 {
        self.memory.capacity()
    }

    fn used(&self) -> u64 {
        self.memory.used()
    }
}

/// Sends, receives and steps as they come, against counters of what was sent and received.
fn traffic<P: Place>(target: &dyn SpillTarget) -> Outcome {
    let arena = Arena::<P::Lock, 8, LEN, 8>::new();
    let spill = Spill::over(&arena, target, Watermarks::new(75, 50));
    let channel = Ring::<P::Lock>::new(&spill, Policy::ColdFirst);
    let (mut sent, mut received) = (0, 0);
    let mut numbers = Numbers::new(7);
    for _ in 0..1000 {
        match numbers.below(5) {
            0 | 1 => {
                if channel.try_send_bytes(&[sent; LEN]).is_ok() {
                    sent = sent.wrapping_add(1);
                }
            }
            2 => {
                if let Ok(mut lease) = arena.try_alloc(LEN) {
                    lease.fill(sent);
                    if channel.try_send(lease).is_ok() {
                        sent = sent.wrapping_add(1);
                    }
                }
            }
            3 => {
                if let Ok(message) = channel.try_recv() {
                    check_eq!(*message, [received; LEN]);
                    received = received.wrapping_add(1);
                }
            }
            _ => {
                channel.step(numbers.below(256));
            }
        }
        check!(spill.snapshot().reconciles());
        check_eq!(channel.len(), usize::from(sent.wrapping_sub(received)));
    }
    while let Ok(message) = channel.try_recv() {
        check_eq!(*message, [received; LEN]);
        received = received.wrapping_add(1);
    }
    check_eq!(sent, received);
    check!(spill.snapshot().out > 100);
    check_eq!(target.used(), 0);
    drop(channel);
    check_eq!(arena.snapshot().live, 0);
    Ok(())
}

fn a_place_in_the_queue_is_small<P: Place>() -> Outcome {
    // Histograms of a channel take a word more, which firmware has not.
    let words = if size_of::<usize>() == 4 { 4..=4 } else { 3..=4 };
    check!(words.contains(&(size_of::<Slot<'_, P::Lock>>() / size_of::<usize>())));
    Ok(())
}

fn order_is_kept_across_the_boundary<P: Place>() -> Outcome {
    let mut room = [0; 16 * LEN];
    traffic::<P>(&MemoryTarget::new(&mut room, extents()))?;
    traffic::<P>(&Device::new(&mut room))
}

fn a_full_target_leaves_messages_in_the_arena<P: Place>() -> Outcome {
    let (arena, mut room) = (Arena::<P::Lock, 8, LEN, 8>::new(), [0; 16 * LEN]);
    let target = MemoryTarget::new(&mut room, extents());
    let spill = Spill::over(&arena, &target, Watermarks::new(50, 25));
    let channel = SpillBytes::<P::Lock, Buffered<32>>::new(&spill, Policy::ColdFirst);
    for number in 0..24 {
        check!(channel.try_send_bytes(&[number; LEN]).is_ok());
    }
    check_eq!(channel.try_send_bytes(&[24; LEN]), Err(TrySpillSendError::Memory));
    check_eq!((spill.snapshot().messages, arena.snapshot().free), (16, 0));
    for number in 0..24 {
        let message = channel.try_recv();
        check!(message.is_ok_and(|message| {
            message.is_lent() == (4..20).contains(&number) && *message == [number; LEN]
        }));
    }
    Ok(())
}

fn other_bytes_are_not_received<P: Place>() -> Outcome {
    let (arena, mut room) = (Arena::<P::Lock, 8, LEN, 8>::new(), [0; 16 * LEN]);
    let target = Device::new(&mut room);
    let spill = Spill::over(&arena, &target, Watermarks::new(0, 0));
    let channel = Ring::<P::Lock>::new(&spill, Policy::ColdFirst);
    for number in 0..3 {
        check!(channel.try_send_bytes(&[number; LEN]).is_ok());
    }
    for lies in [false, true, false] {
        target.lies.0.set(lies);
        let lost = Some(TrySpillRecvError::Lost(SpillError::Damaged)).filter(|_| lies);
        check_eq!(channel.try_recv().err(), lost);
    }
    check_eq!((spill.snapshot().lost, spill.snapshot().back, target.used()), (1, 2, 0));
    Ok(())
}

fn what_waits_moves_out_and_back<P: Place>() -> Outcome {
    let (arena, mut room) = (Arena::<P::Lock, 16, LEN, 16>::new(), [0; 16 * LEN]);
    let target = Device::new(&mut room);
    let spill = Spill::over(&arena, &target, Watermarks::new(75, 50));
    let channel = Ring::<P::Lock>::new(&spill, Policy::ColdFirst);
    for number in 0..8 {
        check!(channel.try_send_bytes(&[number; LEN]).is_ok());
    }
    let wall = arena.try_alloc(4 * LEN);
    // One page is kept for what has to be copied back.
    check_eq!(channel.step(usize::MAX).out, 6);
    check_eq!(arena.snapshot().used(), 7);
    drop(wall);
    check!(channel.try_recv().is_ok_and(|message| *message == [0; LEN]));
    check_eq!(channel.step(usize::MAX).back, 3);
    check_eq!((spill.snapshot().moved, spill.snapshot().fetched), (6, 3));
    for number in 1..8 {
        check!(channel.try_recv().is_ok_and(|message| *message == [number; LEN]));
    }
    check_eq!(target.used(), 0);
    Ok(())
}

fn a_receive_that_is_dropped_loses_nothing<P: Place>() -> Outcome {
    witness!(waiter);
    let (arena, mut room) = (Arena::<P::Lock, 4, LEN, 8>::new(), [0; 16 * LEN]);
    let target = Device::new(&mut room);
    let spill = Spill::over(&arena, &target, Watermarks::new(0, 0));
    let channel = Ring::<P::Lock>::new(&spill, Policy::ColdFirst);
    for number in 0..4 {
        check!(channel.try_send_bytes(&[number; LEN]).is_ok());
    }
    let wall = arena.try_alloc(3 * LEN);
    let first = ok!(channel.try_recv());
    for _ in 0..3 {
        let mut receive = pin!(channel.recv());
        check!(waiter.poll(receive.as_mut()).is_pending());
        check!(waiter.poll(receive.as_mut()).is_pending());
    }
    check_eq!(channel.try_recv().err(), Some(TrySpillRecvError::Memory));
    {
        let mut receive = pin!(channel.recv());
        check!(waiter.poll(receive.as_mut()).is_pending());
        check!(first.is_lent() && *first == [0; LEN]);
        drop(first);
        check_eq!(waiter.wakes(), 1);
        let received = waiter.poll(receive.as_mut());
        check!(matches!(received, Poll::Ready(Ok(message)) if *message == [1; LEN]));
    }
    drop(wall);
    for number in 2..4 {
        check!(channel.try_recv().is_ok_and(|message| *message == [number; LEN]));
    }
    check_eq!(target.used(), 0);
    Ok(())
}
