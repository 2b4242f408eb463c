//! A line server under tokio: whoever connects to the first port sends lines, whoever connects to the second gets
//! them. All lines share one arena. When those who get them are too slow, the arena fills up, and the server stops
//! reading from those who send: TCP slows them down. Nothing is lost and memory does not grow.
//!
//! ```text
//! cargo run --features std --example tokio_line_server
//! yes "a line" | nc localhost 7070 &   nc localhost 7071 | pv -L 10k > /dev/null
//! ```

use std::io;
use std::net::SocketAddr;

use cloakroom::ArenaRef;
use cloakroom::channel::{Buffered, Bytes};
use cloakroom::std_layer::{MappedArena, StdRawMutex as Lock};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

type Lines = Bytes<'static, Lock, Buffered<1024>>;

/// The longest line that is taken. Without a limit one client could take the whole arena for one line.
const LONGEST: u64 = 4096;

/// Lines from one client, until it goes or sends one that is too long.
async fn take(client: TcpStream, lines: &Lines, arena: ArenaRef<'static, Lock>) -> io::Result<()> {
    let mut reader = BufReader::new(client);
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = (&mut reader).take(LONGEST).read_until(b'\n', &mut line).await?;
        if read == 0 || !line.ends_with(b"\n") {
            return Ok(());
        }
        // Waits for memory and for room; meanwhile nothing is read from this client.
        if lines.send_bytes(arena, &line).await.is_err() {
            return Ok(());
        }
    }
}

/// Lines to one client, until it goes: then the line that it was about to get is the next one's.
async fn give(mut client: TcpStream, lines: &Lines) -> io::Result<()> {
    while let Ok(line) = lines.recv().await {
        // Straight out of the arena.
        if let Err(error) = client.write_all(&line).await {
            if let Ok(parcel) = line.into_parcel() {
                let _ = lines.send_parcel(parcel).await;
            }
            return Err(error);
        }
    }
    Ok(())
}

/// Serves both ports for ever.
async fn serve(
    senders: TcpListener,
    receivers: TcpListener,
    lines: &'static Lines,
    arena: ArenaRef<'static, Lock>,
) -> io::Result<()> {
    loop {
        tokio::select! {
            client = senders.accept() => {
                let (client, _) = client?;
                tokio::spawn(take(client, lines, arena));
            }
            client = receivers.accept() => {
                let (client, _) = client?;
                tokio::spawn(give(client, lines));
            }
        }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    static LINES: Lines = Lines::new();
    let arena = MappedArena::<Lock>::new(16 << 20, 256, 1 << 16)?.leak();
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let port = |number| TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], number)));
        serve(port(7070).await?, port(7071).await?, &LINES, arena).await
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
    use std::time::Duration;

    use super::*;

    const LINES: usize = 40_000;

    /// A megabyte through an arena of 64 KiB, to a consumer that stops until the sender is stuck.
    #[test]
    fn a_slow_consumer_slows_the_sender_down_and_gets_every_line() {
        static QUEUE: Lines = Lines::new();
        let arena = MappedArena::<Lock>::new(64 << 10, 64, 1024).unwrap().leak();
        let tokio = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        tokio.block_on(async {
            let listen = async || TcpListener::bind("127.0.0.1:0").await.unwrap();
            let (senders, receivers) = (listen().await, listen().await);
            let (to, from) = (senders.local_addr().unwrap(), receivers.local_addr().unwrap());
            tokio::spawn(serve(senders, receivers, &QUEUE, arena));

            let written = Arc::new(AtomicUsize::new(0));
            let progress = written.clone();
            let sender = tokio::spawn(async move {
                let mut server = TcpStream::connect(to).await.unwrap();
                for number in 0..LINES {
                    let line = format!("{number:200}\n");
                    server.write_all(line.as_bytes()).await.unwrap();
                    progress.fetch_add(1, SeqCst);
                }
            });
            // Until nothing moves any more: the arena is full, and then all buffers in between.
            let mut before = usize::MAX;
            while before != written.load(SeqCst) {
                before = written.load(SeqCst);
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            assert!(before < LINES, "the sender was never stuck");
            assert!(arena.snapshot().waiting > 0, "nobody waits for memory");

            let mut lines = BufReader::new(TcpStream::connect(from).await.unwrap()).lines();
            for number in 0..LINES {
                let line = lines.next_line().await.unwrap().expect("another line");
                assert_eq!(line.trim().parse(), Ok(number));
            }
            sender.await.unwrap();
        });
    }
}
