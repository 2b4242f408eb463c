//! Where reports come from: a socket of a running process, or anything that can be read.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use cloakroom::report::{MAX_FRAME, Request, encode};

use crate::trouble::{Result, Trouble};

/// A source, opened.
pub struct Source {
    /// How it is called in messages.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    bytes: Box<dyn Read + Send>,
    /// A socket's other direction.
    requests: Option<UnixStream>,
}

/// What a source is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A process that answers requests. Its end is the end of the process.
    Socket,
    /// A recording. Its end is the end of it.
    File,
    /// A pipe, a serial line: reports come when they come.
    Stream,
}

impl Source {
    /// Opens a path, or standard input for `-`.
    ///
    /// A named pipe waits for somebody to write to it.
    pub fn open(path: &str) -> Result<Self> {
        if path == "-" {
            return Ok(Self {
                name: "standard input".into(),
                kind: Kind::Stream,
                bytes: Box::new(io::stdin()),
                requests: None,
            });
        }
        let path = PathBuf::from(path);
        let name = path.display().to_string();
        let metadata = fs::metadata(&path).map_err(|error| unopened(&name, &error))?;
        let file_type = metadata.file_type();
        if file_type.is_socket() {
            check_owner(&name, metadata.uid(), metadata.mode())?;
            let bytes = connect(&path, &name)?;
            let requests = bytes.try_clone().map_err(|error| unopened(&name, &error))?;
            let requests = Some(requests);
            return Ok(Self { name, kind: Kind::Socket, bytes: Box::new(bytes), requests });
        }
        if file_type.is_dir() {
            let what = format!("{name} is a directory");
            return Err(Trouble::new(what).advise("Name the socket or the file in it."));
        }
        if file_type.is_fifo() {
            // Opening it takes until then.
            eprintln!("chanmon: waiting for somebody to write to {name}");
        }
        let bytes = File::open(&path).map_err(|error| unopened(&name, &error))?;
        let kind = if file_type.is_file() { Kind::File } else { Kind::Stream };
        Ok(Self { name, kind, bytes: Box::new(bytes), requests: None })
    }

    /// Asks for something. Who cannot be asked reports of its own accord; this does nothing then.
    pub fn ask(&mut self, request: &Request) -> Result {
        let Some(requests) = &mut self.requests else { return Ok(()) };
        let mut buffer = [0; MAX_FRAME];
        let frame = encode(request, &mut buffer).map_err(Trouble::new)?;
        requests.write_all(frame).map_err(|error| gone(&self.name, &error))
    }

    /// Reads what there is, after waiting for something. 0 at the end.
    pub fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        loop {
            return match self.bytes.read(buffer) {
                Ok(len) => Ok(len),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => Err(gone(&self.name, &error)),
            };
        }
    }

    /// The trouble of a source that cannot be asked.
    pub fn must_be_asked(&self) -> Result {
        match self.kind {
            Kind::Socket => Ok(()),
            Kind::File | Kind::Stream => {
                Err(Trouble::new(format!("{} is not a socket", self.name)).advise(
                    "Only a running process can be asked to do something: name its socket.",
                ))
            }
        }
    }
}

/// Only a socket that is ours, and closed to everybody else, is certain to be the one that was meant.
fn check_owner(name: &str, owner: u32, mode: u32) -> Result {
    let own = rustix::process::geteuid().as_raw();
    if owner != own {
        let what = format!("{name} belongs to user {owner}, and this is user {own}");
        return Err(Trouble::new(what)
            .advise(format!("Run chanmon as its owner: sudo -u '#{owner}' chanmon …")));
    }
    if mode & 0o077 != 0 {
        let what = format!("{name} is open to other users (mode {:03o})", mode & 0o777);
        return Err(Trouble::new(what).advise(format!(
            "Whoever may write to it may ask the process for things. Close it: chmod 600 {name}"
        )));
    }
    Ok(())
}

fn connect(path: &Path, name: &str) -> Result<UnixStream> {
    UnixStream::connect(path).map_err(|error| match error.kind() {
        io::ErrorKind::ConnectionRefused => {
            Trouble::new(format!("nobody listens at {name}: the process is gone"))
                .advise("Start it again; it replaces the socket that it left behind.")
        }
        _ => unopened(name, &error),
    })
}

fn unopened(name: &str, error: &io::Error) -> Trouble {
    let trouble = Trouble::new(format!("cannot open {name}: {error}"));
    match error.kind() {
        io::ErrorKind::NotFound => trouble
            .advise("Is the process running? Its socket is made when it begins to serve reports."),
        io::ErrorKind::PermissionDenied => {
            trouble.advise("Run chanmon as the user whose process it is.")
        }
        _ => trouble,
    }
}

fn gone(name: &str, error: &io::Error) -> Trouble {
    Trouble::new(format!("{name} is gone: {error}"))
        .advise("The process has ended, or the line was cut.")
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::net::UnixListener;

    use super::*;

    fn trouble(path: &Path) -> String {
        match Source::open(path.to_str().expect("text")) {
            Ok(source) => panic!("{} opens", source.name),
            Err(trouble) => trouble.to_string(),
        }
    }

    #[test]
    fn what_is_not_there_or_cannot_be_read_is_told_apart() {
        let folder = tempfile::tempdir().expect("a folder");
        let missing = trouble(&folder.path().join("missing"));
        assert!(missing.contains("Is the process running?"), "{missing}");
        let directory = trouble(folder.path());
        assert!(directory.contains("is a directory"), "{directory}");
    }

    #[test]
    fn a_socket_must_be_closed_to_others_and_somebody_must_listen() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("socket");
        let listener = UnixListener::bind(&path).expect("a socket");
        fs::set_permissions(&path, Permissions::from_mode(0o620)).expect("ours");
        let open = trouble(&path);
        assert!(open.contains("open to other users (mode 620)"), "{open}");
        assert!(open.contains("chmod 600"), "{open}");
        fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("ours");
        let source = Source::open(path.to_str().expect("text")).expect("opens");
        assert_eq!(source.kind, Kind::Socket);
        drop(listener);
        let refused = trouble(&path);
        assert!(refused.contains("the process is gone"), "{refused}");
    }

    #[test]
    fn a_socket_of_another_user_is_refused() {
        let own = rustix::process::geteuid().as_raw();
        let trouble = check_owner("it", own + 1, 0o600).expect_err("not ours");
        assert!(trouble.what().contains(&format!("belongs to user {}", own + 1)), "{trouble}");
        assert!(check_owner("it", own, 0o600).is_ok());
    }

    #[test]
    fn a_file_cannot_be_asked_for_actions() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let source = Source::open(file.path().to_str().expect("text")).expect("opens");
        assert_eq!(source.kind, Kind::File);
        assert!(source.must_be_asked().expect_err("no socket").what().contains("not a socket"));
    }
}
