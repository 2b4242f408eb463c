//! A socket that reports can be had from: what another process attaches to.
//!
//! A client sends [`Request`]s and gets [`Record`]s, each a [frame](crate::report). A report is a run of records
//! from its beginning to its end; an action is answered by one outcome. Reports of a stream come until the next
//! request does.
//!
//! Who may ask: the socket's file is its owner's alone (mode 0600), from the moment at which it can be seen, and a
//! peer that runs as somebody else is turned away whatever the file says. One of the same user can keep others out neither
//! by staying, as whoever has been quiet for longest goes when there are too many, nor by reading slowly.

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use std::vec::Vec;

use super::place::Place;
use super::registry::Registry;
use crate::report::{Decoder, MAX_FRAME, Outcome, Record, Request, encode};

/// Clients at one time.
const MOST_CLIENTS: usize = 16;
/// Threads of clients at one time: of those who are cut off, too, and busy with a last request.
const MOST_THREADS: usize = 2 * MOST_CLIENTS;
/// The shortest interval of a stream.
const SHORTEST: Duration = Duration::from_millis(1);
/// How long a client may take to read one answer, or one report.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest pause after nobody could be let in, for want of file descriptors.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

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
    /// Another server has this place, or is about to.
    InUse,
    /// Something that is no socket is at this place.
    Occupied,
    /// The operating system refused.
    Os(io::Error),
}

impl fmt::Display for ServeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse => f.write_str("another server has this path"),
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

/// A server, made by [`serve`]. When it is dropped its clients are cut off, its threads end, and its files are
/// removed.
#[must_use = "it ends when it is dropped"]
pub struct Server {
    door: Arc<Door>,
    thread: Option<JoinHandle<()>>,
    /// Removed after the threads have ended.
    place: Place,
}

/// Where clients come in.
struct Door {
    listener: UnixListener,
    /// Said for good by whoever ends the server: the listener does not say so while there are no file descriptors.
    is_closed: AtomicBool,
    clients: Mutex<Vec<Client>>,
}

/// Somebody who is connected, or was until lately.
struct Client {
    /// To cut it off.
    stream: UnixStream,
    is_cut: bool,
    thread: JoinHandle<()>,
    last: LastExchange,
}

/// When something was asked or reported for the last time.
type LastExchange = Arc<Mutex<Instant>>;

/// Answers requests at a socket of this path, from threads of its own: one that sleeps until a client comes, and one
/// for each client. There may be 16 clients: if one more comes, the one that has been quiet for longest is cut off.
///
/// The path is the server's as long as it lives, by a lock on a file beside it (`.lock` is added to its name), which
/// the operating system gives up with the process: whatever files a server before has left behind are replaced.
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
    let (place, listener) = Place::take(path.as_ref())?;
    let (is_closed, clients) = (AtomicBool::new(false), Mutex::default());
    let door = Arc::new(Door { listener, is_closed, clients });
    let (kept, registry) = (door.clone(), registry.clone());
    let thread = thread::Builder::new()
        .name("cloakroom-report".into())
        .spawn(move || kept.attend(&registry, serving))?;
    Ok(Server { door, thread: Some(thread), place })
}

/// Whether the process at the other end runs as the same user.
fn is_own(client: &UnixStream) -> bool {
    rustix::net::sockopt::socket_peercred(client)
        .is_ok_and(|peer| peer.uid == rustix::process::geteuid())
}

impl Door {
    /// Lets clients in until it is closed.
    fn attend(&self, registry: &Registry, serving: Serving) {
        let mut pause = SHORTEST;
        // Relaxed: there is nothing else to see.
        while !self.is_closed.load(Ordering::Relaxed) {
            match self.listener.accept() {
                Ok((client, _)) => {
                    pause = SHORTEST;
                    self.admit(client, registry, serving);
                }
                // One client's, or a want of file descriptors, which lasts. Whoever closes it ends the pause.
                Err(_) => {
                    thread::park_timeout(pause);
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    /// Gives a client a thread. If there are too many, the one that has been quiet for longest makes room.
    fn admit(&self, client: UnixStream, registry: &Registry, serving: Serving) {
        if !is_own(&client) {
            return;
        }
        let mut clients = lock(&self.clients);
        clients.retain(|client| !client.thread.is_finished());
        if clients.len() >= MOST_THREADS {
            return;
        }
        if clients.iter().filter(|client| !client.is_cut).count() >= MOST_CLIENTS {
            let connected = clients.iter_mut().filter(|client| !client.is_cut);
            if let Some(quietest) = connected.min_by_key(|client| *lock(&client.last)) {
                quietest.is_cut = true;
                let _ = quietest.stream.shutdown(Shutdown::Both);
            }
        }
        let Ok(stream) = client.try_clone() else { return };
        let registry = registry.clone();
        let last = LastExchange::new(Mutex::new(Instant::now()));
        let exchanges = last.clone();
        let thread = thread::Builder::new().name("cloakroom-client".into()).spawn(move || {
            let connection = Connection(client);
            let _ = attend(&connection.0, &registry, serving, &exchanges);
        });
        if let Ok(thread) = thread {
            clients.push(Client { stream, is_cut: false, thread, last });
        }
    }
}

/// Nothing that can panic is done under these locks.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A client's socket. However its thread ends, by a panic of what it drains, too, the client sees that the connection
/// does: the server has another handle to it.
struct Connection(UnixStream);

impl Drop for Connection {
    fn drop(&mut self) {
        let _ = self.0.shutdown(Shutdown::Both);
    }
}

/// A stream that a client has asked for.
#[derive(Clone, Copy)]
struct Stream {
    interval: Duration,
    next: Instant,
}

/// Answers one client until it goes.
fn attend(
    mut client: &UnixStream,
    registry: &Registry,
    serving: Serving,
    last: &LastExchange,
) -> io::Result<()> {
    let mut decoder = Decoder::<Request>::new();
    let mut stream: Option<Stream> = None;
    let mut bytes = [0; MAX_FRAME];
    loop {
        let rest = stream.map(|stream| stream.next.saturating_duration_since(Instant::now()));
        if let (Some(due), Some(Duration::ZERO)) = (&mut stream, rest) {
            report(registry, client, false)?;
            *lock(last) = Instant::now();
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
            *lock(last) = Instant::now();
            match request {
                Ok(Request::Report) => report(registry, client, false)?,
                Ok(Request::Dump) => report(registry, client, true)?,
                Ok(Request::Stream { interval_ms }) => {
                    let interval = Duration::from_millis(interval_ms.into()).max(SHORTEST);
                    stream = Some(Stream { interval, next: Instant::now() });
                }
                Ok(Request::Act { target, action }) => {
                    let outcome = match serving.actions {
                        true => registry.act(&target, action),
                        false => Outcome::Forbidden,
                    };
                    answer(outcome, client)?;
                }
                Err(_) => answer(Outcome::Unreadable, client)?,
            }
        }
    }
}

/// Writes to somebody who must have read it by then.
struct UntilThen<'c> {
    client: &'c UnixStream,
    deadline: Instant,
}

impl<'c> UntilThen<'c> {
    fn after(patience: Duration, client: &'c UnixStream) -> Self {
        Self { client, deadline: Instant::now() + patience }
    }
}

impl Write for UntilThen<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Zero is refused as a limit.
        match self.deadline.saturating_duration_since(Instant::now()) {
            Duration::ZERO => return Err(ErrorKind::TimedOut.into()),
            rest => self.client.set_write_timeout(Some(rest))?,
        }
        self.client.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn report(registry: &Registry, client: &UnixStream, dumps: bool) -> io::Result<()> {
    let report = if dumps { registry.dump() } else { registry.collect() };
    // In few writes, as each is a system call or two.
    let mut out = io::BufWriter::new(UntilThen::after(PATIENCE, client));
    report.write_frames(&mut out)?;
    out.flush()
}

fn answer(outcome: Outcome, client: &UnixStream) -> io::Result<()> {
    let mut buffer = [0; MAX_FRAME];
    match encode(&Record::Outcome(outcome), &mut buffer) {
        Ok(frame) => UntilThen::after(PATIENCE, client).write_all(frame),
        Err(full) => Err(io::Error::other(full)),
    }
}

impl Server {
    /// Where it is.
    pub fn path(&self) -> &Path {
        self.place.path()
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("path", &self.path()).finish_non_exhaustive()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.door.is_closed.store(true, Ordering::Relaxed);
        // Ends the sleep in `accept`.
        let _ = rustix::net::shutdown(&self.door.listener, rustix::net::Shutdown::Both);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
        // Nobody is admitted any more.
        for client in core::mem::take(&mut *lock(&self.door.clients)) {
            let _ = client.stream.shutdown(Shutdown::Both);
            let _ = client.thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A little at a time is not enough.
    #[test]
    fn a_slow_reader_is_given_up() {
        let (server, mut client) = UnixStream::pair().expect("sockets");
        let reader = thread::spawn(move || {
            let mut piece = [0; 64];
            while client.read(&mut piece).is_ok_and(|len| len > 0) {
                thread::sleep(Duration::from_millis(1));
            }
        });
        // More than lies in between, and than it reads until then.
        let long = std::vec![0; 32 << 20];
        let mut out = UntilThen::after(Duration::from_millis(100), &server);
        let error = long.chunks(1 << 10).find_map(|piece| out.write_all(piece).err());
        let kind = error.map(|error| error.kind());
        assert!(matches!(kind, Some(ErrorKind::TimedOut | ErrorKind::WouldBlock)), "{kind:?}");
        let _ = server.shutdown(Shutdown::Both);
        reader.join().expect("no panic");
    }
}
