//! A log pipeline on the crate's own runtime: one stage reads a file, one keeps the lines that contain a word, one
//! compresses them into another file. Lines travel through an arena of a fixed size without being copied again; a
//! slow disk at the end slows the reader at the beginning down.
//!
//! ```text
//! cargo run --features std --example log_pipeline -- /var/log/syslog error errors.gz
//! ```

use std::error::Error;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::Path;

use cloakroom::channel::{Buffered, Bytes};
use cloakroom::std_layer::StdRawMutex as Lock;
use cloakroom::std_layer::runtime::{Handle, Runtime, Shutdown};
use flate2::Compression;
use flate2::write::GzEncoder;

type Lines = Bytes<'static, Lock, Buffered<256>>;

/// Reads lines, on a thread that may block.
fn read(file: File, lines: &Lines, runtime: Handle) -> io::Result<u64> {
    let mut count = 0;
    for line in BufReader::new(file).split(b'\n') {
        let line = line?;
        // Waits for memory and for room. A line longer than the whole arena is an error, as is a closed channel.
        let sent = runtime.block_on(lines.send_bytes(runtime.arena(), &line));
        sent.map_err(|error| io::Error::other(error.to_string()))?;
        count += 1;
    }
    lines.close();
    Ok(count)
}

/// Passes lines on that contain `word`. No byte of them is copied.
async fn keep(word: Vec<u8>, from: &Lines, to: &Lines) -> u64 {
    let mut count = 0;
    while let Ok(line) = from.recv().await {
        if !line.windows(word.len().max(1)).any(|part| part == word) && !word.is_empty() {
            continue;
        }
        let Ok(parcel) = line.into_parcel() else { continue };
        if to.send_parcel(parcel).await.is_err() {
            break;
        }
        count += 1;
    }
    to.close();
    count
}

/// Compresses lines, on a thread that may block.
fn compress(lines: &Lines, file: File, runtime: Handle) -> io::Result<()> {
    let mut output = GzEncoder::new(BufWriter::new(file), Compression::default());
    while let Ok(line) = runtime.block_on(lines.recv()) {
        output.write_all(&line)?;
        output.write_all(b"\n")?;
    }
    output.finish()?.flush()
}

/// How many lines were read, and how many of them kept.
fn run(input: &Path, word: &str, output: &Path) -> Result<(u64, u64), Box<dyn Error>> {
    let (source, target) = (File::open(input)?, File::create(output)?);
    let runtime = Runtime::builder()
        .name("logs")
        .workers(2)
        .arena_sizes(1 << 20, 64, 8192) // a megabyte for everything
        .build()?;
    let handle = runtime.handle();
    // Channels of `'static` life: what each stage holds keeps them.
    let (all, kept): (&Lines, &Lines) = (Box::leak(Box::default()), Box::leak(Box::default()));

    let reader = runtime.spawn_blocking(move || read(source, all, handle))?;
    let keeper = runtime.spawn(keep(word.as_bytes().to_vec(), all, kept))?;
    let writer = runtime.spawn_blocking(move || compress(kept, target, handle))?;

    let read = reader.join()?;
    // However the reader ended, the others come to their end.
    all.close();
    let count = keeper.join()?;
    writer.join()??;
    runtime.shutdown(Shutdown::Drain);
    Ok((read?, count))
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [input, word, output] = &arguments[..] else {
        return Err("usage: log_pipeline INPUT WORD OUTPUT.gz".into());
    };
    let (read, kept) = run(Path::new(input), word, Path::new(output))?;
    println!("{read} lines read, {kept} kept");
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    /// Ten megabytes through one, and a real file.
    #[test]
    fn what_is_kept_comes_out_in_order() {
        let directory = std::env::temp_dir().join(format!("log-pipeline-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let (input, output) = (directory.join("in.log"), directory.join("out.gz"));
        let line =
            |number: u32| format!("{number} {} {:90}", ["info", "error"][number as usize % 2], "");
        let lines: Vec<String> = (0..100_000).map(line).collect();
        std::fs::write(&input, lines.join("\n")).unwrap();
        assert_eq!(run(&input, "error", &output).unwrap(), (100_000, 50_000));
        let expected: Vec<_> = lines.iter().filter(|line| line.contains("error")).collect();
        assert!(unpack(&output).lines().eq(expected));

        let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
        let text = std::fs::read_to_string(&readme).unwrap();
        let count = text.lines().count() as u64;
        assert_eq!(run(&readme, "", &output).unwrap(), (count, count));
        assert_eq!(unpack(&output), text);
        std::fs::remove_dir_all(directory).unwrap();
    }

    fn unpack(path: &Path) -> String {
        let mut text = String::new();
        let file = File::open(path).unwrap();
        flate2::read::GzDecoder::new(file).read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn a_line_that_no_arena_holds_is_an_error() {
        let directory =
            std::env::temp_dir().join(format!("log-pipeline-long-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let (input, output) = (directory.join("in.log"), directory.join("out.gz"));
        std::fs::write(&input, [b"short\n".as_slice(), &vec![b'x'; 2 << 20]].concat()).unwrap();
        assert!(run(&input, "", &output).is_err());
        assert_eq!(unpack(&output), "short\n");
        std::fs::remove_dir_all(directory).unwrap();
    }
}
