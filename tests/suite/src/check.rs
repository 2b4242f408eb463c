//! How a test says what went wrong, and how a file lists its tests.

use core::fmt;

/// What a test found to be different from what it must be.
#[derive(Debug)]
pub struct Failure {
    file: &'static str,
    line: u32,
    what: &'static str,
}

impl Failure {
    pub(crate) fn new(file: &'static str, line: u32, what: &'static str) -> Self {
        Self { file, line, what }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: not so: {}", self.file, self.line, self.what)
    }
}

/// What every test returns.
pub(crate) type Outcome = Result<(), Failure>;

/// Fails the test unless a condition holds.
macro_rules! check {
    ($condition:expr) => {
        if !$condition {
            return Err($crate::Failure::new(file!(), line!(), stringify!($condition)));
        }
    };
}

/// Fails the test unless both sides are equal.
macro_rules! check_eq {
    ($left:expr, $right:expr) => {
        if $left != $right {
            let what = concat!(stringify!($left), " == ", stringify!($right));
            return Err($crate::Failure::new(file!(), line!(), what));
        }
    };
}

/// What an expression has inside, for a pattern with one binding; fails the test otherwise.
macro_rules! expect {
    ($value:expr, $pattern:pat => $inside:expr) => {
        match $value {
            $pattern => $inside,
            _ => {
                let what = concat!(stringify!($value), " is ", stringify!($pattern));
                return Err($crate::Failure::new(file!(), line!(), what));
            }
        }
    };
}

/// The value of a `Result` that is `Ok`; fails the test otherwise.
macro_rules! ok {
    ($value:expr) => {
        expect!($value, Ok(value) => value)
    };
}

/// The output of a future that is ready; fails the test otherwise.
macro_rules! ready {
    ($value:expr) => {
        expect!($value, core::task::Poll::Ready(value) => value)
    };
}

/// Lists a file's tests, which are generic over a lock that any thread may own.
macro_rules! tests {
    ($file:literal: $($name:ident),+ $(,)?) => {
        pub(crate) fn table<M: cloakroom::sync::RawMutex + 'static>() -> &'static [$crate::Test] {
            const { &[$((concat!($file, "::", stringify!($name)), $name::<M>)),+] }
        }
    };
}

/// Lists a file's tests, which are generic over a place.
macro_rules! tests_at_a_place {
    ($file:literal: $($name:ident),+ $(,)?) => {
        pub(crate) fn table<P: $crate::Place>() -> &'static [$crate::Test] {
            const { &[$((concat!($file, "::", stringify!($name)), $name::<P>)),+] }
        }
    };
}
