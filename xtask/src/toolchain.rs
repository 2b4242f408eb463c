//! Chooses, and if need be installs, what builds firmware.
//!
//! Three toolchains will do, and the first that holds is taken:
//!
//! 1. the cargo at hand, if its compiler already has the target's core library;
//! 2. Debian's packages, which root on a Debian-like system can install: the compiler comes without the
//!    target's core library, but with its source, so cargo builds it along with the firmware;
//! 3. the cargo at hand, after `rustup target add`.

use std::env;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use crate::Result;
use crate::process::{
    command, forget_the_host_compiler, host_cargo, is_installed, output_of, root, run,
};

/// Names one of the toolchains, to be used whatever else would do.
const FORCE: &str = "CLOAKROOM_FIRMWARE_TOOLCHAIN";

const DEBIAN_CARGO: &str = "/usr/bin/cargo";
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_RUSTDOC: &str = "/usr/bin/rustdoc";
const DEBIAN_PACKAGES: &[&str] = &["rustc-web", "cargo-web", "rust-web-src", "lld"];

/// What ThreadSanitizer takes besides the compiler: its runtime, and the linker that brings it in.
const SANITIZER_PACKAGES: &[&str] = &["clang-22", "libclang-rt-22-dev"];

const QEMU: &str = "qemu-system-arm";

/// What `chanmon` is seen in by its tests, besides their own terminal.
const TMUX: &str = "tmux";
const VALGRIND: &str = "valgrind";

/// What builds firmware.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Toolchain {
    /// The cargo at hand, whose compiler has the target's core library.
    Plain,
    /// Debian's packaged compiler, which builds the core library from source.
    Debian,
}

impl Toolchain {
    /// One line for the reader.
    pub fn description(self) -> &'static str {
        match self {
            Self::Plain => "built by this cargo",
            Self::Debian => "built by Debian's packaged compiler, core library included",
        }
    }

    /// A directory name of its own: two compilers in one target directory rebuild everything in turn.
    pub fn directory(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Debian => "debian",
        }
    }

    /// The compiler and its version.
    pub fn compiler(self) -> Result<String> {
        let rustc = match self {
            Self::Plain => "rustc",
            Self::Debian => DEBIAN_RUSTC,
        };
        let version = output_of(command(rustc).arg("--version"));
        version
            .map(|line| line.trim().to_owned())
            .ok_or_else(|| format!("{rustc} does not tell its version"))
    }

    /// A cargo `subcommand` for `target`, without a heap: where the core library is built from source,
    /// the allocation library is not even there to be linked.
    pub fn cargo(self, subcommand: &str, target: &str) -> Command {
        let mut cargo = match self {
            Self::Plain => host_cargo(),
            Self::Debian => debian_cargo(),
        };
        forget_the_host_compiler(&mut cargo);
        cargo.args([subcommand, "--target", target]);
        cargo.arg("--target-dir").arg(root().join("boards/target").join(self.directory()));
        if self == Self::Debian {
            name_debian_compiler(&mut cargo)
                .arg("-Zbuild-std=core,compiler_builtins")
                .args(["--config", r#"target."cfg(target_os=\"none\")".linker="ld.lld""#]);
        }
        cargo
    }
}

/// The toolchain that builds for `target` on this machine, installed if it was not.
pub fn for_target(target: &str) -> Result<Toolchain> {
    match env::var(FORCE).as_deref() {
        Ok("plain") => return Ok(Toolchain::Plain),
        Ok("debian") => return install_debian().map(|()| Toolchain::Debian),
        Ok("rustup") => return add_with_rustup(target).map(|()| Toolchain::Plain),
        Ok(other) => return Err(format!("{FORCE} is {other}, not plain, debian or rustup")),
        Err(_) => {}
    }

    if has_core_library(target) {
        return Ok(Toolchain::Plain);
    }
    let no_debian = match install_debian() {
        Ok(()) => return Ok(Toolchain::Debian),
        Err(reason) => reason,
    };
    let no_rustup = match add_with_rustup(target) {
        Ok(()) => return Ok(Toolchain::Plain),
        Err(reason) => reason,
    };
    Err(format!(
        "nothing here builds for {target}:\n  {no_debian}\n  {no_rustup}\ninstall rustup from https://rustup.rs and run \
         `rustup target add {target}`, or run this as root on Debian"
    ))
}

/// A cargo that builds with Debian's compiler.
pub fn debian_cargo() -> Command {
    let mut cargo = command(DEBIAN_CARGO);
    name_debian_compiler(&mut cargo);
    cargo
}

fn name_debian_compiler(cargo: &mut Command) -> &mut Command {
    // Building a standard library is an unstable feature: the last variable lets a stable compiler do it.
    cargo
        .env_remove("RUSTUP_TOOLCHAIN")
        .env("RUSTC", DEBIAN_RUSTC)
        .env("RUSTDOC", DEBIAN_RUSTDOC)
        .env("RUSTC_BOOTSTRAP", "1")
}

/// Sees to it that ThreadSanitizer, and a compiler with the source of its standard library, are there.
pub fn install_thread_sanitizer() -> Result {
    install_debian()?;
    install_packages(SANITIZER_PACKAGES).map_err(|reason| format!("ThreadSanitizer: {reason}"))
}

/// Sees to it that QEMU is there.
pub fn install_qemu() -> Result {
    if is_installed(QEMU) {
        return Ok(());
    }
    install_packages(&[QEMU]).map_err(|reason| format!("install {QEMU}: {reason}"))
}

/// Sees to it that tmux is there.
pub fn install_tmux() -> Result {
    if is_installed(TMUX) {
        return Ok(());
    }
    install_packages(&[TMUX]).map_err(|reason| format!("install {TMUX}: {reason}"))
}

/// Sees to it that valgrind is there.
pub fn install_valgrind() -> Result {
    if is_installed(VALGRIND) {
        return Ok(());
    }
    install_packages(&[VALGRIND]).map_err(|reason| format!("install {VALGRIND}: {reason}"))
}

/// Whether the compiler of the cargo at hand has the core library for `target`.
fn has_core_library(target: &str) -> bool {
    let Some(folder) =
        output_of(command("rustc").args(["--print", "target-libdir", "--target", target]))
    else {
        return false;
    };
    let Ok(files) = fs::read_dir(folder.trim()) else {
        return false;
    };
    files.flatten().any(|file| {
        let name = file.file_name();
        let name = name.to_string_lossy();
        name.starts_with("libcore-") && name.ends_with(".rlib")
    })
}

fn install_debian() -> Result {
    install_packages(DEBIAN_PACKAGES).map_err(|reason| format!("Debian's compiler: {reason}"))
}

fn add_with_rustup(target: &str) -> Result {
    if !is_installed("rustup") {
        return Err("rustup: not installed".to_owned());
    }
    run(command("rustup").args(["target", "add", target]))
        .map_err(|reason| format!("rustup: {reason}"))
}

/// Installs those of `packages` that are missing.
fn install_packages(packages: &[&str]) -> Result {
    if !is_installed("apt-get") || !is_installed("dpkg-query") {
        return Err("not a Debian-like system".to_owned());
    }
    let missing: Vec<&str> =
        packages.iter().copied().filter(|package| !has_package(package)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    if !is_root() {
        return Err(format!("only root may `apt-get install {}`", missing.join(" ")));
    }
    let apt = || {
        let mut apt = command("apt-get");
        apt.env("DEBIAN_FRONTEND", "noninteractive");
        apt
    };
    // A fresh image often has no package lists at all, or old ones that name files long gone.
    run(apt().arg("update"))?;
    run(apt().args(["install", "-y", "--no-install-recommends"]).args(&missing))
}

fn has_package(package: &str) -> bool {
    output_of(command("dpkg-query").args(["-W", "-f=${db:Status-Status}", package]))
        .is_some_and(|status| status == "installed")
}

fn is_root() -> bool {
    // The owner of a process's own entry is its effective user.
    fs::metadata(Path::new("/proc/self")).is_ok_and(|entry| entry.uid() == 0)
}
