//! The host's side of the demo: feeds the recording to the board and checks what comes back.
//!
//! ```text
//!  feed (blocks) ──► board's first serial port
//!  read (blocks) ◄── board's second serial port
//!       │  pieces of the stream, each read straight into an arena, without a copy
//!       ▼
//!  PIECES ──► watch: frames, samples, beats; a live line; the closing report
//! ```
//!
//! The arena is as small as a firmware's, and tasks and pieces share it: when `watch` is slow, `read` waits for memory,
//! and in the end the board does. With `--serve`, `chanmon` can look at all of that while it happens.

use std::io::{self, Read, Write};
use std::net;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};
use std::{env, error, fs, thread};

use cloakroom::Arena;
use cloakroom::channel::{Buffered, Bytes};
use cloakroom::select::{Either, select};
use cloakroom::std_layer::report::{Registry, Serving, serve};
use cloakroom::std_layer::runtime::{Handle, Runtime, Shutdown};
use cloakroom::std_layer::{StdRawMutex as Lock, block_on};
use cloakroom_demo::{FrameReader, Input, Summary};

type Error = Box<dyn error::Error + Send + Sync>;

/// The whole budget, for the stream and the tasks: 16 KiB.
static ARENA: Arena<Lock, 64, 256, 32> = Arena::new();
/// Pieces of the stream on their way from the reader.
static PIECES: Bytes<'static, Lock, Buffered<8>> = Bytes::new();

/// The longest piece.
const PIECE: usize = 1024;
/// A new live line this often.
const REFRESH: Duration = Duration::from_millis(500);
/// The board says something at least this often, or something is wrong.
const SILENCE: Duration = Duration::from_secs(20);
/// How long the board may take to start.
const START: Duration = Duration::from_secs(20);
/// The firmware's channels, by the numbers they have in its status frames.
const CHANNELS: &[&str] = &["bytes in", "samples", "beats", "frames out"];

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("monitor: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Error> {
    let arguments = Arguments::parse()?;
    let recording = fs::read(&arguments.data)?;
    let sent = Input::of(&recording);

    // In this order: the emulator offers the second port when the first has its peer.
    let mut feed = connect(&arguments.feed)?;
    let mut frames = connect(&arguments.frames)?;
    // The board says when it listens: what comes before that is lost.
    frames.read_exact(&mut [0])?;

    frames.set_read_timeout(Some(SILENCE))?;
    let line = frames.try_clone()?;

    let arena = ARENA.handle();
    let threads = Runtime::builder().name("monitor").workers(1).blocking_threads(2);
    let runtime = threads.arena(arena).build()?;
    let registry = registry(&runtime);
    let socket = arguments.serve.as_ref();
    let _server = socket.map(|path| serve(&registry, path, Serving::default())).transpose()?;

    let start = Instant::now();
    let feeder = runtime.spawn_blocking(move || -> io::Result<UnixStream> {
        feed.write_all(&sent.samples.to_le_bytes())?;
        feed.write_all(&recording)?;
        // Kept open: the emulator forgets unread bytes when its peer hangs up.
        Ok(feed)
    })?;
    let reader = runtime.spawn_blocking(move || {
        let result = read_pieces(frames);
        PIECES.close();
        result
    })?;
    let watching = runtime.spawn(watch(runtime.handle())).map_err(|error| error.why.to_string())?;
    let summary = watching.join().map_err(|error| error.to_string())?;
    let seconds = start.elapsed().as_secs_f64();
    match summary.end() {
        // The stream's end is known by its content; whatever the threads meet afterwards is no error.
        Some(_) => drop((reader, feeder)),
        None => {
            reader.join().map_err(|error| error.to_string())??;
            feeder.join().map_err(|error| error.to_string())??;
        }
    }

    println!("\n\nreceived in      {seconds:.1} s");
    println!("{}", summary.report(CHANNELS));
    let (arena, pieces) = (ARENA.snapshot(), PIECES.snapshot());
    println!(
        "host: {} pieces of the stream through an arena of {} KiB, high-water {} of {} pages, {} waits for memory, {} dropped",
        pieces.received,
        arena.pages * arena.page_size / 1024,
        arena.high_water,
        arena.pages,
        arena.waited,
        pieces.dropped,
    );

    summary.check(&sent)?;
    let waits = summary.arena().map_or(0, |arena| arena.waits);
    if waits == 0 {
        return Err("the board never had to wait for memory: there was no pressure".into());
    }
    // The reader waits for more. There is none.
    line.shutdown(net::Shutdown::Both)?;
    let left = runtime.shutdown(Shutdown::Deadline(SILENCE));
    if left.payloads > 0 {
        return Err(format!("{} payloads were never given back", left.payloads).into());
    }
    println!("everything arrived");
    Ok(())
}

/// What can be looked at.
fn registry(runtime: &Runtime) -> Registry {
    let registry = Registry::new("ecg monitor");
    registry.channel("pieces", &PIECES).keep();
    registry.arena("memory", &ARENA).keep();
    registry.kernel("tasks", runtime.kernel()).keep();
    registry
}

/// Reads the stream into the arena, piece by piece, and sends the pieces on.
fn read_pieces(mut stream: UnixStream) -> Result<(), Error> {
    loop {
        let mut piece = block_on(ARENA.alloc(PIECE))?;
        let len = stream.read(&mut piece)?;
        if len == 0 {
            return Err("the board has hung up".into());
        }
        piece.set_len(len)?;
        if block_on(PIECES.send(piece)).is_err() {
            return Ok(()); // the main task has seen the end
        }
    }
}

/// Takes the stream apart until its end, and shows how it goes.
async fn watch(runtime: Handle) -> Summary {
    let mut frames = FrameReader::new();
    let mut summary = Summary::new();
    let mut due = Instant::now();
    while summary.end().is_none() {
        match select((PIECES.recv(), runtime.sleep_until(due))).await {
            Either::First(Ok(piece)) => frames.feed(&piece, |event| summary.observe(event)),
            Either::First(Err(_)) => break,
            Either::Second(()) => {}
        }
        if due <= Instant::now() {
            due = Instant::now() + REFRESH;
            show(&summary);
        }
    }
    PIECES.close();
    frames.end(|event| summary.observe(event));
    summary
}

/// The live line.
fn show(summary: &Summary) {
    print!("\r{}  ", summary.live());
    // A live line that cannot be shown is no reason to stop.
    let _ = io::stdout().flush();
}

/// Connects to a port of the board, which may take a moment to appear.
fn connect(path: &Path) -> Result<UnixStream, Error> {
    let start = Instant::now();
    loop {
        match UnixStream::connect(path) {
            Ok(stream) => return Ok(stream),
            Err(error) if start.elapsed() > START => {
                return Err(format!("{}: {error}", path.display()).into());
            }
            Err(_) => thread::sleep(Duration::from_millis(20)),
        }
    }
}

/// What the monitor is told: where the board's ports are, the recording, and where it can be looked at.
struct Arguments {
    feed: PathBuf,
    frames: PathBuf,
    data: PathBuf,
    serve: Option<PathBuf>,
}

impl Arguments {
    fn parse() -> Result<Self, Error> {
        const USAGE: &str =
            "usage: monitor --feed SOCKET --frames SOCKET --data FILE [--serve SOCKET]";
        let (mut feed, mut frames, mut data, mut serve) = (None, None, None, None);
        let mut arguments = env::args_os().skip(1);
        while let (Some(name), Some(value)) = (arguments.next(), arguments.next()) {
            let place = match name.to_str() {
                Some("--feed") => &mut feed,
                Some("--frames") => &mut frames,
                Some("--data") => &mut data,
                Some("--serve") => &mut serve,
                _ => return Err(USAGE.into()),
            };
            *place = Some(PathBuf::from(value));
        }
        match (feed, frames, data) {
            (Some(feed), Some(frames), Some(data)) => Ok(Self { feed, frames, data, serve }),
            _ => Err(USAGE.into()),
        }
    }
}
