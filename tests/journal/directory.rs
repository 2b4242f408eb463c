//! A directory on a real disk: its lock, who may read it, what a second process is told.

use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use cloakroom::std_layer::journal::{
    Journal, Level, LogError, Message, OpenError, OpenPolicy, Options,
};

/// A directory that goes with the test.
pub struct Place(pub PathBuf);

impl Place {
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "cloakroom-journal-{}-{}",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        );
        Self(env::temp_dir().join(name))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub fn options() -> Options {
    Options { segment_bytes: 256 << 10, ..Options::default() }
}

/// Names the child's log.
const CHILD: &str = "CLOAKROOM_JOURNAL_CHILD";

#[test]
fn it_is_its_owners_alone() {
    let place = Place::new();
    let (log, _) = Journal::open(&place.0, options()).unwrap();
    log.send(&Message::new(1, 1, b"secret"), Level::Sync).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&place.0), 0o700);
    let mut files = 0;
    for entry in fs::read_dir(&place.0).unwrap() {
        assert_eq!(mode(&entry.unwrap().path()), 0o600);
        files += 1;
    }
    assert!(files >= 2, "a slot, and the owner");
}

#[test]
fn a_second_one_in_the_process_is_refused() {
    let place = Place::new();
    let (log, _) = Journal::open(&place.0, options()).unwrap();
    let me = Some(std::process::id());
    for policy in [OpenPolicy::Strict, OpenPolicy::Drain] {
        let second = Journal::open(&place.0, Options { policy, ..options() });
        assert!(matches!(second, Err(OpenError::Locked { pid }) if pid == me), "{second:?}");
    }
    log.send(&Message::new(1, 1, b"still works"), Level::Sync).unwrap();
    drop(log);
    let (log, report) = Journal::open(&place.0, options()).unwrap();
    assert_eq!((report.pending, report.clean), (1, true));
    log.close().unwrap();
    assert_eq!(log.send(&Message::new(1, 2, b""), Level::Sync), Err(LogError::ReadOnly));
}

/// Files of the last numbers there are, which no other one can follow.
#[test]
fn files_of_the_last_numbers_stop_nothing() {
    for names in [&["slot-4294967295.log"][..], &["slot-4294967294.log", "slot-4294967295.log"]] {
        let place = Place::new();
        drop(Journal::open(&place.0, options()).unwrap());
        names.iter().for_each(|name| fs::write(place.0.join(name), b"").unwrap());
        let (log, _) = Journal::open(&place.0, options()).unwrap();
        let mut segment = 0;
        for seq in 1.. {
            let sent = log.send(&Message::new(1, seq, &[1; 1000]), Level::Buffered);
            // Where none follows, as many segments as there are files, at the most.
            let Ok(at) = sent else {
                assert!(names.len() == 2 && sent == Err(LogError::Full));
                break;
            };
            log.ack(1, seq, seq).unwrap();
            segment = at.segment.max(segment);
            if segment > 5 {
                break;
            }
        }
        log.sync().unwrap();
        assert!(log.close().is_ok());
    }
}

/// Not a test of its own: a process that holds a log until it is killed.
#[test]
fn child() {
    let Some(place) = env::var_os(CHILD) else { return };
    let (log, report) = Journal::open(Path::new(&place), options()).unwrap();
    let first = report.max_seq + 1;
    for seq in first.. {
        let level = [Level::Sync, Level::Buffered, Level::Interval][seq as usize % 3];
        log.send(&Message::new(1, seq, &seq.to_le_bytes()), level).unwrap();
        println!("kept {seq}");
        if seq >= first + 20 {
            log.ack(1, seq - 20, seq - 20).unwrap();
        }
    }
}

#[test]
fn a_second_process_is_told_who_is_first_and_a_kill_frees_the_log() {
    use std::io::{BufRead, BufReader};

    let place = Place::new();
    for round in 0..5 {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "directory::child", "--nocapture"])
            .env(CHILD, &place.0)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut kept = 0;
        // The harness may have begun the line.
        let mut read = || {
            let line = lines.next()?.unwrap();
            let number = line.rsplit_once("kept ").and_then(|(_, number)| number.parse().ok());
            kept = number.unwrap_or(kept);
            Some(())
        };
        for _ in 0..100 + 700 * round {
            read().expect("the child keeps messages");
        }
        let second = Journal::open(&place.0, options());
        let first = Some(child.id());
        assert!(matches!(second, Err(OpenError::Locked { pid }) if pid == first), "{second:?}");
        child.kill().unwrap();
        child.wait().unwrap();
        while read().is_some() {}

        // At once, and with everything that it has said it had kept, at whatever level: the system has not failed.
        let (log, report) = Journal::open(&place.0, options()).unwrap();
        assert!(report.max_seq >= kept, "{} of {kept}", report.max_seq);
        let pending: Vec<u64> = log.pending().iter().map(|live| live.seq).collect();
        assert!((kept - 19..=kept).all(|seq| pending.contains(&seq)), "{kept}: {pending:?}");
        let mut buffer = [0; 8];
        for &seq in &pending {
            assert_eq!(log.read(1, seq, &mut buffer).unwrap(), 8);
            assert_eq!(u64::from_le_bytes(buffer), seq);
        }
        log.ack(1, 0, report.max_seq).unwrap();
    }
}

#[test]
fn a_directory_that_must_not_be_written_to_is_drained() {
    let place = Place::new();
    let (log, _) = Journal::open(&place.0, options()).unwrap();
    log.send(&Message::new(1, 1, b"kept"), Level::Sync).unwrap();
    drop(log);
    let before: Vec<u8> = fs::read(place.0.join("slot-0000.log")).unwrap();
    let drain = Options { policy: OpenPolicy::Drain, ..options() };
    let (log, report) = Journal::open(&place.0, drain).unwrap();
    assert_eq!(report.pending, 1);
    let mut buffer = [0; 8];
    assert_eq!(log.read(1, 1, &mut buffer).unwrap(), 4);
    log.ack(1, 1, 1).unwrap();
    assert_eq!(log.pending(), []);
    drop(log);
    assert!(before == fs::read(place.0.join("slot-0000.log")).unwrap(), "it is as it was");
    let missing = Place::new();
    let none = Journal::open(&missing.0, Options { policy: OpenPolicy::Drain, ..options() });
    assert!(matches!(none, Err(OpenError::Io(_))), "{none:?}");
    assert!(!missing.0.exists());
}

/// Names the log of the child that may only read.
const READ_ONLY: &str = "CLOAKROOM_JOURNAL_READ_ONLY";

/// Not a test of its own: a process whose log is on a file system that is read-only.
#[test]
fn child_that_only_reads() {
    let Some(place) = env::var_os(READ_ONLY) else { return };
    let place = Path::new(&place);
    for path in [place.join("log"), place.join("new")] {
        let refused = Journal::open(&path, options());
        assert!(matches!(refused, Err(OpenError::ReadOnly)), "{refused:?}");
    }
    let drain = Options { policy: OpenPolicy::Drain, ..options() };
    let (log, report) = Journal::open(&place.join("log"), drain).unwrap();
    assert_eq!(report.pending, 1);
    let mut buffer = [0; 8];
    assert_eq!(log.read(1, 1, &mut buffer).unwrap(), 4);
    assert_eq!(log.send(&Message::new(1, 2, b""), Level::Sync), Err(LogError::ReadOnly));
    println!("drained");
}

/// Where this user may mount; `faults` has one that is simulated.
#[cfg(target_os = "linux")]
#[test]
fn a_read_only_file_system_is_drained() {
    let place = Place::new();
    fs::create_dir(&place.0).unwrap();
    let (log, _) = Journal::open(&place.0.join("log"), options()).unwrap();
    log.send(&Message::new(1, 1, b"kept"), Level::Sync).unwrap();
    drop(log);
    let mounted = r#"mount --bind "$0" "$0" && mount -o remount,ro,bind "$0""#;
    let run = |then: &str| {
        let mut unshare = Command::new("unshare");
        unshare.args(["-rm", "sh", "-c"]).arg(format!("{mounted} && {then}"));
        unshare.arg(&place.0).arg(env::current_exe().unwrap()).env(READ_ONLY, &place.0).output()
    };
    if !run("true").is_ok_and(|output| output.status.success()) {
        println!("left out: this user may not mount");
        return;
    }
    let output = run(r#"exec "$1" --exact directory::child_that_only_reads --nocapture"#).unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("drained"), "{output:?}");
}
