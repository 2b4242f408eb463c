//! A socket that reports can be had from: what another process attaches to.
//!
//! A client sends [`Request`]s and gets [`Record`]s, each a [frame](crate::report). A report is a run of records
//! from its beginning to its end; an action is answered by one outcome. Reports of a stream come until the next
//! request does.
//!
//! Who may ask: the socket's file is its owner's alone (mode 0600), from the moment at which it can be seen, and a
//! peer that runs as somebody else is turned away whatever the file says.

use std::fmt;
use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use std::vec::Vec;

use super::registry::Registry;
use crate::report::{Decoder, MAX_FRAME, Outcome, Record, Request, encode};

/// Clients at one time.
const MOST_CLIENTS: usize = 16;
/// The shortest interval of a stream.
const SHORTEST: Duration = Duration::from_millis(1);
/// How long a client may take to read what it has asked for.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a server does.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Serving {
    /// Whether clients may close, drain, compact and reap. Off by default.
    pub actions: bool,
}

/// Why there is no server.
#[derive(Debug)]
#[non_exhaustive]
pub enum ServeError {
    /// Another server answers at this place.
    InUse,
    /// Something that is no socket is at this place.
    Occupied,
    /// The operating system refused.
    Os(io::Error),
}

impl fmt::Display for ServeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse => f.write_str("another server answers at this path"),
            Self::Occupied => f.write_str("something that is no socket is at this path"),
            Self::Os(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ServeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Os(error) => Some(error),
            _ => None,
        }
    }
}

impl From<io::Error> for ServeError {
    fn from(error: io::Error) -> Self {
        Self::Os(error)
    }
}

/// A server, made by [`serve`]. When it is dropped its clients are cut off, its threads end, and the socket's file
/// is removed.
#[must_use = "it ends when it is dropped"]
pub struct Server {
    path: PathBuf,
    /// Its file, which is told from another server's at the same place.
    file: Option<(u64, u64)>,
    listener: Arc<UnixListener>,
    clients: Clients,
    thread: Option<JoinHandle<()>>,
}

/// The sockets of those who are connected, to cut them off, and their threads.
type Clients = Arc<Mutex<Vec<(UnixStream, JoinHandle<()>)>>>;

/// Answers requests at a socket of this path, from threads of its own: one that sleeps until a client comes, and one
/// for each client. A socket's file that a server before has left behind is replaced.
///
/// # Errors
/// See [`ServeError`].
///
/// ```
/// use std::io::{Read, Write};
/// use std::os::unix::net::UnixStream;
/// use cloakroom::report::{Frames, MAX_FRAME, Record, Request, encode};
/// use cloakroom::std_layer::report::{Registry, Serving, serve};
///
/// let path = std::env::temp_dir().join(format!("cloakroom-doc-{}", std::process::id()));
/// let server = serve(&Registry::new("server"), &path, Serving::default())?;
///
/// let mut client = UnixStream::connect(server.path())?;
/// client.write_all(encode(&Request::Report, &mut [0; MAX_FRAME])?)?;
/// let mut records = Frames::new(client.bytes().map_while(Result::ok));
/// assert!(matches!(records.next(), Some(Ok(Record::Begin(begin))) if &*begin.source == "server"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn serve(
    registry: &Registry,
    path: impl AsRef<Path>,
    serving: Serving,
) -> Result<Server, ServeError> {
    let path = path.as_ref().to_path_buf();
    make_way(&path)?;
    let listener = Arc::new(bind_for_owner(&path)?);
    let file = file_at(&path);
    let clients = Clients::default();
    let (accepting, kept, registry) = (listener.clone(), clients.clone(), registry.clone());
    let thread = thread::Builder::new().name("cloakroom-report".into()).spawn(move || {
        // An error that is not the server's end is one client's, or a want of file descriptors.
        loop {
            match accepting.accept() {
                Ok((client, _)) => admit(client, &registry, serving, &kept),
                Err(error) if error.kind() == ErrorKind::InvalidInput => return,
                Err(_) => thread::sleep(SHORTEST),
            }
        }
    });
    match thread {
        Ok(thread) => Ok(Server { path, file, listener, clients, thread: Some(thread) }),
        Err(error) => {
            let _ = fs::remove_file(&path);
            Err(error.into())
        }
    }
}

/// Which file is at this place: its device, and its number there.
fn file_at(path: &Path) -> Option<(u64, u64)> {
    fs::symlink_metadata(path).ok().map(|file| (file.dev(), file.ino()))
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

/// A listener whose file is its owner's alone before it has its name: changing the mode of a file that others can
/// see already would come too late.
fn bind_for_owner(path: &Path) -> io::Result<UnixListener> {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(std::format!(".{}", std::process::id()));
    let unseen = path.with_file_name(name);
    let listener = UnixListener::bind(&unseen)?;
    let named = fs::set_permissions(&unseen, fs::Permissions::from_mode(0o600))
        // A link fails if there is something of that name by now; a renaming would replace it.
        .and_then(|()| fs::hard_link(&unseen, path));
    fs::remove_file(&unseen)?;
    named.map(|()| listener)
}

/// Whether the process at the other end runs as the same user.
fn is_own(client: &UnixStream) -> bool {
    rustix::net::sockopt::socket_peercred(client)
        .is_ok_and(|peer| peer.uid == rustix::process::geteuid())
}

/// Gives a client a thread.
fn admit(client: UnixStream, registry: &Registry, serving: Serving, clients: &Clients) {
    if !is_own(&client) {
        return;
    }
    let mut clients = clients.lock().unwrap_or_else(PoisonError::into_inner);
    clients.retain(|(_, thread)| !thread.is_finished());
    if clients.len() >= MOST_CLIENTS {
        return;
    }
    let Ok(stream) = client.try_clone() else { return };
    let registry = registry.clone();
    let thread = thread::Builder::new().name("cloakroom-client".into()).spawn(move || {
        let connection = Connection(client);
        let _ = attend(&connection.0, &registry, serving);
    });
    if let Ok(thread) = thread {
        clients.push((stream, thread));
    }
}

/// A client's socket. However its thread ends, by a panic of what it drains, too, the client sees that the connection
/// does: the server has another handle to it.
struct Connection(UnixStream);

impl Drop for Connection {
    fn drop(&mut self) {
        let _ = self.0.shutdown(std::net::Shutdown::Both);
    }
}

/// A stream that a client has asked for.
#[derive(Clone, Copy)]
struct Stream {
    interval: Duration,
    next: Instant,
}

/// Answers one client until it goes.
fn attend(mut client: &UnixStream, registry: &Registry, serving: Serving) -> io::Result<()> {
    client.set_write_timeout(Some(PATIENCE))?;
    let mut decoder = Decoder::<Request>::new();
    let mut stream: Option<Stream> = None;
    let mut bytes = [0; MAX_FRAME];
    loop {
        let rest = stream.map(|stream| stream.next.saturating_duration_since(Instant::now()));
        if let (Some(due), Some(Duration::ZERO)) = (&mut stream, rest) {
            report(registry, &mut client, false)?;
            // What was missed meanwhile is not made up for.
            due.next = Instant::now() + due.interval;
            continue;
        }
        client.set_read_timeout(rest)?;
        let len = match client.read(&mut bytes) {
            Ok(0) => return Ok(()),
            Ok(len) => len,
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted => continue,
                _ => return Err(error),
            },
        };
        for &byte in bytes.get(..len).unwrap_or(&[]) {
            let Some(request) = decoder.push(byte) else { continue };
            stream = None;
            match request {
                Ok(Request::Report) => report(registry, &mut client, false)?,
                Ok(Request::Dump) => report(registry, &mut client, true)?,
                Ok(Request::Stream { interval_ms }) => {
                    let interval = Duration::from_millis(interval_ms.into()).max(SHORTEST);
                    stream = Some(Stream { interval, next: Instant::now() });
                }
                Ok(Request::Act { target, action }) => {
                    let outcome = match serving.actions {
                        true => registry.act(&target, action),
                        false => Outcome::Forbidden,
                    };
                    answer(outcome, &mut client)?;
                }
                Err(_) => answer(Outcome::Unreadable, &mut client)?,
            }
        }
    }
}

fn report(registry: &Registry, client: impl Write, dumps: bool) -> io::Result<()> {
    let report = if dumps { registry.dump() } else { registry.collect() };
    // In few writes, as each is a system call.
    let mut out = io::BufWriter::new(client);
    report.write_frames(&mut out)?;
    out.flush()
}

fn answer(outcome: Outcome, mut client: impl Write) -> io::Result<()> {
    let mut buffer = [0; MAX_FRAME];
    match encode(&Record::Outcome(outcome), &mut buffer) {
        Ok(frame) => client.write_all(frame),
        Err(full) => Err(io::Error::other(full)),
    }
}

impl Server {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Ends the sleep in `accept`, for good.
        let _ = rustix::net::shutdown(&*self.listener, rustix::net::Shutdown::Both);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        // Nobody is admitted any more.
        let clients =
            core::mem::take(&mut *self.clients.lock().unwrap_or_else(PoisonError::into_inner));
        for (client, thread) in clients {
            let _ = client.shutdown(std::net::Shutdown::Both);
            let _ = thread.join();
        }
        // Its own file: somebody may have removed that, and another server may have come.
        if self.file.is_some() && file_at(&self.path) == self.file {
            let _ = fs::remove_file(&self.path);
        }
    }
}
