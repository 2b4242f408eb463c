//! The process that is looked at: `examples/busy.rs`.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::CHANMON;

pub struct Busy {
    child: Child,
    folder: TempDir,
}

impl Busy {
    /// Starts it, and waits until its socket is there. `words` are its arguments after that.
    pub fn start(words: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        // Cargo builds examples for tests, beside the program.
        let program = Path::new(CHANMON).with_file_name("examples").join("busy");
        let child = Command::new(&program)
            .arg(folder.path().join("socket"))
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let mut child = child.unwrap_or_else(|error| {
            panic!("{}: {error} (cargo build -p chanmon --examples)", program.display())
        });
        let mut line = String::new();
        let out = child.stdout.take().expect("piped");
        BufReader::new(out).read_line(&mut line).expect("reads");
        assert_eq!(line, "busy\n");
        Self { child, folder }
    }

    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    /// Tells it what to do.
    pub fn say(&mut self, word: &str) {
        let input = self.child.stdin.as_mut().expect("piped");
        writeln!(input, "{word}").expect("it listens");
    }

    /// Ends it without a chance to say goodbye.
    pub fn kill(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
