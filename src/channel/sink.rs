//! A channel as a `Sink`.

use core::marker::PhantomPinned;
use core::pin::Pin;
use core::task::{Context, Poll, ready};

use futures_sink::Sink;

use super::endpoint::Sender;
use super::store::Strategy;
use super::{Channel, SendFuture};
use crate::error::SendError;
use crate::sync::RawMutex;

impl<M: RawMutex, T, S: Strategy<T>> Channel<M, T, S> {
    /// The channel as a [`Sink`], for combinators. A [`RecvFuture`](super::RecvFuture) is the `Stream`.
    ///
    /// * *Cancel safety:* dropping it drops the value that it has accepted and not sent.
    /// * *Order:* as `send`.
    /// * *Wake-ups:* as `send`.
    /// * *Interrupts:* safe in a handler of any priority, if the lock is.
    /// * *Cost:* a pending send.
    pub fn sink(&self) -> SendSink<'_, M, T, S> {
        SendSink { channel: self, sending: None, _pinned: PhantomPinned }
    }
}

impl<M: RawMutex, T, S: Strategy<T>> Sender<M, T, S> {
    /// See [`Channel::sink`].
    pub fn sink(&self) -> SendSink<'_, M, T, S> {
        self.channel().sink()
    }
}

/// A [`Sink`] into a channel, made by [`Channel::sink`].
///
/// It accepts one value, which then waits in it like any sender: the next is accepted when that has been
/// sent. Flushing waits until it has been. Closing the sink flushes, and leaves the channel open, as others
/// may send. Dropping it drops a value that has not been sent.
#[must_use = "sinks do nothing unless polled"]
pub struct SendSink<'a, M: RawMutex, T, S: Strategy<T>> {
    channel: &'a Channel<M, T, S>,
    sending: Option<SendFuture<'a, M, T, S>>,
    _pinned: PhantomPinned,
}

impl<M: RawMutex, T, S: Strategy<T>> Sink<T> for SendSink<'_, M, T, S> {
    type Error = SendError<T>;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError<T>>> {
        self.poll_flush(cx)
    }

    fn start_send(self: Pin<&mut Self>, value: T) -> Result<(), SendError<T>> {
        // SAFETY: a future that is replaced is dropped in place; its value went with `poll_ready`, or is
        // dropped by a caller who did not ask.
        let this = unsafe { self.get_unchecked_mut() };
        if this.channel.is_closed() {
            return Err(SendError(value));
        }
        this.sending = Some(this.channel.send(value));
        Ok(())
    }

    fn poll_flush(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), SendError<T>>> {
        // SAFETY: the field is pinned with the whole: it is only ever replaced in place.
        let sending = unsafe { self.as_mut().map_unchecked_mut(|this| &mut this.sending) };
        let Some(sending) = sending.as_pin_mut() else {
            return Poll::Ready(Ok(()));
        };
        let result = ready!(core::future::Future::poll(sending, cx));
        // SAFETY: the old future is dropped in place.
        unsafe { self.get_unchecked_mut() }.sending = None;
        Poll::Ready(result.map(drop))
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError<T>>> {
        self.poll_flush(cx)
    }
}
