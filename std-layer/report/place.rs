//! A path that is one server's.
//!
//! First comes a lock on a file beside it. Whoever has that may replace what a server before has left behind. The
//! operating system gives it up with the process, however that ends; the files go with the server, unless it was killed.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, Mode, OFlags, flock, open};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, listen, socket_with,
};

use super::serve::ServeError;

/// Clients who wait to be accepted.
const BACKLOG: i32 = 128;

/// A socket's file, which is removed when this is dropped.
pub(super) struct Place {
    path: PathBuf,
    socket: FileId,
    /// Given up last.
    _lock: Lock,
}

impl Place {
    /// Takes it, unless somebody else has it, and listens there.
    pub(super) fn take(path: &Path) -> Result<(Self, UnixListener), ServeError> {
        let lock = Lock::take(path)?;
        make_way(path)?;
        let socket =
            socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)
                .map_err(io::Error::from)?;
        // This fails if there is something of that name by now.
        bind(&socket, &SocketAddrUnix::new(path).map_err(io::Error::from)?).map_err(|error| {
            match error {
                Errno::ADDRINUSE => ServeError::InUse,
                error => io::Error::from(error).into(),
            }
        })?;
        let place = Self { path: path.to_path_buf(), socket: FileId::at(path)?, _lock: lock };
        // Nobody can connect before it listens, so changing the mode does not come too late.
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
        listen(&socket, BACKLOG).map_err(io::Error::from)?;
        Ok((place, socket.into()))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.socket.remove_from(&self.path);
    }
}

/// Removes a socket that nobody listens to.
fn make_way(path: &Path) -> Result<(), ServeError> {
    let Ok(there) = fs::symlink_metadata(path) else { return Ok(()) };
    if !there.file_type().is_socket() {
        return Err(ServeError::Occupied);
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => Ok(fs::remove_file(path)?),
        _ => Err(ServeError::InUse),
    }
}

/// The lock on the file beside a path.
struct Lock {
    path: PathBuf,
    file: File,
}

impl Lock {
    fn take(beside: &Path) -> Result<Self, ServeError> {
        let mut name = beside.file_name().unwrap_or_default().to_os_string();
        name.push(".lock");
        let path = beside.with_file_name(name);
        loop {
            let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let file = open(&path, flags, Mode::RUSR | Mode::WUSR).map_err(io::Error::from)?;
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {}
                Err(Errno::WOULDBLOCK) => return Err(ServeError::InUse),
                Err(error) => return Err(io::Error::from(error).into()),
            }
            let file = File::from(file);
            // The one who had it may have removed the file before it was locked here.
            if FileId::at(&path).ok() == Some(FileId::of(&file.metadata()?)) {
                return Ok(Self { path, file });
            }
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // While it is locked.
        if let Ok(file) = self.file.metadata() {
            FileId::of(&file).remove_from(&self.path);
        }
    }
}

/// Which file it is, of those that may be at its path one after the other: its device, and its number there.
#[derive(PartialEq, Eq)]
struct FileId(u64, u64);

impl FileId {
    fn of(file: &fs::Metadata) -> Self {
        Self(file.dev(), file.ino())
    }

    fn at(path: &Path) -> io::Result<Self> {
        fs::symlink_metadata(path).map(|file| Self::of(&file))
    }

    /// Removes it, but no other that has come to its place.
    fn remove_from(&self, path: &Path) {
        if Self::at(path).is_ok_and(|there| there == *self) {
            let _ = fs::remove_file(path);
        }
    }
}
