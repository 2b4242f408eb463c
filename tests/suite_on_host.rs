//! The boards' test suite, on the host, under every lock.
#![cfg(all(feature = "std", not(loom)))]

use cloakroom::std_layer::StdRawMutex;
use cloakroom::sync::{CriticalSectionRawMutex, NoopRawMutex, SpinRawMutex};
use cloakroom_suite::{Test, place, tests, tests_for_any_lock};

place!(CriticalSection, CriticalSectionRawMutex);
place!(Spin, SpinRawMutex);
place!(Std, StdRawMutex);

/// Runs all tests and names every one that fails.
fn run(tests: impl Iterator<Item = Test>) {
    let mut passed = 0;
    let mut failures = Vec::new();
    for (name, test) in tests {
        match test() {
            Ok(()) => passed += 1,
            Err(failure) => failures.push(format!("{name}: {failure}")),
        }
    }
    assert!(failures.is_empty(), "{passed} passed, {failures:#?}");
    assert!(passed > 0, "the suite has lost its tests");
}

#[test]
fn under_a_critical_section() {
    run(tests::<CriticalSection>());
}

#[test]
fn under_a_spin_lock() {
    run(tests::<Spin>());
}

#[test]
fn under_the_lock_of_the_standard_library() {
    run(tests::<Std>());
}

/// A lock that only one thread may own: without kernels, which are statics.
#[test]
fn under_no_lock() {
    run(tests_for_any_lock::<NoopRawMutex>());
}
