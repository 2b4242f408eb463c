//! Several values at once: batches, and what is there now.

use core::future::Future;
use core::marker::PhantomPinned;
use core::mem::MaybeUninit;
use core::pin::Pin;
use core::task::{Context, Poll, ready};

use super::aside::{Aside, Missed};
use super::endpoint::{ChannelRef, KindOf, LockOf, Receiver, Sender, ValueOf};
use super::store::{Compete, Store, Strategy};
use super::subscriber::{Listen, Subscriber};
use super::{Channel, RecvFuture, SendFuture};
use crate::error::{
    PartlySent, RecvError, RecvTimeoutError, SendError, SendTimeoutError, TrySendError,
};
use crate::limit::{Operation, Stopped};
use crate::select::{Arm, Attempt};
use crate::sync::RawMutex;
use crate::sync::claim::Claim;
use crate::unwind::to_the_end;

impl<M: RawMutex, T, S: Strategy<T>> Channel<M, T, S> {
    /// Sends values, in order, until there are no more or one is refused. Lend the iterator
    /// (`iter.by_ref()`) to keep the rest. Each value is a send of its own: constant time, interrupt-safe,
    /// and others may come in between.
    ///
    /// * *Cancel safety:* there is nothing to cancel: it returns at once.
    /// * *Order:* as many sends one after the other; others may come in between.
    /// * *Wake-ups:* one receiver a value.
    /// * *Interrupts:* safe as the iterator is; it runs outside the lock.
    /// * *Cost:* a `try_send` for each value.
    ///
    /// ```
    /// use cloakroom::channel::{Buffered, Channel};
    /// use cloakroom::sync::CriticalSectionRawMutex as Lock;
    ///
    /// static RING: Channel<Lock, u8, Buffered<2>> = Channel::new();
    /// let mut bytes = 1..=4;
    /// let full = RING.try_send_many(bytes.by_ref()).unwrap_err();
    /// assert_eq!((full.sent, full.error.into_inner(), bytes.next()), (2, 3, Some(4)));
    /// assert!(RING.drain().eq([1, 2]));
    /// ```
    ///
    /// # Errors
    /// How many were sent, and the first one that was not, with the reason.
    pub fn try_send_many(
        &self,
        values: impl IntoIterator<Item = T>,
    ) -> Result<usize, PartlySent<TrySendError<T>>> {
        let mut sent = 0;
        for value in values {
            if let Err(error) = self.try_send(value) {
                return Err(PartlySent { sent, error });
            }
            sent += 1;
        }
        Ok(sent)
    }

    /// Sends values, in order, waiting for room for each. The future returns how many there were; see
    /// [`SendMany`].
    ///
    /// * *Cancel safety:* what was sent stays sent; the waiting value can be recovered, see
    ///   [`SendMany`].
    /// * *Order:* as many sends one after the other.
    /// * *Wake-ups:* the future is woken once for each value that has to wait.
    /// * *Interrupts:* polled in a handler it is safe as the iterator is.
    /// * *Cost:* one pending send and the iterator.
    pub fn send_many<I: IntoIterator<Item = T>>(
        &self,
        values: I,
    ) -> SendMany<'_, M, T, S, I::IntoIter> {
        SendMany {
            channel: self,
            values: values.into_iter(),
            sending: None,
            sent: 0,
            _pinned: PhantomPinned,
        }
    }
}

impl<M: RawMutex, T, S: Compete<T>> Channel<M, T, S> {
    /// Waits for a value, then takes what else is there, up to `limit` in all, into `buffer`. The future
    /// returns how many; see [`RecvMany`].
    ///
    /// * *Cancel safety:* dropping the future loses nothing, see [`RecvMany`].
    /// * *Order:* the values in the order of the channel; others may receive in between.
    /// * *Wake-ups:* the future is woken once.
    /// * *Interrupts:* polled in a handler it is safe as the buffer is; it is filled outside the
    ///   lock.
    /// * *Cost:* one pending receive; a `try_recv` for each further value. Where a channel on the heap has lanes,
    ///   up to 32 values in one step instead. Should the buffer panic, those that it was about to be given are
    ///   dropped.
    ///
    /// ```
    /// use cloakroom::channel::{Buffered, Channel};
    /// use cloakroom::sync::CriticalSectionRawMutex as Lock;
    ///
    /// static RING: Channel<Lock, u8, Buffered<4>> = Channel::new();
    /// # async fn example() {
    /// let mut batch = Vec::new();
    /// while let Ok(count) = RING.recv_many(&mut batch, 3).await {
    ///     println!("{count} values: {batch:?}");
    ///     batch.clear();
    /// }
    /// # }
    /// ```
    pub fn recv_many<'a, B: Extend<T>>(
        &'a self,
        buffer: &'a mut B,
        limit: usize,
    ) -> RecvMany<'a, M, T, S, B> {
        RecvMany { inner: self.recv(), buffer, limit }
    }

    /// Takes what is there, and what comes until it has all been taken, without waiting.
    ///
    /// * *Cancel safety:* there is nothing to cancel: it returns at once.
    /// * *Order:* that of the channel.
    /// * *Wake-ups:* one sender a value.
    /// * *Interrupts:* safe in a handler of any priority, if the lock is.
    /// * *Cost:* a `try_recv` for each value.
    pub fn try_iter(&self) -> impl Iterator<Item = T> {
        core::iter::from_fn(|| self.try_recv().ok())
    }

    /// Takes what is there at this moment and nothing that comes later, without waiting.
    ///
    /// * *Cancel safety:* there is nothing to cancel: it returns at once.
    /// * *Order:* that of the channel.
    /// * *Wake-ups:* one sender a value.
    /// * *Interrupts:* safe in a handler of any priority, if the lock is.
    /// * *Cost:* a `try_recv` for each value, and a critical section to count them.
    pub fn drain(&self) -> impl Iterator<Item = T> {
        self.try_iter().take(self.len())
    }
}

impl<M: RawMutex, T, S: Strategy<T>> Sender<M, T, S> {
    /// See [`Channel::try_send_many`].
    ///
    /// # Errors
    /// As there.
    pub fn try_send_many(
        &self,
        values: impl IntoIterator<Item = T>,
    ) -> Result<usize, PartlySent<TrySendError<T>>> {
        self.channel().try_send_many(values)
    }

    /// See [`Channel::send_many`].
    pub fn send_many<I: IntoIterator<Item = T>>(
        &self,
        values: I,
    ) -> SendMany<'_, M, T, S, I::IntoIter> {
        self.channel().send_many(values)
    }
}

impl<M: RawMutex, T, S: Compete<T>> Receiver<M, T, S> {
    /// See [`Channel::recv_many`].
    pub fn recv_many<'a, B: Extend<T>>(
        &'a self,
        buffer: &'a mut B,
        limit: usize,
    ) -> RecvMany<'a, M, T, S, B> {
        self.channel().recv_many(buffer, limit)
    }

    /// See [`Channel::try_iter`].
    pub fn try_iter(&self) -> impl Iterator<Item = T> {
        self.channel().try_iter()
    }

    /// See [`Channel::drain`].
    pub fn drain(&self) -> impl Iterator<Item = T> {
        self.channel().drain()
    }
}

impl<P: ChannelRef> Subscriber<P>
where
    KindOf<P>: Listen<ValueOf<P>>,
{
    /// See [`Channel::recv_many`].
    pub fn recv_many<'a, B: Extend<<KindOf<P> as Strategy<ValueOf<P>>>::Received>>(
        &'a mut self,
        buffer: &'a mut B,
        limit: usize,
    ) -> RecvMany<'a, LockOf<P>, ValueOf<P>, KindOf<P>, B> {
        RecvMany { inner: self.recv(), buffer, limit }
    }
}

/// A pending [`Channel::send_many`].
///
/// Cancel safety: what was sent is sent; dropping it drops the value that waits, unless
/// [`take_value`](Self::take_value) has recovered it, and the iterator, unless that was lent. A deadline or a
/// cancellation gives the waiting value back.
#[must_use = "futures do nothing unless polled"]
pub struct SendMany<'a, M: RawMutex, T, S: Strategy<T>, I> {
    channel: &'a Channel<M, T, S>,
    values: I,
    sending: Option<SendFuture<'a, M, T, S>>,
    sent: usize,
    _pinned: PhantomPinned,
}

impl<'a, M: RawMutex, T, S: Strategy<T>, I> SendMany<'a, M, T, S, I> {
    /// How many have been sent so far.
    pub fn sent(&self) -> usize {
        self.sent
    }

    /// Recovers the value that waits to be sent. Polled again it goes on with the next.
    pub fn take_value(mut self: Pin<&mut Self>) -> Option<T> {
        let value = self.as_mut().sending()?.take_value();
        if value.is_some() {
            // SAFETY: the field is pinned with the whole: it is only ever replaced in place.
            unsafe { self.get_unchecked_mut() }.sending = None;
        }
        value
    }

    fn sending(self: Pin<&mut Self>) -> Option<Pin<&mut SendFuture<'a, M, T, S>>> {
        // SAFETY: the field is pinned with the whole: it is only ever replaced in place.
        unsafe { self.map_unchecked_mut(|this| &mut this.sending) }.as_pin_mut()
    }

    fn partly<E>(&self, error: E) -> PartlySent<E> {
        PartlySent { sent: self.sent, error }
    }

    /// Sends by the lane what goes that way, and returns the first value that may have to wait.
    fn next_to_wait(&mut self) -> Option<T>
    where
        I: Iterator<Item = T>,
    {
        if !S::Aside::LENDS {
            return self.values.next();
        }
        loop {
            match self.channel.send_aside(self.values.next()?) {
                Ok(()) => self.sent += 1,
                Err(missed) => return Some(missed.into_inner()),
            }
        }
    }
}

impl<M: RawMutex, T, S: Strategy<T>, I: Iterator<Item = T>> Future for SendMany<'_, M, T, S, I> {
    type Output = Result<usize, PartlySent<SendError<T>>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            if let Some(sending) = self.as_mut().sending() {
                let result = ready!(sending.poll(cx));
                // SAFETY: the old future is dropped in place.
                let this = unsafe { self.as_mut().get_unchecked_mut() };
                this.sending = None;
                match result {
                    Ok(_) => this.sent += 1,
                    Err(error) => return Poll::Ready(Err(this.partly(error))),
                }
            }
            // SAFETY: the iterator is not pinned, and there is no future to be moved.
            let this = unsafe { self.as_mut().get_unchecked_mut() };
            match this.next_to_wait() {
                Some(value) => this.sending = Some(this.channel.send(value)),
                None => return Poll::Ready(Ok(this.sent)),
            }
        }
    }
}

impl<M: RawMutex, T, S: Strategy<T>, I: Iterator<Item = T>> Operation for SendMany<'_, M, T, S, I> {
    type Limited = Result<usize, PartlySent<SendTimeoutError<T>>>;

    fn finish(output: Self::Output) -> Self::Limited {
        output.map_err(|PartlySent { sent, error: SendError(value) }| PartlySent {
            sent,
            error: SendTimeoutError::Closed(value),
        })
    }

    fn abandon(mut self: Pin<&mut Self>, why: Stopped) -> Option<Self::Limited> {
        let outcome = self.as_mut().sending()?.abandon(why)?;
        // SAFETY: the old future is dropped in place, and nothing else is moved.
        let this = unsafe { self.get_unchecked_mut() };
        this.sending = None;
        let error = match outcome {
            // The last moment's match counts; it is the whole batch only if nothing is left.
            Ok(_) => {
                this.sent += 1;
                let Some(value) = this.values.next() else { return Some(Ok(this.sent)) };
                SendTimeoutError::stopped(why, value)
            }
            Err(error) => error,
        };
        Some(Err(this.partly(error)))
    }
}

/// A pending [`Channel::recv_many`].
///
/// Cancel safety: dropping it loses nothing. What it has taken is in the buffer when it returns, and it takes
/// nothing before that. Wake-ups: one.
#[must_use = "futures do nothing unless polled"]
pub struct RecvMany<'a, M: RawMutex, T, S: Strategy<T>, B> {
    inner: RecvFuture<'a, M, T, S>,
    buffer: &'a mut B,
    limit: usize,
}

impl<'a, M: RawMutex, T, S: Strategy<T>, B: Extend<S::Received>> RecvMany<'a, M, T, S, B> {
    fn inner(self: Pin<&mut Self>) -> Pin<&mut RecvFuture<'a, M, T, S>> {
        // SAFETY: the field is pinned with the whole.
        unsafe { self.map_unchecked_mut(|this| &mut this.inner) }
    }

    /// The first value has come another way: takes the others.
    #[cfg(feature = "std")]
    pub(crate) fn begin_with(mut self, first: S::Received) -> usize {
        self.take_more(first)
    }

    /// The first value has come: takes the others.
    fn take_more(&mut self, first: S::Received) -> usize {
        let mut count = 1;
        self.buffer.extend([first]);
        while count < self.limit {
            if S::Aside::LENDS && size_of::<T>() <= LARGEST_HELD {
                match self.take_several(self.limit - count) {
                    Ok(several) => {
                        count += several;
                        continue;
                    }
                    Err(Missed::NotNow(())) => break,
                    Err(_) => {}
                }
            }
            let Some(next) = self.inner.try_next() else { break };
            self.buffer.extend([next]);
            count += 1;
        }
        count
    }

    /// As many values as a lane has at once, up to `limit`.
    #[inline(never)]
    fn take_several(&mut self, limit: usize) -> Result<usize, Missed<()>> {
        let mut held = Held { values: [const { MaybeUninit::uninit() }; HELD], next: 0, len: 0 };
        let places = &mut held.values[..limit.min(HELD)];
        held.len = self.inner.try_several(places)?;
        let len = held.len;
        // Outside the lane's lock, as it is foreign code.
        self.buffer.extend(held.by_ref().map(S::Store::received));
        Ok(len)
    }
}

/// How many values are taken out of a lane at once, on their way to the buffer, and how large they may be: a page of stack
/// at the most.
const HELD: usize = 32;
const LARGEST_HELD: usize = 128;

/// Values that have been taken out of a lane.
struct Held<T> {
    /// From `next` up to `len` there are values.
    values: [MaybeUninit<T>; HELD],
    next: usize,
    len: usize,
}

impl<T> Iterator for Held<T> {
    type Item = T;

    #[inline]
    fn next(&mut self) -> Option<T> {
        let value = self.values[..self.len].get(self.next)?;
        self.next += 1;
        // SAFETY: there is a value, which leaves here: `next` is behind it now.
        Some(unsafe { value.assume_init_read() })
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.len - self.next;
        (left, Some(left))
    }
}

impl<T> Drop for Held<T> {
    fn drop(&mut self) {
        // What the buffer did not want, or did not get as it panicked.
        to_the_end(|| self.next().map(drop).is_some());
    }
}

impl<M: RawMutex, T, S: Strategy<T>, B: Extend<S::Received>> Future for RecvMany<'_, M, T, S, B> {
    type Output = Result<usize, RecvError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.limit == 0 {
            // As an arm of a select it has to win even for nothing.
            return if self.inner.wins() { Poll::Ready(Ok(0)) } else { Poll::Pending };
        }
        let first = ready!(self.as_mut().inner().poll(cx));
        // SAFETY: nothing pinned is moved.
        Poll::Ready(first.map(|first| unsafe { self.get_unchecked_mut() }.take_more(first)))
    }
}

impl<M: RawMutex, T, S: Strategy<T>, B: Extend<S::Received>> Operation
    for RecvMany<'_, M, T, S, B>
{
    type Limited = Result<usize, RecvTimeoutError>;

    fn finish(output: Self::Output) -> Self::Limited {
        output.map_err(|RecvError| RecvTimeoutError::Closed)
    }

    fn abandon(mut self: Pin<&mut Self>, why: Stopped) -> Option<Self::Limited> {
        if self.limit == 0 {
            return Some(Ok(0));
        }
        let first = self.as_mut().inner().abandon(why)?;
        // SAFETY: nothing pinned is moved.
        Some(first.map(|first| unsafe { self.get_unchecked_mut() }.take_more(first)))
    }
}

impl<M: RawMutex, T, S: Strategy<T>, B> crate::select::sealed::Sealed for RecvMany<'_, M, T, S, B> {}

impl<M: RawMutex, T, S: Strategy<T>, B: Extend<S::Received>> Arm for RecvMany<'_, M, T, S, B> {
    unsafe fn join(self: Pin<&mut Self>, claim: *const Claim, arm: u16) {
        // SAFETY: passed on.
        unsafe { self.inner().join(claim, arm) }
    }

    fn withdraw(self: Pin<&mut Self>) {
        self.inner().withdraw();
    }

    fn is_fresh(&self) -> bool {
        self.inner.is_fresh()
    }

    fn attempt(mut self: Pin<&mut Self>) -> Attempt<Self::Output> {
        if self.limit == 0 {
            return Attempt::Done(Ok(0));
        }
        let first = self.as_mut().inner().attempt();
        // SAFETY: nothing pinned is moved.
        first.map(|first| first.map(|first| unsafe { self.get_unchecked_mut() }.take_more(first)))
    }

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.limit == 0 { Poll::Ready(()) } else { self.inner().poll_ready(cx) }
    }
}
