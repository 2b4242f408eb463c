//! `cargo xtask sanitize`: tests with threads under ThreadSanitizer and AddressSanitizer.
//!
//! The first is exact only if the standard library is instrumented, too: it is built from source, by Debian's
//! compiler, whose own copy of the sanitizer is clang's. The second needs nothing but the compiler at hand.

use std::process::Command;

use crate::Result;
use crate::process::{host_cargo, root, run};
use crate::toolchain;

const TARGET: &str = "x86_64-unknown-linux-gnu";

/// What runs under both.
const TESTS: &[&str] =
    &["runtime", "server_channels", "blocking", "kernel", "foreign_wakers", "totals", "spill"];

/// Runs them all.
pub fn run_all() -> Result {
    thread()?;
    address()
}

fn thread() -> Result {
    toolchain::install_thread_sanitizer()?;
    let flags =
        "-Zsanitizer=thread -Zexternal-clangrt -Clinker=clang-22 -Clink-arg=-fsanitize=thread";
    let mut cargo = toolchain::debian_cargo();
    cargo
        .env("RUSTFLAGS", flags)
        // Threads that a runtime leaves to themselves, as some tests ask it to.
        .env("TSAN_OPTIONS", "report_thread_leaks=0");
    run(with_tests(&mut cargo, "thread").arg("-Zbuild-std"))
}

fn address() -> Result {
    let mut cargo = host_cargo();
    cargo
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTFLAGS", "-Zsanitizer=address")
        // Some tests leak on purpose, and a runtime stays for the rest of the process; what is left in an arena
        // the tests count themselves.
        .env("ASAN_OPTIONS", "detect_stack_use_after_return=1:detect_leaks=0");
    run(with_tests(&mut cargo, "address"))
}

fn with_tests<'c>(cargo: &'c mut Command, sanitizer: &str) -> &'c mut Command {
    cargo.args(["test", "--package", "cloakroom", "--all-features", "--no-fail-fast"]);
    cargo.args(["--target", TARGET]);
    cargo.arg("--target-dir").arg(root().join("target/sanitize").join(sanitizer));
    for test in TESTS {
        cargo.args(["--test", test]);
    }
    cargo
}
