//! The macros `select!` and `select_biased!`, in the syntax of crossbeam-channel.

/// Waits for the first of several sends and receives, does it, and runs a piece of code for it.
///
/// ```text
/// select! {
///     recv(receiver) -> result => …,
///     send(sender, value) -> result => …,
///     default => …,              // if none is ready; or
///     default(timeout) => …,     // if none is ready in time
/// }
/// ```
///
/// Of several that are ready a random one is chosen; see [`select_biased!`](crate::blocking::select_biased!). The
/// value to send is computed only if its operation is chosen. Code in braces needs no comma after it, the pattern must always
/// match, and all pieces of code have one type. There may be 32 cases and more. It blocks this thread: in a task use the
/// asynchronous [`select!`](crate::select!) of the crate.
///
/// ```
/// use std::time::Duration;
/// use cloakroom::blocking::{bounded, select};
///
/// let (jobs, inbox) = bounded(1);
/// let (results, _outbox) = bounded(1);
/// jobs.send(6)?;
///
/// let done = select! {
///     recv(inbox) -> job => job.unwrap_or(0) * 7,
///     default(Duration::from_secs(10)) => panic!("nothing to do"),
/// };
/// select! {
///     send(results, done) -> sent => assert!(sent.is_ok()),
///     recv(inbox) -> _ => panic!("there is no other"),
/// }
/// # Ok::<(), cloakroom::blocking::SendError<i32>>(())
/// ```
#[doc(hidden)]
#[macro_export]
macro_rules! __blocking_select {
    ($($cases:tt)*) => {
        $crate::__blocking_cases!(@read false [] $($cases)*)
    };
}

/// As [`select!`](crate::blocking::select!), but of several operations that are ready it chooses the one that is listed
/// first.
///
/// ```
/// use cloakroom::blocking::{bounded, select_biased};
///
/// let (urgent, first) = bounded(1);
/// let (normal, second) = bounded(1);
/// normal.send("later")?;
/// urgent.send("now")?;
/// select_biased! {
///     recv(first) -> message => assert_eq!(message, Ok("now")),
///     recv(second) -> _ => unreachable!(),
/// }
/// # Ok::<(), cloakroom::blocking::SendError<&str>>(())
/// ```
#[doc(hidden)]
#[macro_export]
macro_rules! __blocking_select_biased {
    ($($cases:tt)*) => {
        $crate::__blocking_cases!(@read true [] $($cases)*)
    };
}

/// The parts of both. A case takes three steps of the compiler's 128: two to be read, one to be looked at.
#[doc(hidden)]
#[macro_export]
macro_rules! __blocking_cases {
    // Reads case after case into brackets.
    (@read $biased:tt []) => {
        ::core::compile_error!("a `select!` needs at least one case")
    };
    (@read $biased:tt $cases:tt) => {{
        let first = 0;
        $crate::__blocking_cases!(@look $biased first $cases [] [])
    }};
    (@read $biased:tt $cases:tt default => $($rest:tt)*) => {
        $crate::__blocking_cases!(@body $biased $cases [default ()] $($rest)*)
    };
    (@read $biased:tt $cases:tt default() => $($rest:tt)*) => {
        $crate::__blocking_cases!(@body $biased $cases [default ()] $($rest)*)
    };
    (@read $biased:tt $cases:tt default($timeout:expr $(,)?) => $($rest:tt)*) => {
        $crate::__blocking_cases!(@body $biased $cases [default ($timeout)] $($rest)*)
    };
    (@read $biased:tt $cases:tt recv($receiver:expr $(,)?) -> $result:pat => $($rest:tt)*) => {
        $crate::__blocking_cases!(@body $biased $cases [recv ($receiver) () ($result)] $($rest)*)
    };
    (@read $biased:tt $cases:tt
        send($sender:expr, $value:expr $(,)?) -> $result:pat => $($rest:tt)*
    ) => {
        $crate::__blocking_cases!(@body $biased $cases [send ($sender) ($value) ($result)] $($rest)*)
    };
    (@read $biased:tt $cases:tt $($rest:tt)*) => {
        ::core::compile_error!(
            "expected `recv(receiver) -> result => code`, `send(sender, value) -> result => code`, \
             `default => code` or `default(timeout) => code`"
        )
    };

    // The code of a case: in braces, or up to a comma.
    (@body $biased:tt [$($cases:tt)*] [$($case:tt)*] $body:block, $($rest:tt)*) => {
        $crate::__blocking_cases!(@read $biased [$($cases)* [$($case)* ($body)]] $($rest)*)
    };
    (@body $biased:tt [$($cases:tt)*] [$($case:tt)*] $body:block $($rest:tt)*) => {
        $crate::__blocking_cases!(@read $biased [$($cases)* [$($case)* ($body)]] $($rest)*)
    };
    (@body $biased:tt [$($cases:tt)*] [$($case:tt)*] $body:expr, $($rest:tt)*) => {
        $crate::__blocking_cases!(@read $biased [$($cases)* [$($case)* ($body)]] $($rest)*)
    };
    (@body $biased:tt [$($cases:tt)*] [$($case:tt)*] $body:expr) => {
        $crate::__blocking_cases!(@read $biased [$($cases)* [$($case)* ($body)]])
    };
    (@body $($rest:tt)*) => {
        ::core::compile_error!("expected code after `=>`, with a comma after it unless it is in braces")
    };

    // Evaluates the endpoints, one within the other, so that what their expressions borrow lives long enough, and
    // numbers them. Names made here are new in each step. The default case goes into brackets of its own.
    (@look $biased:tt $index:ident
        [[recv ($receiver:expr) $($case:tt)*] $($cases:tt)*] $default:tt [$($seen:tt)*]
    ) => {
        match $receiver {
            ref receiver => {
                let receiver: &$crate::blocking::Receiver<_> = receiver;
                let _next = $index + 1;
                $crate::__blocking_cases!(@look $biased _next
                    [$($cases)*] $default [$($seen)* [recv receiver $index $($case)*]])
            }
        }
    };
    (@look $biased:tt $index:ident
        [[send ($sender:expr) $($case:tt)*] $($cases:tt)*] $default:tt [$($seen:tt)*]
    ) => {
        match $sender {
            ref sender => {
                let sender: &$crate::blocking::Sender<_> = sender;
                let _next = $index + 1;
                $crate::__blocking_cases!(@look $biased _next
                    [$($cases)*] $default [$($seen)* [send sender $index $($case)*]])
            }
        }
    };
    (@look $biased:tt $index:ident [[default $($default:tt)*] $($cases:tt)*] [] $seen:tt) => {
        $crate::__blocking_cases!(@look $biased $index [$($cases)*] [$($default)*] $seen)
    };
    (@look $biased:tt $index:ident [[default $($default:tt)*] $($cases:tt)*] $first:tt $seen:tt) => {
        ::core::compile_error!("a `select!` has one `default` case at most")
    };

    // Selects. The list is gone before any of the code runs.
    (@look $biased:tt $index:ident [] [] $seen:tt) => {{
        let operation = $crate::__blocking_cases!(@select $biased select() $seen);
        $crate::__blocking_cases!(@run operation $seen)
    }};
    (@look $biased:tt $index:ident [] [() ($default:expr)] $seen:tt) => {
        match $crate::__blocking_cases!(@select $biased try_select() $seen) {
            ::core::option::Option::Some(operation) => {
                $crate::__blocking_cases!(@run operation $seen)
            }
            ::core::option::Option::None => $default,
        }
    };
    (@look $biased:tt $index:ident [] [($timeout:expr) ($default:expr)] $seen:tt) => {
        match $crate::__blocking_cases!(@select $biased select_timeout($timeout) $seen) {
            ::core::option::Option::Some(operation) => {
                $crate::__blocking_cases!(@run operation $seen)
            }
            ::core::option::Option::None => $default,
        }
    };
    (@select $biased:tt $select:ident($($timeout:expr)?)
        [$([$way:ident $endpoint:ident $index:ident $($case:tt)*])*]
    ) => {
        $crate::blocking::Among {
            listed: &[$($crate::blocking::Listed::$way($index, $endpoint)),*],
            biased: $biased,
        }
        .$select($($timeout)?)
    };

    // Does the operation, and runs its code.
    (@run $operation:ident [$(
        [$way:ident $endpoint:ident $index:ident ($($value:expr)?) ($result:pat) ($body:expr)]
    )*]) => {
        $(if $operation.index() == $index {
            let $result = $operation.$way($endpoint $(, $value)?);
            $body
        } else)* {
            ::core::unreachable!("no such operation was added")
        }
    };
}
