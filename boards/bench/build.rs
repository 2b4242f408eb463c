//! Tells the linker where the memories are of the machine that stands for the target's instruction set.

use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let target = env::var("TARGET").expect("cargo sets TARGET");
    let script = Path::new("memory").join(format!("{target}.x"));
    println!("cargo::rerun-if-changed={}", script.display());
    fs::copy(&script, out.join("memory.x")).expect("there is a machine for the target");
    // The programs that depend on this package search here, too.
    println!("cargo::rustc-link-search={}", out.display());
}
