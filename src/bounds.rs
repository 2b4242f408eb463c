//! What must not compile. Examples only; `tests/channels_bounds.rs` has the bounds of each type.

/// A value that must stay on its thread cannot cross through a channel.
///
/// ```compile_fail,E0277
/// use std::rc::Rc;
/// use cloakroom::channel::{Buffered, Channel};
/// use cloakroom::sync::CriticalSectionRawMutex as Lock;
///
/// let channel: Channel<Lock, Rc<u8>, Buffered<4>> = Channel::new();
/// std::thread::scope(|scope| {
///     scope.spawn(|| channel.try_recv());
/// });
/// ```
///
/// The same with a value that may:
///
/// ```
/// use std::sync::Arc;
/// use cloakroom::channel::{Buffered, Channel};
/// use cloakroom::sync::CriticalSectionRawMutex as Lock;
///
/// let channel: Channel<Lock, Arc<u8>, Buffered<4>> = Channel::new();
/// std::thread::scope(|scope| {
///     scope.spawn(|| channel.try_recv().is_err());
/// });
/// ```
pub struct ValuesThatStay;

/// A channel under a lock for one thread cannot be shared.
///
/// ```compile_fail,E0277
/// use cloakroom::channel::{Buffered, Channel};
/// use cloakroom::sync::NoopRawMutex;
///
/// static CHANNEL: Channel<NoopRawMutex, u8, Buffered<4>> = Channel::new();
/// ```
pub struct LocksThatStay;

/// A lease cannot outlive its arena.
///
/// ```compile_fail,E0597
/// use cloakroom::{Arena, sync::CriticalSectionRawMutex as Lock};
///
/// let lease = {
///     let arena: Arena<Lock, 8, 64, 8> = Arena::new();
///     arena.try_alloc(8)
/// };
/// drop(lease);
/// ```
///
/// Nor can a message that is in a channel:
///
/// ```compile_fail,E0505
/// use cloakroom::channel::{Buffered, Bytes};
/// use cloakroom::{Arena, sync::CriticalSectionRawMutex as Lock};
///
/// let arena: Arena<Lock, 8, 64, 8> = Arena::new();
/// let channel: Bytes<'_, Lock, Buffered<4>> = Bytes::new();
/// channel.try_send_bytes(arena.handle(), b"bytes").unwrap();
/// drop(arena);
/// channel.close();
/// ```
pub struct LeasesThatEnd;

/// A future that waits cannot outlive its channel.
///
/// ```compile_fail,E0505
/// use cloakroom::channel::{Buffered, Channel};
/// use cloakroom::sync::CriticalSectionRawMutex as Lock;
///
/// let channel: Channel<Lock, u8, Buffered<4>> = Channel::new();
/// let recv = channel.recv();
/// drop(channel);
/// drop(recv);
/// ```
///
/// A task's future must be `Send`:
///
/// ```compile_fail,E0277
/// use std::rc::Rc;
/// use cloakroom::{Arena, kernel::Kernel, sync::CriticalSectionRawMutex as Lock};
///
/// static ARENA: Arena<Lock, 64, 64, 16> = Arena::new();
/// static KERNEL: Kernel<Lock> = Kernel::new();
/// let value = Rc::new(1);
/// KERNEL.spawn(ARENA.handle(), async move { *value }).ok();
/// ```
pub struct FuturesThatEnd;

/// Values in a channel are not shortened: a receiver could be handed one that is gone.
///
/// ```compile_fail
/// use cloakroom::channel::{Buffered, Channel};
/// use cloakroom::sync::CriticalSectionRawMutex as Lock;
///
/// fn shorten<'s>(
///     long: &'s Channel<Lock, &'static u8, Buffered<4>>,
/// ) -> &'s Channel<Lock, &'s u8, Buffered<4>> {
///     long
/// }
/// ```
///
/// A permit holds its slot no longer than the channel exists:
///
/// ```compile_fail,E0505
/// use cloakroom::channel::{Buffered, Channel};
/// use cloakroom::sync::CriticalSectionRawMutex as Lock;
///
/// let channel: Channel<Lock, u8, Buffered<4>> = Channel::new();
/// let permit = channel.try_reserve().unwrap();
/// drop(channel);
/// permit.send(1);
/// ```
///
/// Nor does a subscriber, or a counted endpoint of a channel that is borrowed:
///
/// ```compile_fail,E0505
/// use cloakroom::channel::{Broadcast, Channel};
/// use cloakroom::sync::CriticalSectionRawMutex as Lock;
///
/// let channel: Channel<Lock, u8, Broadcast<4>> = Channel::new();
/// let mut reader = channel.subscribe();
/// drop(channel);
/// reader.try_recv().ok();
/// ```
///
/// ```compile_fail,E0505
/// use cloakroom::channel::{Buffered, Counted, endpoints};
/// use cloakroom::sync::CriticalSectionRawMutex as Lock;
///
/// let channel: Counted<Lock, u8, Buffered<4>> = Counted::new();
/// let (sender, receiver) = endpoints(&channel);
/// drop(channel);
/// sender.try_send(1).ok();
/// ```
///
/// A subscriber receives one value at a time:
///
/// ```compile_fail,E0499
/// use cloakroom::channel::{Broadcast, Channel};
/// use cloakroom::sync::CriticalSectionRawMutex as Lock;
///
/// let channel: Channel<Lock, u8, Broadcast<4>> = Channel::new();
/// let mut reader = channel.subscribe();
/// let (one, two) = (reader.recv(), reader.recv());
/// drop((one, two));
/// ```
pub struct ChannelsThatEnd;

/// What is broadcast must be shareable without foreign code:
///
/// ```compile_fail,E0277
/// use cloakroom::channel::{Broadcast, Channel};
/// use cloakroom::sync::CriticalSectionRawMutex as Lock;
///
/// static NEWS: Channel<Lock, String, Broadcast<4>> = Channel::new();
/// ```
///
/// A channel is received from directly, or through subscribers:
///
/// ```compile_fail,E0271
/// use cloakroom::channel::{Broadcast, Channel};
/// use cloakroom::sync::CriticalSectionRawMutex as Lock;
///
/// static NEWS: Channel<Lock, u8, Broadcast<4>> = Channel::new();
/// NEWS.try_recv().ok();
/// ```
///
/// A channel needs room:
///
/// ```compile_fail,E0080
/// use cloakroom::channel::{Buffered, Channel};
/// use cloakroom::sync::CriticalSectionRawMutex as Lock;
///
/// static NOTHING: Channel<Lock, u8, Buffered<0>> = Channel::new();
/// ```
pub struct KindsThatFit;
