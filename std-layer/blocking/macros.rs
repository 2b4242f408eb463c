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
/// match, and all pieces of code have one type. It blocks this thread: in a task use the asynchronous
/// [`select!`](crate::select!) of the crate.
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
        $crate::__blocking_cases!(@read new [] [] $($cases)*)
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
        $crate::__blocking_cases!(@read new_biased [] [] $($cases)*)
    };
}

/// The parts of both.
#[doc(hidden)]
#[macro_export]
macro_rules! __blocking_cases {
    // Reads case after case into brackets; the default one into brackets of its own.
    (@read $new:ident [] []) => {
        ::core::compile_error!("a `select!` needs at least one case")
    };
    (@read $new:ident $cases:tt $default:tt) => {
        $crate::__blocking_cases!(@look $new $cases $default [])
    };
    (@read $new:ident $cases:tt [] default => $($rest:tt)*) => {
        $crate::__blocking_cases!(@body $new $cases [] [default ()] $($rest)*)
    };
    (@read $new:ident $cases:tt [] default() => $($rest:tt)*) => {
        $crate::__blocking_cases!(@body $new $cases [] [default ()] $($rest)*)
    };
    (@read $new:ident $cases:tt [] default($timeout:expr $(,)?) => $($rest:tt)*) => {
        $crate::__blocking_cases!(@body $new $cases [] [default ($timeout)] $($rest)*)
    };
    (@read $new:ident $cases:tt [$($default:tt)+] default $($rest:tt)*) => {
        ::core::compile_error!("a `select!` has one `default` case at most")
    };
    (@read $new:ident $cases:tt $default:tt
        recv($receiver:expr $(,)?) -> $result:pat => $($rest:tt)*
    ) => {
        $crate::__blocking_cases!(
            @body $new $cases $default [recv ($receiver) ($result)] $($rest)*
        )
    };
    (@read $new:ident $cases:tt $default:tt
        send($sender:expr, $value:expr $(,)?) -> $result:pat => $($rest:tt)*
    ) => {
        $crate::__blocking_cases!(
            @body $new $cases $default [send ($sender) ($value) ($result)] $($rest)*
        )
    };
    (@read $new:ident $cases:tt $default:tt $($rest:tt)*) => {
        ::core::compile_error!(
            "expected `recv(receiver) -> result => code`, `send(sender, value) -> result => code`, \
             `default => code` or `default(timeout) => code`"
        )
    };

    // The code of a case: in braces, or up to a comma.
    (@body $new:ident $cases:tt $default:tt $case:tt $body:block, $($rest:tt)*) => {
        $crate::__blocking_cases!(@keep $new $cases $default $case ($body) $($rest)*)
    };
    (@body $new:ident $cases:tt $default:tt $case:tt $body:block $($rest:tt)*) => {
        $crate::__blocking_cases!(@keep $new $cases $default $case ($body) $($rest)*)
    };
    (@body $new:ident $cases:tt $default:tt $case:tt $body:expr, $($rest:tt)*) => {
        $crate::__blocking_cases!(@keep $new $cases $default $case ($body) $($rest)*)
    };
    (@body $new:ident $cases:tt $default:tt $case:tt $body:expr) => {
        $crate::__blocking_cases!(@keep $new $cases $default $case ($body))
    };
    (@body $($rest:tt)*) => {
        ::core::compile_error!("expected code after `=>`, with a comma after it unless it is in braces")
    };

    (@keep $new:ident $cases:tt [] [default $timeout:tt] $body:tt $($rest:tt)*) => {
        $crate::__blocking_cases!(@read $new $cases [$timeout $body] $($rest)*)
    };
    (@keep $new:ident [$($cases:tt)*] $default:tt [$($case:tt)*] $body:tt $($rest:tt)*) => {
        $crate::__blocking_cases!(@read $new [$($cases)* [$($case)* $body]] $default $($rest)*)
    };

    // Evaluates the endpoints, one within the other, so that what their expressions borrow lives long enough. Names
    // made here are new in each step.
    (@look $new:ident
        [[recv ($receiver:expr) $($case:tt)*] $($cases:tt)*] $default:tt [$($seen:tt)*]
    ) => {
        match $receiver {
            ref receiver => {
                let receiver: &$crate::blocking::Receiver<_> = receiver;
                $crate::__blocking_cases!(
                    @look $new [$($cases)*] $default [$($seen)* [recv receiver $($case)*]]
                )
            }
        }
    };
    (@look $new:ident
        [[send ($sender:expr) $($case:tt)*] $($cases:tt)*] $default:tt [$($seen:tt)*]
    ) => {
        match $sender {
            ref sender => {
                let sender: &$crate::blocking::Sender<_> = sender;
                $crate::__blocking_cases!(
                    @look $new [$($cases)*] $default [$($seen)* [send sender $($case)*]]
                )
            }
        }
    };
    (@look $new:ident [] $default:tt $seen:tt) => {{
        #[allow(unused_mut)]
        let mut select = $crate::blocking::Select::$new();
        $crate::__blocking_cases!(@add select $seen $default [])
    }};

    // Lists the operations.
    (@add $select:ident
        [[$way:ident $endpoint:ident $($case:tt)*] $($cases:tt)*] $default:tt [$($added:tt)*]
    ) => {{
        let index = $select.$way($endpoint);
        $crate::__blocking_cases!(@add $select [$($cases)*] $default
            [$($added)* [$way $endpoint index $($case)*]])
    }};

    // Selects. The list is gone before any of the code runs.
    (@add $select:ident [] [] $added:tt) => {{
        let operation = {
            let mut select = $select;
            select.select()
        };
        $crate::__blocking_cases!(@run operation $added)
    }};
    (@add $select:ident [] [() ($default:expr)] $added:tt) => {{
        let operation = {
            #[allow(unused_mut)]
            let mut select = $select;
            select.try_select()
        };
        match operation {
            ::core::result::Result::Ok(operation) => {
                $crate::__blocking_cases!(@run operation $added)
            }
            ::core::result::Result::Err(_) => $default,
        }
    }};
    (@add $select:ident [] [($timeout:expr) ($default:expr)] $added:tt) => {{
        let operation = {
            let mut select = $select;
            select.select_timeout($timeout)
        };
        match operation {
            ::core::result::Result::Ok(operation) => {
                $crate::__blocking_cases!(@run operation $added)
            }
            ::core::result::Result::Err(_) => $default,
        }
    }};

    // Does the operation, and runs its code.
    (@run $operation:ident
        [[recv $receiver:ident $index:ident ($result:pat) ($body:expr)] $($added:tt)*]
    ) => {
        if $operation.index() == $index {
            let $result = $operation.recv($receiver);
            $body
        } else {
            $crate::__blocking_cases!(@run $operation [$($added)*])
        }
    };
    (@run $operation:ident
        [[send $sender:ident $index:ident ($value:expr) ($result:pat) ($body:expr)] $($added:tt)*]
    ) => {
        if $operation.index() == $index {
            let $result = $operation.send($sender, $value);
            $body
        } else {
            $crate::__blocking_cases!(@run $operation [$($added)*])
        }
    };
    (@run $operation:ident []) => {
        ::core::unreachable!("no such operation was added")
    };
}
