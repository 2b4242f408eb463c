//! The macro `select!`.

/// Waits for the first of several operations and runs a piece of code for it.
///
/// Each arm is `pattern = operation => expression`; the operation is an [`Arm`](crate::select::Arm) and the
/// pattern, which must always match, is given its result. All expressions have one type. There may be 32 arms
/// and more. When several are ready one is picked at random, as [`fair`](crate::select::Select::fair) says;
/// beginning with `biased;` makes it the first. With a last arm `default => expression` it does not wait: that
/// expression is run if nothing is ready.
///
/// The arms that did not happen are gone when the expression runs. Use a pinned reference to keep one.
/// The expression may `break`, `return` and `.await`. Cancel safety is that of [`select`](fn@crate::select::select).
///
/// ```
/// use std::pin::pin;
/// use cloakroom::channel::{Buffered, Channel};
/// use cloakroom::kernel::Timers;
/// use cloakroom::select;
/// use cloakroom::sync::CriticalSectionRawMutex as Lock;
///
/// static JOBS: Channel<Lock, u32, Buffered<4>> = Channel::new();
/// static STOP: Channel<Lock, (), Buffered<1>> = Channel::new();
/// static TIMERS: Timers<Lock> = Timers::new();
///
/// # async fn example() {
/// loop {
///     select! {
///         job = JOBS.recv() => println!("a job: {job:?}"),
///         () = TIMERS.after(1_000) => println!("nothing to do"),
///         _ = STOP.recv() => break,
///     }
/// }
/// # }
///
/// // Without waiting:
/// let job = select! {
///     biased;
///     job = JOBS.recv() => job.ok(),
///     default => None,
/// };
/// assert_eq!(job, None);
/// ```
#[macro_export]
macro_rules! select {
    (biased; $($arms:tt)+) => {
        $crate::__select!(read biased [] $($arms)+)
    };
    ($($arms:tt)+) => {
        $crate::__select!(read fair [] $($arms)+)
    };
}

/// The parts of [`select!`].
#[doc(hidden)]
#[macro_export]
macro_rules! __select {
    // Reads arm after arm into brackets.
    (read $mode:ident $done:tt default => $body:expr $(,)?) => {
        $crate::__select!(now $mode $done $body)
    };
    (read $mode:ident [$($done:tt)*] $pattern:pat = $arm:expr => $body:block $(,)? $($rest:tt)*) => {
        $crate::__select!(read $mode [$($done)* [($pattern) ($arm) ($body)]] $($rest)*)
    };
    (read $mode:ident [$($done:tt)*] $pattern:pat = $arm:expr => $body:expr, $($rest:tt)*) => {
        $crate::__select!(read $mode [$($done)* [($pattern) ($arm) ($body)]] $($rest)*)
    };
    (read $mode:ident [$($done:tt)*] $pattern:pat = $arm:expr => $body:expr) => {
        $crate::__select!(read $mode [$($done)* [($pattern) ($arm) ($body)]])
    };
    (read $mode:ident $done:tt) => {
        $crate::__select!(wait $mode $done)
    };

    (wait $mode:ident [$([$pattern:tt $arm:tt $body:tt])+]) => {{
        let happened = $crate::__select!(mode $mode
            $crate::select::select($crate::__select!(chain $($arm)+))).await;
        $crate::__select!(run happened $([$pattern $body])+)
    }};
    (now $mode:ident [$([$pattern:tt $arm:tt $body:tt])+] $default:expr) => {{
        let happened = {
            let select = ::core::pin::pin!($crate::__select!(mode $mode
                $crate::select::select($crate::__select!(chain $($arm)+))));
            let happened = $crate::select::Select::try_now(select);
            happened
        };
        match happened {
            ::core::option::Option::Some(happened) => {
                $crate::__select!(run happened $([$pattern $body])+)
            }
            ::core::option::Option::None => $default,
        }
    }};

    (mode biased $select:expr) => { $select };
    (mode fair $select:expr) => { $select.fair() };

    (chain ($arm:expr) $($rest:tt)*) => {
        $crate::select::Chain($arm, $crate::__select!(chain $($rest)*))
    };
    (chain) => { $crate::select::End };

    (run $happened:ident [($pattern:pat) ($body:expr)] $($rest:tt)*) => {
        match $happened {
            $crate::select::Link::Here($pattern) => $body,
            $crate::select::Link::Further(further) => {
                $crate::__select!(run further $($rest)*)
            }
        }
    };
    (run $happened:ident) => { match $happened {} };
}
