//! The build script of every board: tells the linker where the board's memories are.
//!
//! Everything goes through the package itself rather than through a `.cargo/config.toml`, so a board
//! builds the same from any directory, with any linker that understands GNU linker scripts.

use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));

    // `device.x` names the interrupt handlers: only boards that use interrupts have one.
    for script in ["memory.x", "device.x"] {
        if Path::new(script).exists() {
            fs::copy(script, out.join(script)).expect("the script can be copied to OUT_DIR");
            println!("cargo::rerun-if-changed={script}");
        }
    }
    println!("cargo::rustc-link-search={}", out.display());

    // `link.x` comes with cortex-m-rt and includes the scripts above. Without `--nmagic` the linker
    // aligns segments to pages of 64 KiB, as a loader of a large system wants, and flash has no such thing.
    println!("cargo::rustc-link-arg-bins=-Tlink.x");
    println!("cargo::rustc-link-arg-bins=--nmagic");
    println!("cargo::rerun-if-changed=../link.rs");
}
