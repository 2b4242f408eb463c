//! A log in a directory, and the two threads that help it: one makes slots and frees them, one syncs, so that a sync does not wait for a
//! slot that is written out with zeros.

use std::ops::Deref;
use std::path::Path;
use std::string::String;
use std::sync::{Arc, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::directory::Directory;
use super::error::OpenError;
use super::log::Log;
use super::options::Options;
use crate::journal::{OpenPolicy, RecoveryReport};

/// How long the helper sleeps when nothing is to be done: it is woken earlier.
const IDLE: Duration = Duration::from_secs(3600);
/// After there was no room.
const AGAIN: Duration = Duration::from_millis(100);
/// The same, on a disk that is full.
const LATER: Duration = Duration::from_secs(2);

/// A write-ahead log in a directory. A thread of its own makes slots in advance and frees old ones; another one syncs for
/// [`Level::Interval`](super::Level::Interval), and for futures, which must not wait in a call.
///
/// Dropping it closes the log as [`Log::close`] does; what that says is lost, so who wants to know closes first.
#[derive(Debug)]
pub struct Journal {
    log: Arc<Log<Directory>>,
    helpers: [Option<JoinHandle<()>>; 2],
}

/// What one of the threads does.
type Part = fn(&Log<Directory>);

impl Journal {
    /// Opens the log in `path`, or begins one, for this process alone.
    ///
    /// # Errors
    ///
    /// [`OpenError`].
    ///
    /// # Example
    ///
    /// ```
    /// use cloakroom::std_layer::journal::{Journal, OpenError, Options};
    ///
    /// let place = std::env::temp_dir().join(format!("cloakroom-open-{}", std::process::id()));
    /// let (log, report) = Journal::open(&place, Options::default())?;
    /// assert_eq!(report.pending, 0);
    ///
    /// let second = Journal::open(&place, Options::default());
    /// assert!(matches!(second, Err(OpenError::Locked { pid }) if pid == Some(std::process::id())));
    /// # drop(log);
    /// # std::fs::remove_dir_all(place)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open(path: &Path, options: Options) -> Result<(Self, RecoveryReport), OpenError> {
        let directory = match options.policy {
            OpenPolicy::Drain => Directory::lock_existing(path, false)?,
            _ => Directory::lock(path)?,
        };
        let options = Options { maintained: true, ..options };
        let (log, report) = Log::open(directory, options)?;
        let log = Arc::new(log);
        // One that was begun is told when the other one cannot be.
        let mut journal = Self { log, helpers: [None, None] };
        let parts: [(&str, Part); 2] = [("journal", help), ("journal-sync", sync)];
        for (helper, (name, part)) in journal.helpers.iter_mut().zip(parts) {
            let helped = journal.log.clone();
            let builder = thread::Builder::new().name(String::from(name));
            *helper = Some(builder.spawn(move || part(&helped))?);
        }
        Ok((journal, report))
    }
}

impl Deref for Journal {
    type Target = Log<Directory>;

    fn deref(&self) -> &Self::Target {
        &self.log
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        // If it fails, what was acknowledged is durable all the same.
        let _ = self.log.close();
        self.log.lock().closed = true;
        self.log.work.notify_all();
        self.log.due.notify_all();
        for helper in self.helpers.iter_mut().filter_map(Option::take) {
            let _ = helper.join();
        }
    }
}

/// Makes slots and frees them, until the log is closed, or has failed.
fn help(log: &Log<Directory>) {
    while log.make_slots().is_ok() {
        let state = log.lock();
        if state.usable().is_err() {
            break;
        }
        let sleep = match log.has_work(&state) {
            false => IDLE,
            true if state.no_room => LATER,
            true => AGAIN,
        };
        if state.room_wanted == 0 {
            drop(log.work.wait_timeout(state, sleep).unwrap_or_else(PoisonError::into_inner));
        }
    }
}

/// Syncs when that is due, until the log is closed, or has failed: then it wakes all futures that wait.
fn sync(log: &Log<Directory>) {
    while log.sync_if_due().is_ok() {
        let mut state = log.lock();
        let due = state.syncs_ahead(&log.options) || state.durable < state.sync_wanted;
        if due || state.usable().is_err() {
            continue;
        }
        let sleep = match state.dirty {
            Some(since) => log.options.interval.saturating_sub(since.elapsed()),
            None => IDLE,
        };
        state.syncer_rests = true;
        let mut slept = log.due.wait_timeout(state, sleep).unwrap_or_else(PoisonError::into_inner);
        slept.0.syncer_rests = false;
    }
}
