//! The boards there is firmware for, and how to build it.

use std::path::PathBuf;

use crate::Result;
use crate::process::{root, run};
use crate::toolchain;

/// Programs that need a feature of their package, and the feature: what it costs, the others shall not pay.
const FEATURES: &[(&str, &str)] =
    &[("monitor", "reports"), ("suite_journal", "flash"), ("suite_spill", "spill")];

/// A board, which is also a package under `boards/` and a machine of QEMU's.
pub struct Board {
    /// The package and the machine, which have the same name.
    pub name: &'static str,
    /// The compiler's name for its processor.
    pub target: &'static str,
    /// Where instructions are counted, each takes 2 to the power of this many nanoseconds of virtual time.
    pub instruction_shift: u32,
}

/// What a program is optimised for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Size, as firmware mostly is.
    Size,
    /// Speed.
    Speed,
}

impl Level {
    /// The compiler's name for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Size => "s",
            Self::Speed => "3",
        }
    }

    /// The profile in the firmware's manifest, and the directory of what is built with it.
    fn profile(self) -> &'static str {
        match self {
            Self::Size => "release",
            Self::Speed => "speed",
        }
    }
}

impl Board {
    const LM3S6965EVB: Self =
        Self { name: "lm3s6965evb", target: "thumbv7m-none-eabi", instruction_shift: 5 };
    const MICROBIT: Self =
        Self { name: "microbit", target: "thumbv6m-none-eabi", instruction_shift: 9 };
    /// A Cortex-M33.
    const MPS2_AN505: Self =
        Self { name: "mps2-an505", target: "thumbv8m.main-none-eabi", instruction_shift: 9 };

    /// All boards that have programs of their own.
    pub const ALL: &[Self] = &[Self::LM3S6965EVB, Self::MICROBIT];

    /// A board for each instruction set, for programs that run on any of them.
    pub const MEASURED: &[Self] = &[Self::LM3S6965EVB, Self::MICROBIT, Self::MPS2_AN505];

    /// The board of that name.
    pub fn named(name: &str) -> Result<&'static Self> {
        Self::ALL.iter().find(|board| board.name == name).ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|board| board.name).collect();
            format!("there is no board {name}, only {}", names.join(", "))
        })
    }

    /// The name of the instruction set, as in the target's name.
    pub fn instruction_set(&self) -> &'static str {
        self.target.split(['.', '-']).next().unwrap_or(self.target)
    }

    /// Builds a binary of the board's package and returns the program.
    pub fn build(&self, binary: &str) -> Result<PathBuf> {
        let features = FEATURES.iter().filter(|(name, _)| *name == binary);
        let features: Vec<_> = features.flat_map(|(_, feature)| ["--features", feature]).collect();
        self.build_of(self.name, &[binary], Level::Size, &features)?;
        self.program(binary, Level::Size)
    }

    /// Builds `binaries` of a package that is for any board.
    pub fn build_measured(
        &self,
        package: &str,
        binaries: &[&str],
        level: Level,
        more: &[&str],
    ) -> Result {
        self.build_of(package, binaries, level, more)
    }

    fn build_of(&self, package: &str, binaries: &[&str], level: Level, more: &[&str]) -> Result {
        let mut cargo = toolchain::for_target(self.target)?.cargo("build", self.target);
        cargo.current_dir(root().join("boards").join(package));
        cargo.args(["--profile", level.profile()]);
        cargo.args(binaries.iter().flat_map(|binary| ["--bin", binary])).args(more);
        run(&mut cargo)
    }

    /// Where a binary is once it is built.
    pub fn program(&self, binary: &str, level: Level) -> Result<PathBuf> {
        let toolchain = toolchain::for_target(self.target)?;
        let target_directory = root().join("boards/target").join(toolchain.directory());
        Ok(target_directory.join(self.target).join(level.profile()).join(binary))
    }
}
