//! Sockets between QEMU's serial lines and programs on the host.

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{env, fs, process};

use crate::Result;
use crate::process::{command, poll, run};

/// QEMU makes its first socket within milliseconds, unless the machine is very busy.
const PATIENCE: Duration = Duration::from_secs(20);

/// A directory for sockets. It goes when this value goes.
pub struct Directory(PathBuf);

impl Directory {
    /// Makes one. Its path is short: a socket's may not have more than about a hundred bytes.
    pub fn new(purpose: &str) -> Result<Self> {
        let path = env::temp_dir().join(format!("cloakroom-{purpose}-{}", process::id()));
        fs::create_dir_all(&path)
            .map_err(|error| format!("cannot make {}: {error}", path.display()))?;
        Ok(Self(path))
    }

    /// The path of a socket, or of anything else, in it.
    pub fn socket(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Makes the two pipes that QEMU takes for a serial line of this name: what goes in, and what comes out.
    pub fn pipes(&self, name: &str) -> Result<(PathBuf, PathBuf)> {
        let pipes = ["in", "out"].map(|way| self.0.join(format!("{name}.{way}")));
        run(command("mkfifo").args(&pipes))?;
        let [input, output] = pipes;
        Ok((input, output))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // A leftover directory of sockets is litter, not an error.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Connects to a socket that QEMU is about to make.
pub fn connect(path: &Path) -> Result<UnixStream> {
    poll(PATIENCE, || UnixStream::connect(path).ok())
        .ok_or_else(|| format!("QEMU did not open {}", path.display()))
}
