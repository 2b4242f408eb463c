//! A log in a directory, and the thread that helps it.

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

/// A write-ahead log in a directory. A thread of its own makes slots in advance, frees old ones, and syncs for
/// [`Level::Interval`](super::Level::Interval).
///
/// Dropping it closes the log as [`Log::close`] does; what that says is lost, so who wants to know closes first.
#[derive(Debug)]
pub struct Journal {
    log: Arc<Log<Directory>>,
    helper: Option<JoinHandle<()>>,
}

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
        let (log, report) = Log::open(directory, options)?;
        let log = Arc::new(log);
        let helped = log.clone();
        let builder = thread::Builder::new().name(String::from("journal"));
        let helper = Some(builder.spawn(move || help(&helped))?);
        Ok((Self { log, helper }, report))
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
        if let Some(helper) = self.helper.take() {
            let _ = helper.join();
        }
    }
}

/// Until the log is closed, or has failed.
fn help(log: &Log<Directory>) {
    while log.maintain().is_ok() {
        let state = log.lock();
        if state.usable().is_err() {
            break;
        }
        let sleep = match state.dirty {
            Some(since) => log.options.interval.saturating_sub(since.elapsed()),
            None if log.has_work(&state) => AGAIN,
            None => IDLE,
        };
        drop(log.work.wait_timeout(state, sleep).unwrap_or_else(PoisonError::into_inner));
    }
}
