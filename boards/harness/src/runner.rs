//! Runs tests one after the other and closes with the line that says how they went.

use core::cell::Cell;
use core::fmt::Display;

use critical_section::Mutex;

use crate::println;
use crate::semihosting::exit;

/// The test under way, for the panic and fault handlers to name.
static RUNNING: Mutex<Cell<Option<&'static str>>> = Mutex::new(Cell::new(None));

/// Runs all `tests`, names each one that fails, prints `N passed, N failed` and ends the run.
///
/// The run succeeds if at least one test ran and none failed: a suite that lost its tests on the way
/// must not look like one that passed them.
pub fn run<F: Display>(
    tests: impl IntoIterator<Item = (&'static str, fn() -> Result<(), F>)>,
) -> ! {
    let mut passed = 0;
    let mut failed = 0;
    for (name, test) in tests {
        set_running(Some(name));
        match test() {
            Ok(()) => passed += 1,
            Err(failure) => {
                failed += 1;
                println!("FAILED {name}: {failure}");
            }
        }
    }
    set_running(None);
    println!("{passed} passed, {failed} failed");
    exit(passed > 0 && failed == 0)
}

/// The name of the test under way.
pub(crate) fn running() -> &'static str {
    critical_section::with(|token| RUNNING.borrow(token).get()).unwrap_or("no test")
}

fn set_running(name: Option<&'static str>) {
    critical_section::with(|token| RUNNING.borrow(token).set(name));
}
