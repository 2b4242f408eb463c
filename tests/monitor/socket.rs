//! The server: requests, actions, and who may ask.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use cloakroom::channel::{Buffered, Channel};
use cloakroom::report::{Action, Decoder, MAX_FRAME, Name, Outcome, Record, Request, encode};
use cloakroom::std_layer::report::{
    Assembler, Registered, Registry, Report, ServeError, Serving, serve,
};

use crate::{Hall, Lock};

/// A place for a socket that nobody else has.
fn place() -> PathBuf {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    std::env::temp_dir().join(format!("cloakroom-{}-{number}", std::process::id()))
}

/// A process with a channel and an arena.
struct Process {
    line: Arc<Channel<Lock, u32, Buffered<4>>>,
    hall: Arc<Hall>,
    registry: Registry,
    _registered: [Registered; 2],
}

impl Process {
    fn new() -> Self {
        let (line, hall) =
            (Arc::<Channel<Lock, u32, Buffered<4>>>::default(), Arc::new(Hall::new()));
        let registry = Registry::new("served");
        let _registered = [
            registry.drainable("line", Arc::downgrade(&line)),
            registry.arena("hall", Arc::downgrade(&hall)),
        ];
        Self { line, hall, registry, _registered }
    }
}

struct Client {
    stream: UnixStream,
    decoder: Decoder<Record>,
}

impl Client {
    fn at(path: &Path) -> Self {
        let stream = UnixStream::connect(path).expect("a server");
        Self { stream, decoder: Decoder::new() }
    }

    fn ask(&mut self, request: Request) {
        let mut buffer = [0; MAX_FRAME];
        let frame = encode(&request, &mut buffer).expect("room");
        self.stream.write_all(frame).expect("it is connected");
    }

    /// The next record, or `None` when the server has cut it off.
    fn next(&mut self) -> Option<Record> {
        loop {
            let mut byte = [0];
            if !self.stream.read(&mut byte).is_ok_and(|len| len == 1) {
                return None;
            }
            if let Some(record) = self.decoder.push(byte[0]) {
                return Some(record.expect("an intact frame"));
            }
        }
    }

    fn report(&mut self) -> Report {
        let mut assembler = Assembler::new();
        loop {
            let record = self.next().expect("a record");
            if let Some(report) = assembler.push(record).expect("a short one") {
                assert_eq!(assembler.dropped(), 0);
                return report;
            }
        }
    }

    fn act(&mut self, target: &str, action: Action) -> Outcome {
        self.ask(Request::Act { target: Name::new(target), action });
        match self.next() {
            Some(Record::Outcome(outcome)) => outcome,
            other => panic!("{other:?} is no outcome"),
        }
    }
}

#[test]
fn reports_come_when_they_are_asked_for() {
    let process = Process::new();
    let server = serve(&process.registry, place(), Serving::default()).expect("a server");
    let (mut one, mut other) = (Client::at(server.path()), Client::at(server.path()));
    process.line.try_send(1).expect("room");
    one.ask(Request::Report);
    assert_eq!(one.report().channel("line").map(|line| line.sent), Some(1));
    let payload = process.hall.try_alloc(10).expect("memory");
    other.ask(Request::Dump);
    let is_ticket =
        |record: &Record| matches!(record, Record::Ticket(ticket) if ticket.dump.len == 10);
    assert!(other.report().records.iter().any(is_ticket));
    drop(payload);
    // Several requests in one piece, and one in several.
    let mut bytes = Vec::new();
    for _ in 0..3 {
        bytes.extend_from_slice(encode(&Request::Report, &mut [0; MAX_FRAME]).expect("room"));
    }
    one.stream.write_all(&bytes[..5]).expect("it is connected");
    one.stream.write_all(&bytes[5..]).expect("it is connected");
    let sequences = [(); 3].map(|()| one.report().begin.sequence);
    assert_eq!(sequences, [2, 3, 4]);
}

#[test]
fn a_stream_comes_until_something_else_is_asked_for() {
    let process = Process::new();
    let server = serve(&process.registry, place(), Serving::default()).expect("a server");
    let mut client = Client::at(server.path());
    client.ask(Request::Stream { interval_ms: 1 });
    let first = client.report().begin.sequence;
    for sequence in first + 1..first + 6 {
        assert_eq!(client.report().begin.sequence, sequence);
    }
    // It ends: after the outcome nothing comes that was not asked for.
    client.ask(Request::Act { target: Name::new("line"), action: Action::Close });
    while !matches!(client.next(), Some(Record::Outcome(Outcome::Forbidden))) {}
    let last = process.registry.collect().begin.sequence;
    client.ask(Request::Report);
    assert_eq!(client.report().begin.sequence, last + 1);
}

#[test]
fn actions_are_for_those_who_are_allowed_them() {
    let process = Process::new();
    process.line.try_send_many([1, 2]).expect("room");
    {
        let server = serve(&process.registry, place(), Serving::default()).expect("a server");
        let mut client = Client::at(server.path());
        assert_eq!(client.act("line", Action::Drain), Outcome::Forbidden);
        assert_eq!(client.act("line", Action::Close), Outcome::Forbidden);
    }
    assert_eq!((process.line.len(), process.line.is_closed()), (2, false));
    let server = serve(&process.registry, place(), Serving { actions: true }).expect("a server");
    let mut client = Client::at(server.path());
    assert_eq!(client.act("line", Action::Drain), Outcome::Done(2));
    assert_eq!(client.act("line", Action::Close), Outcome::Done(1));
    assert_eq!(client.act("line", Action::Compact), Outcome::Unsuited);
    assert_eq!(client.act("hall", Action::Compact), Outcome::Done(0));
    assert_eq!(client.act("nobody", Action::Close), Outcome::Unknown);
    assert_eq!((process.line.len(), process.line.is_closed()), (0, true));
}

#[test]
fn rubbish_is_answered_and_survived() {
    let process = Process::new();
    let server = serve(&process.registry, place(), Serving::default()).expect("a server");
    let mut client = Client::at(server.path());
    client.stream.write_all(b"GET / HTTP/1.1\r\n\r\n\0").expect("it is connected");
    assert_eq!(client.next(), Some(Record::Outcome(Outcome::Unreadable)));
    // A record is no request.
    let mut buffer = [0; MAX_FRAME];
    let frame = encode(&Record::Outcome(Outcome::Done(1 << 40)), &mut buffer).expect("room");
    client.stream.write_all(frame).expect("it is connected");
    assert_eq!(client.next(), Some(Record::Outcome(Outcome::Unreadable)));
    client.stream.write_all(&vec![1; 100 * MAX_FRAME]).expect("it is connected");
    client.stream.write_all(&[0]).expect("it is connected");
    assert_eq!(client.next(), Some(Record::Outcome(Outcome::Unreadable)));
    client.ask(Request::Report);
    assert_eq!(&*client.report().begin.source, "served");
}

#[test]
fn the_file_is_its_owners_and_goes_with_the_server() {
    let process = Process::new();
    let path = place();
    let server = serve(&process.registry, &path, Serving::default()).expect("a server");
    let mode = fs::metadata(&path).expect("the socket").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // Another server finds it in use.
    let again = serve(&process.registry, &path, Serving::default());
    assert!(matches!(again, Err(ServeError::InUse)), "{again:?}");
    let mut client = Client::at(&path);
    client.ask(Request::Stream { interval_ms: u32::MAX });
    client.report();
    drop(server);
    // Whoever is connected is cut off, and nothing is left behind.
    assert_eq!(client.next(), None);
    assert!(!path.exists());
    let left: Vec<_> = fs::read_dir(path.parent().expect("a directory"))
        .expect("readable")
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| {
            name.starts_with(path.file_name().and_then(|name| name.to_str()).expect("text"))
        })
        .filter(|name| name.contains('.'))
        .collect();
    assert_eq!(left, [""; 0]);
}

#[test]
fn what_is_at_its_place_is_respected() {
    let process = Process::new();
    let path = place();
    // A file of somebody's stays.
    fs::write(&path, "precious").expect("a file");
    let refused = serve(&process.registry, &path, Serving::default());
    assert!(matches!(refused, Err(ServeError::Occupied)), "{refused:?}");
    assert_eq!(fs::read(&path).expect("a file"), b"precious");
    fs::remove_file(&path).expect("a file");
    // A socket that nobody listens to is replaced.
    drop(UnixListener::bind(&path).expect("a socket"));
    assert!(path.exists());
    let server = serve(&process.registry, &path, Serving::default()).expect("a server");
    let mut client = Client::at(server.path());
    client.ask(Request::Report);
    assert_eq!(&*client.report().begin.source, "served");
    drop(server);
    // A directory that does not exist.
    let nowhere = serve(&process.registry, path.join("below"), Serving::default());
    assert!(matches!(nowhere, Err(ServeError::Os(_))), "{nowhere:?}");
}

/// Somebody else is turned away even if the file lets them in.
#[test]
fn another_user_is_turned_away() {
    use rustix::process::Uid;

    if !rustix::process::geteuid().is_root() {
        println!("not shown: only root can be somebody else");
        return;
    }
    let process = Process::new();
    let server = serve(&process.registry, place(), Serving { actions: true }).expect("a server");
    let path = server.path().to_path_buf();
    let stranger = |mode| {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("the socket");
        let path = path.clone();
        // The identity of this one thread changes.
        let thread = thread::spawn(move || {
            let nobody = Uid::from_raw(65_534);
            rustix::thread::set_thread_res_uid(nobody, nobody, nobody).expect("root may");
            let mut stream = UnixStream::connect(path).ok()?;
            let mut buffer = [0; MAX_FRAME];
            let frame = encode(&Request::Report, &mut buffer).expect("room");
            let _ = stream.write_all(frame);
            // A server that answers all the same ends then.
            let _ = stream.shutdown(std::net::Shutdown::Write);
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer);
            Some(answer)
        });
        thread.join().expect("no panic")
    };
    assert_eq!(stranger(0o600), None, "the file alone keeps others out");
    assert_eq!(stranger(0o666), Some(Vec::new()), "no byte for others");
    let mut client = Client::at(server.path());
    client.ask(Request::Report);
    assert_eq!(&*client.report().begin.source, "served");
}

/// A value whose destructor panics.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panic!("bomb");
        }
    }
}

#[test]
fn a_drain_that_panics_ends_the_connection() {
    let line: Arc<Channel<Lock, Bomb, Buffered<4>>> = Arc::default();
    let registry = Registry::new("served");
    let _registered = registry.drainable("line", Arc::downgrade(&line));
    let server = serve(&registry, place(), Serving { actions: true }).expect("a server");
    assert!(line.try_send(Bomb).is_ok());
    let mut client = Client::at(server.path());
    client.stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a limit");
    client.ask(Request::Act { target: Name::new("line"), action: Action::Drain });
    assert!(matches!(client.stream.read(&mut [0]), Ok(0)), "it is cut off, and need not wait");
    // Others are served.
    Client::at(server.path()).ask(Request::Report);
}

#[test]
fn a_server_removes_no_file_but_its_own() {
    let process = Process::new();
    let path = place();
    let first = serve(&process.registry, &path, Serving::default()).expect("a server");
    fs::remove_file(&path).expect("its file");
    fs::remove_file(lock_of(&path)).expect("its lock");
    let _second = serve(&process.registry, &path, Serving::default()).expect("another server");
    drop(first);
    assert!(UnixStream::connect(&path).is_ok());
    assert!(lock_of(&path).exists());
}

/// The file that a server locks.
fn lock_of(path: &Path) -> PathBuf {
    path.with_extension("lock")
}

/// One of those who come at once has it, whatever an earlier one has left behind.
#[test]
fn of_servers_that_come_at_once_one_stays() {
    let process = Process::new();
    let path = place();
    for round in 0..50 {
        if round % 2 == 0 {
            drop(UnixListener::bind(&path).expect("a socket"));
        }
        if round % 3 == 0 {
            fs::write(lock_of(&path), "").expect("a file");
        }
        let start = Barrier::new(4);
        let come = || {
            start.wait();
            serve(&process.registry, &path, Serving::default())
        };
        let results: Vec<_> = thread::scope(|scope| {
            [(); 4].map(|()| scope.spawn(come)).into_iter().map(|it| it.join().unwrap()).collect()
        });
        let (servers, refused): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
        assert_eq!(servers.len(), 1, "{refused:?}");
        assert!(refused.iter().all(|it| matches!(it, Err(ServeError::InUse))), "{refused:?}");
        Client::at(&path).ask(Request::Report);
    }
    assert!(!path.exists() && !lock_of(&path).exists());
}

/// A file that is locked is a server's, though nobody answers yet.
#[test]
fn a_server_that_begins_has_its_place() {
    let process = Process::new();
    let path = place();
    let begun = fs::File::create(lock_of(&path)).expect("a file");
    rustix::fs::flock(&begun, rustix::fs::FlockOperation::LockExclusive).expect("a lock");
    let refused = serve(&process.registry, &path, Serving::default());
    assert!(matches!(refused, Err(ServeError::InUse)), "{refused:?}");
    // The process is killed.
    drop(begun);
    assert!(serve(&process.registry, &path, Serving::default()).is_ok());
}

#[test]
fn whoever_is_quiet_makes_room() {
    let process = Process::new();
    let server = serve(&process.registry, place(), Serving::default()).expect("a server");
    let mut clients: Vec<_> = (0..16).map(|_| Client::at(server.path())).collect();
    for client in clients.iter_mut().rev() {
        client.ask(Request::Report);
        client.report();
    }
    clients[15].ask(Request::Report);
    clients[15].report();
    // The one before the last was first.
    let mut newcomer = Client::at(server.path());
    newcomer.ask(Request::Report);
    newcomer.report();
    assert_eq!(clients.remove(14).next(), None);
    // All others are still there.
    for client in &mut clients {
        client.ask(Request::Report);
        client.report();
    }
    // However many there are.
    let newcomers: Vec<_> = (0..100)
        .map(|_| {
            let mut newcomer = Client::at(server.path());
            newcomer.ask(Request::Report);
            newcomer.report();
            newcomer
        })
        .collect();
    assert_eq!(newcomers.len(), 100);
}
