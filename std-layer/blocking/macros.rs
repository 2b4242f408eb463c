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
        $crate::__blocking_cases!(@read new [] $($cases)*)
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
        $crate::__blocking_cases!(@read new_biased [] $($cases)*)
    };
}

/// The parts of both. A case takes three steps of the compiler's 128: two to be read, one to be looked at.
#[doc(hidden)]
#[macro_export]
macro_rules! __blocking_cases {
    // Reads case after case into brackets.
    (@read $new:ident []) => {
        ::core::compile_error!("a `select!` needs at least one case")
    };
    (@read $new:ident $cases:tt) => {{
        let first = 0;
        $crate::__blocking_cases!(@look $new first $cases [] [])
    }};
    (@read $new:ident $cases:tt default => $($rest:tt)*) => {
        $crate::__blocking_cases!(@body $new $cases [default ()] $($rest)*)
    };
    (@read $new:ident $cases:tt default() => $($rest:tt)*) => {
        $crate::__blocking_cases!(@body $new $cases [default ()] $($rest)*)
    };
    (@read $new:ident $cases:tt default($timeout:expr $(,)?) => $($rest:tt)*) => {
        $crate::__blocking_cases!(@body $new $cases [default ($timeout)] $($rest)*)
    };
    (@read $new:ident $cases:tt recv($receiver:expr $(,)?) -> $result:pat => $($rest:tt)*) => {
        $crate::__blocking_cases!(@body $new $cases [recv ($receiver) () ($result)] $($rest)*)
    };
    (@read $new:ident $cases:tt
        send($sender:expr, $value:expr $(,)?) -> $result:pat => $($rest:tt)*
    ) => {
        $crate::__blocking_cases!(@body $new $cases [send ($sender) ($value) ($result)] $($rest)*)
    };
    (@read $new:ident $cases:tt $($rest:tt)*) => {
        ::core::compile_error!(
            "expected `recv(receiver) -> result => code`, `send(sender, value) -> result => code`, \
             `default => code` or `default(timeout) => code`"
        )
    };

    // The code of a case: in braces, or up to a comma.
    (@body $new:ident [$($cases:tt)*] [$($case:tt)*] $body:block, $($rest:tt)*) => {
        $crate::__blocking_cases!(@read $new [$($cases)* [$($case)* ($body)]] $($rest)*)
    };
    (@body $new:ident [$($cases:tt)*] [$($case:tt)*] $body:block $($rest:tt)*) => {
        $crate::__blocking_cases!(@read $new [$($cases)* [$($case)* ($body)]] $($rest)*)
    };
    (@body $new:ident [$($cases:tt)*] [$($case:tt)*] $body:expr, $($rest:tt)*) => {
        $crate::__blocking_cases!(@read $new [$($cases)* [$($case)* ($body)]] $($rest)*)
    };
    (@body $new:ident [$($cases:tt)*] [$($case:tt)*] $body:expr) => {
        $crate::__blocking_cases!(@read $new [$($cases)* [$($case)* ($body)]])
    };
    (@body $($rest:tt)*) => {
        ::core::compile_error!("expected code after `=>`, with a comma after it unless it is in braces")
    };

    // Evaluates the endpoints, one within the other, so that what their expressions borrow lives long enough, and
    // numbers them. Names made here are new in each step. The default case goes into brackets of its own.
    (@look $new:ident $index:ident
        [[recv ($receiver:expr) $($case:tt)*] $($cases:tt)*] $default:tt [$($seen:tt)*]
    ) => {
        match $receiver {
            ref receiver => {
                let receiver: &$crate::blocking::Receiver<_> = receiver;
                let _next = $index + 1;
                $crate::__blocking_cases!(@look $new _next
                    [$($cases)*] $default [$($seen)* [recv receiver $index $($case)*]])
            }
        }
    };
    (@look $new:ident $index:ident
        [[send ($sender:expr) $($case:tt)*] $($cases:tt)*] $default:tt [$($seen:tt)*]
    ) => {
        match $sender {
            ref sender => {
                let sender: &$crate::blocking::Sender<_> = sender;
                let _next = $index + 1;
                $crate::__blocking_cases!(@look $new _next
                    [$($cases)*] $default [$($seen)* [send sender $index $($case)*]])
            }
        }
    };
    (@look $new:ident $index:ident [[default $($default:tt)*] $($cases:tt)*] [] $seen:tt) => {
        $crate::__blocking_cases!(@look $new $index [$($cases)*] [$($default)*] $seen)
    };
    (@look $new:ident $index:ident [[default $($default:tt)*] $($cases:tt)*] $first:tt $seen:tt) => {
        ::core::compile_error!("a `select!` has one `default` case at most")
    };

    // Selects. The list is gone before any of the code runs.
    (@look $new:ident $index:ident [] [] $seen:tt) => {{
        let operation = $crate::__blocking_cases!(@select $new select() $seen);
        $crate::__blocking_cases!(@run operation $seen)
    }};
    (@look $new:ident $index:ident [] [() ($default:expr)] $seen:tt) => {
        match $crate::__blocking_cases!(@select $new try_select() $seen) {
            ::core::result::Result::Ok(operation) => {
                $crate::__blocking_cases!(@run operation $seen)
            }
            ::core::result::Result::Err(_) => $default,
        }
    };
    (@look $new:ident $index:ident [] [($timeout:expr) ($default:expr)] $seen:tt) => {
        match $crate::__blocking_cases!(@select $new select_timeout($timeout) $seen) {
            ::core::result::Result::Ok(operation) => {
                $crate::__blocking_cases!(@run operation $seen)
            }
            ::core::result::Result::Err(_) => $default,
        }
    };
    (@select $new:ident $select:ident($($timeout:expr)?)
        [$([$way:ident $endpoint:ident $($case:tt)*])*]
    ) => {{
        let mut select = $crate::blocking::Select::$new();
        $(select.$way($endpoint);)*
        let operation = select.$select($($timeout)?);
        operation
    }};

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
