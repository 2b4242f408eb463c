//! `cargo xtask kill`: SIGKILL for a process that writes to the log, again and again, and a judge of what is found.
//!
//! `crashbox` (`tests/crashbox`) is both the process and the judge.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::Result;
use crate::process::{command, host_cargo, is_installed, root, run as run_to_success};
use crate::random::Random;

const LEVELS: [&str; 3] = ["sync", "interval", "buffered"];
const SIGKILL: i32 = 9;
/// Slots of a log with room for all who send, and of one whose oldest segment is soon collected.
const MANY: &str = "6";
const FEW: &str = "4";
/// Kills that a directory lives through.
const LIVES: u32 = 100;
/// How long a process lives at the most, in microseconds; in every fourth life it hardly comes to open the log.
const LONG: u64 = 150_000;
const SHORT: u64 = 12_000;
/// Calls of an opening that are tried as the second death.
const OPENING: u64 = 60;

/// How much is done.
pub struct Amount {
    /// Kills at random moments, at each level.
    pub kills: u32,
    /// Of the calls of a script, each so-manieth is a death.
    pub step: usize,
    /// Whether there is one at each system call of the process, too, by way of `strace`.
    pub system_calls: bool,
}

impl Amount {
    /// A few seconds.
    pub const LITTLE: Self = Self { kills: 8, step: 97, system_calls: false };

    /// Everything.
    pub fn full(kills: u32) -> Self {
        Self { kills, step: 1, system_calls: true }
    }
}

/// What was found, in numbers.
#[derive(Default)]
struct Totals {
    kills: u64,
    /// By what `crashbox check` calls it.
    found: BTreeMap<String, u64>,
}

/// Kills at random moments, then at each call.
pub fn run(amount: &Amount) -> Result {
    // As all tests are built: nothing is built twice.
    let build = ["build", "--workspace", "--all-features", "--bin", "crashbox"];
    run_to_success(host_cargo().args(build).args(["--target-dir", "target"]))?;
    let seed =
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |time| time.as_nanos() as u64);
    println!("seed {seed}");
    for level in LEVELS {
        at_random(level, amount.kills, Random(seed))?;
    }
    for level in LEVELS {
        at_calls(level, amount.step)?;
    }
    if amount.system_calls {
        at_system_calls()?;
    }
    Ok(())
}

/// A log and its ledger. They stay if something was found.
struct Place {
    path: PathBuf,
    slots: &'static str,
}

impl Place {
    fn new(name: &str, slots: &'static str) -> Result<Self> {
        // Two of these may run at once.
        let path = root().join("target/kill").join(format!("{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Self { path, slots })
    }

    fn remove(self) {
        let _ = fs::remove_dir_all(&self.path);
    }

    fn crashbox(&self, word: &str) -> Command {
        let mut crashbox = command("target/debug/crashbox");
        crashbox.args(self.arguments(word));
        crashbox
    }

    fn arguments(&self, word: &str) -> [PathBuf; 7] {
        let [log, ledger] = ["log", "ledger"].map(|name| self.path.join(name));
        [
            word.into(),
            "--log".into(),
            log,
            "--ledger".into(),
            ledger,
            "--slots".into(),
            self.slots.into(),
        ]
    }

    /// A copy of what is there.
    fn copied(&self, suffix: &str) -> Result<Self> {
        let name = format!("{}-{suffix}", name_of(&self.path));
        let copy = Self { path: self.path.with_file_name(name), slots: self.slots };
        let _ = fs::remove_dir_all(&copy.path);
        copy_all(&self.path, &copy.path).map_err(|error| format!("cannot copy a log: {error}"))?;
        Ok(copy)
    }

    /// Compares log and ledger. What was there before is kept until the next time.
    fn check(&self, totals: &mut Totals) -> Result {
        let before = self.copied("before")?;
        let output = ended(self.crashbox("check"))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            let at = before.path.display();
            return Err(format!("{}: {said}as it was before: {at}", output.status));
        }
        before.remove();
        let line = String::from_utf8_lossy(&output.stdout);
        for (word, number) in line.split_whitespace().filter_map(|pair| pair.split_once('=')) {
            let number: u64 = number.parse().map_err(|_| format!("crashbox said {line}"))?;
            *totals.found.entry(word.to_owned()).or_default() += number;
        }
        *totals.found.entry("checks".to_owned()).or_default() += 1;
        Ok(())
    }
}

impl Totals {
    fn print(&self, what: &str) {
        let found = self.found.iter().map(|(word, number)| format!(", {word} {number}"));
        println!("{what}: {} kills{}", self.kills, found.collect::<String>());
    }

    fn number(&self, word: &str) -> u64 {
        self.found.get(word).copied().unwrap_or(0)
    }
}

/// Under load, at any moment: a log lives through many.
fn at_random(level: &str, kills: u32, mut random: Random) -> Result {
    let mut totals = Totals::default();
    let mut place = Place::new(level, MANY)?;
    for kill in 0..kills {
        if kill > 0 && kill % LIVES == 0 {
            place.remove();
            place = Place::new(level, MANY)?;
        }
        let mut crashbox = place.crashbox("run");
        crashbox.args(["--level", level, "--seed", &kill.to_string()]);
        let mut child = started(&mut crashbox)?;
        let longest = if random.below(4) == 0 { SHORT } else { LONG };
        thread::sleep(Duration::from_micros(random.below(longest)));
        child.kill().map_err(|error| format!("cannot kill crashbox: {error}"))?;
        let output = child.wait_with_output().map_err(|error| format!("crashbox: {error}"))?;
        totals.was_killed(&output)?;
        place.check(&mut totals)?;
    }
    place.remove();
    totals.print(&format!("{level}, at random"));
    if totals.number("promised") < u64::from(kills) {
        return Err("hardly anything was promised: these kills show nothing".to_owned());
    }
    Ok(())
}

/// A script, which dies at each of its calls; then the recovery, which dies, too.
fn at_calls(level: &str, step: usize) -> Result {
    let mut totals = Totals::default();
    let name = format!("{level}-calls");
    let script = |place: &Place, call: Option<u64>| {
        let mut crashbox = place.crashbox("script");
        crashbox.args(["--level", level]);
        crashbox.args(call.iter().flat_map(|call| ["--kill-at-call".to_owned(), call.to_string()]));
        ended(crashbox)
    };
    let place = Place::new(&name, FEW)?;
    let whole = script(&place, None)?;
    let said = String::from_utf8_lossy(&whole.stdout).into_owned();
    let calls = said.split_whitespace().find_map(|word| word.strip_prefix("calls=")?.parse().ok());
    let calls: u64 = calls.ok_or_else(|| format!("crashbox script: {}: {said}", whole.status))?;
    place.remove();
    for call in (1..=calls).step_by(step) {
        let place = Place::new(&name, FEW)?;
        totals.was_killed(&script(&place, Some(call))?)?;
        let twice = place.copied("twice")?;
        place.check(&mut totals)?;
        place.remove();
        totals.was_killed(&script(&twice, Some(1 + call % OPENING))?)?;
        twice.check(&mut totals)?;
        twice.remove();
    }
    totals.print(&format!("{level}, at each call of {calls}{}", every(step)));
    Ok(())
}

fn every(step: usize) -> String {
    if step == 1 { String::new() } else { format!(", by {step}") }
}

/// At each system call that has to do with files, from the first that the loader makes: `strace` puts a signal in its
/// place.
fn at_system_calls() -> Result {
    let place = Place::new("system-calls", FEW)?;
    let list = place.path.join("calls");
    let list_argument = list.to_string_lossy().into_owned();
    let whole = traced(&place, &["-y", "-o", &list_argument, "-e", "trace=%file,%desc"]);
    if !is_installed("strace") || !whole.as_ref().is_ok_and(|output| output.status.success()) {
        println!("at each system call: left out, as there is no strace that may trace others");
        return Ok(());
    }
    let list = fs::read_to_string(&list).map_err(|error| format!("what strace saw: {error}"))?;
    names_are_synced(&list)?;
    place.remove();
    let mut counts = BTreeMap::<&str, u32>::new();
    for line in list.lines() {
        // A process's number, spaces, and `write(3, …`. The first starts the program: there is none before.
        let call = line.split_whitespace().nth(1).and_then(|call| call.split_once('('));
        match call {
            Some((name, _)) if name != "execve" => *counts.entry(name).or_default() += 1,
            _ => {}
        }
    }
    let mut totals = Totals::default();
    for (&name, &count) in &counts {
        for call in 1..=count {
            let place = Place::new("system-calls", FEW)?;
            let [trace, inject] =
                [format!("trace={name}"), format!("inject={name}:signal=KILL:when={call}")];
            let died = traced(&place, &["-o", "/dev/null", "-e", &trace, "-e", &inject])?;
            totals.was_killed(&died)?;
            place.check(&mut totals)?;
            place.remove();
        }
    }
    let all: u32 = counts.values().sum();
    totals.print(&format!("sync, at each system call of {all}, of {} kinds", counts.len()));
    if totals.kills == 0 {
        return Err("strace saw no system call".to_owned());
    }
    Ok(())
}

/// Each name that the log has made, its directory's included, is synced behind that: a power cut would take it away otherwise, with
/// what it names. `list` is what `strace -y` saw.
fn names_are_synced(list: &str) -> Result {
    let (mut made, mut unsynced) = (0, Vec::new());
    for line in list.lines().filter(|line| !line.contains(" = -1 ")) {
        let name = line.split('"').nth(1).map(Path::new);
        let is_slot = |name: &Path| name_of(name).starts_with("slot-") && line.contains("O_CREAT");
        if let Some(name) = name.filter(|name| line.contains(" mkdir(") || is_slot(name)) {
            made += 1;
            unsynced.push(name);
        }
        // `fsync(4</the/directory>)`, of whatever thread.
        let synced = line.split_once(" fsync(").and_then(|(_, fd)| fd.split_once('<'));
        let synced = synced.and_then(|(_, fd)| fd.split_once('>')).map(|(path, _)| Path::new(path));
        // As the system names it: without links.
        let is_synced = |name: &&Path| {
            let folder = name.parent().and_then(|folder| folder.canonicalize().ok());
            folder.is_some() && folder.as_deref() == synced
        };
        unsynced.retain(|name| !is_synced(name));
    }
    println!("names that were made, and synced: {} of {made}", made - unsynced.len());
    match unsynced.first() {
        None if made > 3 => Ok(()),
        None => Err(format!("strace saw {made} names, not a directory and its slots")),
        Some(name) => Err(format!("{}: its name was not synced", name.display())),
    }
}

/// A short script under `strace`.
fn traced(place: &Place, arguments: &[&str]) -> Result<Output> {
    let mut strace = command("strace");
    strace.arg("-f").args(arguments).arg("target/debug/crashbox");
    strace.args(place.arguments("script")).args(["--steps", "150"]);
    ended(strace)
}

impl Totals {
    /// Whoever ends otherwise was not to.
    fn was_killed(&mut self, output: &Output) -> Result {
        // strace ends as what it traces does.
        if output.status.signal() != Some(SIGKILL) {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(format!("crashbox ended by itself: {}: {said}", output.status));
        }
        self.kills += 1;
        Ok(())
    }
}

fn started(command: &mut Command) -> Result<std::process::Child> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().map_err(|error| format!("cannot start {command:?}: {error}"))
}

fn ended(mut command: Command) -> Result<Output> {
    let child = started(&mut command)?;
    child.wait_with_output().map_err(|error| format!("{command:?}: {error}"))
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn copy_all(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        match entry.file_type()?.is_dir() {
            true => copy_all(&entry.path(), &to)?,
            false => fs::copy(entry.path(), to).map(drop)?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::names_are_synced;

    #[test]
    fn a_name_that_is_not_synced_is_found() {
        let made = |name: &str| {
            format!("7 openat(AT_FDCWD</>, \"/{name}\", O_RDWR|O_CREAT) = 4</{name}>\n")
        };
        let synced = "8 fsync(3</>) = 0\n";
        let mut list = format!("7 mkdir(\"/log\", 0700) = 0\n{synced}");
        for slot in ["slot-0000.log", "slot-0001.log", "slot-0002.log"] {
            assert!(names_are_synced(&list).is_err(), "too few");
            list += &made(slot);
            assert!(names_are_synced(&list).is_err(), "{slot} is not synced");
            list += synced;
        }
        assert_eq!(names_are_synced(&list), Ok(()));
        // Another directory's sync is none, nor is a file's.
        list += &made("slot-0003.log");
        list += "7 fsync(3</tmp>) = 0\n7 fdatasync(3</>) = 0\n";
        assert!(names_are_synced(&list).is_err());
    }
}
