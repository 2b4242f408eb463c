//! Child processes: run to success, or under a time limit, and never left behind.

use std::env;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::Result;

/// The repository's root.
pub fn root() -> PathBuf {
    // What cargo says now goes before what it said when this program was built: the repository may have
    // been moved since, or share its build directory with a second copy.
    let package = env::var_os("CARGO_MANIFEST_DIR").unwrap_or(env!("CARGO_MANIFEST_DIR").into());
    let mut root = PathBuf::from(package);
    root.pop();
    root
}

/// A command that runs in the repository's root.
pub fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root());
    forget_the_outer_package(&mut command);
    command
}

/// The cargo that runs this program: the reader's choice of toolchain holds for what it starts.
///
/// What is only built to be checked once keeps nothing for the next time: with each set of features that would be
/// gigabytes, more than all that is built.
pub fn host_cargo() -> Command {
    let cargo = env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let mut cargo = command(&cargo);
    cargo.env("CARGO_INCREMENTAL", "0");
    cargo
}

/// `cargo run` tells a program which package it belongs to. A cargo that the program starts would take
/// that for its own and rebuild what depends on it.
fn forget_the_outer_package(command: &mut Command) {
    for (name, _) in env::vars_os() {
        let about_the_package = name.to_str().is_some_and(|name| {
            name.starts_with("CARGO_PKG_")
                || name.starts_with("CARGO_MANIFEST_")
                || name.starts_with("CARGO_BIN_")
                || name == "CARGO_CRATE_NAME"
                || name == "CARGO_PRIMARY_PACKAGE"
                || name == "OUT_DIR"
        });
        if about_the_package {
            command.env_remove(name);
        }
    }
}

/// Takes every setting away that means the host's compiler. `CARGO_HOME`, the registry's settings and
/// the network's stay: a second cargo on the same machine needs them as much as the first.
pub fn forget_the_host_compiler(command: &mut Command) {
    for (name, _) in env::vars_os() {
        let about_the_compiler = name.to_str().is_some_and(|name| {
            name.starts_with("CARGO_BUILD_")
                || name.starts_with("CARGO_PROFILE_")
                || name.starts_with("CARGO_TARGET_")
                || matches!(
                    name,
                    "CARGO"
                        | "CARGO_ENCODED_RUSTFLAGS"
                        | "LD_LIBRARY_PATH"
                        | "RUSTC"
                        | "RUSTC_BOOTSTRAP"
                        | "RUSTC_WORKSPACE_WRAPPER"
                        | "RUSTC_WRAPPER"
                        | "RUSTDOC"
                        | "RUSTDOCFLAGS"
                        | "RUSTFLAGS"
                )
        });
        if about_the_compiler {
            command.env_remove(name);
        }
    }
}

/// Runs a command to its end and requires success.
pub fn run(command: &mut Command) -> Result {
    let shown = describe(command);
    eprintln!("$ {shown}");
    let status = command
        .stdin(Stdio::null())
        .status()
        .map_err(|error| format!("cannot start `{shown}`: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("`{shown}` failed: {status}")) }
}

/// What a command prints, if it succeeds. Its complaints are not shown.
pub fn output_of(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Whether a program of this name is on the search path.
pub fn is_installed(program: &str) -> bool {
    env::var_os("PATH")
        .is_some_and(|path| env::split_paths(&path).any(|folder| folder.join(program).is_file()))
}

/// A command as the reader would type it.
fn describe(command: &Command) -> String {
    let variables = command.get_envs().filter_map(|(name, value)| {
        value.map(|value| format!("{}={}", name.to_string_lossy(), quoted(value)))
    });
    let program = std::iter::once(quoted(command.get_program()));
    variables.chain(program).chain(command.get_args().map(quoted)).collect::<Vec<_>>().join(" ")
}

fn quoted(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    if word.is_empty() || word.contains([' ', '"', '(']) {
        format!("'{word}'")
    } else {
        word.into_owned()
    }
}

/// A process that is killed when this value goes away.
pub struct Guarded {
    child: Child,
    name: String,
    output: Vec<JoinHandle<String>>,
}

impl Guarded {
    /// Starts `command` with no input, its output passed on to the terminal line by line and kept.
    pub fn start(command: &mut Command) -> Result<Self> {
        Self::start_with(command, Output::PassedOn)
    }

    /// Starts `command` with no input. Its output is only kept: something else is on the terminal.
    pub fn start_unseen(command: &mut Command) -> Result<Self> {
        Self::start_with(command, Output::Kept)
    }

    fn start_with(command: &mut Command, to: Output) -> Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("cannot start {name}: {error}"))?;
        let mut output = Vec::new();
        output.extend(child.stdout.take().map(|stream| collect(stream, to)));
        output.extend(child.stderr.take().map(|stream| collect(stream, to)));
        Ok(Self { child, name, output })
    }

    /// The exit status, if the process has ended.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.child.try_wait().map_err(|error| format!("cannot ask after {}: {error}", self.name))
    }

    /// Waits for the end, and kills the process if that takes longer than `limit`.
    pub fn wait(&mut self, limit: Duration) -> Result<ExitStatus> {
        match poll(limit, || self.ended().transpose()) {
            Some(status) => status,
            None => {
                self.kill();
                Err(format!("{} did not end within {} s", self.name, limit.as_secs()))
            }
        }
    }

    /// Everything the process printed, which ends with it: if it has not ended, it is killed.
    pub fn into_output(mut self) -> String {
        self.kill();
        self.output.drain(..).filter_map(|reader| reader.join().ok()).collect()
    }

    fn kill(&mut self) {
        // Both fail only if the process has ended already, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        self.kill();
    }
}

/// What becomes of a process's output.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Output {
    /// It is printed line by line as it comes, and kept.
    PassedOn,
    /// It is kept.
    Kept,
}

/// Returns a stream whole.
fn collect(stream: impl Read + Send + 'static, to: Output) -> JoinHandle<String> {
    thread::spawn(move || {
        let mut whole = String::new();
        let mut reader = BufReader::new(stream);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
            let text = String::from_utf8_lossy(&line);
            if to == Output::PassedOn {
                print!("{text}");
            }
            whole.push_str(&text);
            line.clear();
        }
        whole
    })
}

/// Asks `question` again and again until it has an answer or `limit` is over.
pub fn poll<T>(limit: Duration, mut question: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(answer) = question() {
            return Some(answer);
        }
        if Instant::now() >= deadline {
            return None;
        }
        thread::sleep(Duration::from_millis(10));
    }
}
