//! The boards there is firmware for, and how to build it.

use std::path::PathBuf;

use crate::Result;
use crate::process::{root, run};
use crate::toolchain;

/// Programs that need a feature of their package, and the feature: what it costs, the others shall not pay.
const FEATURES: &[(&str, &str)] = &[("monitor", "reports")];

/// A board, which is also a package under `boards/` and a machine of QEMU's.
pub struct Board {
    /// The package and the machine, which have the same name.
    pub name: &'static str,
    /// The compiler's name for its processor.
    pub target: &'static str,
}

impl Board {
    /// All boards.
    pub const ALL: &[Self] = &[
        Self { name: "lm3s6965evb", target: "thumbv7m-none-eabi" },
        Self { name: "microbit", target: "thumbv6m-none-eabi" },
    ];

    /// The board of that name.
    pub fn named(name: &str) -> Result<&'static Self> {
        Self::ALL.iter().find(|board| board.name == name).ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|board| board.name).collect();
            format!("there is no board {name}, only {}", names.join(", "))
        })
    }

    /// Builds a binary of the board's package and returns the program.
    pub fn build(&self, binary: &str) -> Result<PathBuf> {
        let toolchain = toolchain::for_target(self.target)?;
        let mut cargo = toolchain.cargo("build", self.target);
        cargo.current_dir(root().join("boards"));
        cargo.args(["--release", "--package", self.name, "--bin", binary]);
        if let Some((_, feature)) = FEATURES.iter().find(|(name, _)| *name == binary) {
            cargo.args(["--features", feature]);
        }
        run(&mut cargo)?;

        let target_directory = root().join("boards/target").join(toolchain.directory());
        Ok(target_directory.join(self.target).join("release").join(binary))
    }
}
