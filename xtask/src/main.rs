//! `cargo xtask`: everything in this repository that takes more than one plain cargo command.
//!
//! It needs nothing but the standard library, so that it is built in a moment on a fresh machine, and it
//! installs what the rest needs.

mod as_seen;
mod bench;
mod board;
mod demo;
mod echo;
mod elf;
mod kill;
mod mcu;
mod model;
mod process;
mod qemu;
#[path = "../../tests/common/random.rs"]
mod random;
mod reports;
mod sanitize;
mod soak;
mod socket;
mod steps;
mod sweep;
mod toolchain;

use std::env;
use std::process::ExitCode;

use board::Board;

/// What went wrong, in words for the reader of the terminal.
type Result<T = ()> = std::result::Result<T, String>;

const USAGE: &str = "\
usage: cargo xtask COMMAND

    setup              install what building and running firmware takes, and what the tests do
    test [WORD]        check, test and run everything, or the steps with WORD in their name
    model              all models under the model checkers, at length (most of an hour)
    soak               tests of length: ten million messages, a billion bytes, idleness, storms (minutes)
    kill [NUMBER]      SIGKILL for a process that writes to the log, at random moments (so often at each level, 1000 unless
                       told) and at each of its calls, and what is found then (ten minutes)
    sanitize           tests with threads under ThreadSanitizer and AddressSanitizer (minutes)
    demo [--watch]     the ECG demonstration: firmware under QEMU, a server process on the host,
                       which `chanmon top` shows from inside if it is to be watched
    qemu BOARD [BIN]   build a board's firmware (`suite_channels` unless told) and run it under QEMU
    sweep              an interrupt at every instruction, checked against a trace
    bench host [WORD ...] [--quick] [--compare[=RESULTS.json]] [--publish]
                       this crate's channels and those of others side by side: all workloads, or those with
                       WORD in their name (some ten minutes; quick: one); see BENCHMARKS.md
    bench instructions [--beside]
                       instructions of single paths on the host, counted by callgrind; --beside: built without and with the
                       features that these paths do not use (spilling, the journal), which must be alike
    bench mcu [--own] [--spill] [thumbv6m | thumbv7m | thumbv8m] [--bless]
                       what operations and programs cost on microcontrollers, this library's and others';
                       --own: only what `test` compares with boards/figures.toml; --spill: with the feature `spill`, which is
                       to cost the others nothing; --bless: writes that file

Firmware is built by the first toolchain that will do. CLOAKROOM_FIRMWARE_TOOLCHAIN forces one:
    plain    this cargo, if its compiler has the targets' core library
    debian   Debian's packaged compiler, building the core library from source
    rustup   this cargo, after `rustup target add`
";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match obey(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

/// Runs a command. `false` means it failed and has said so already.
fn obey(arguments: &[&str]) -> Result<bool> {
    match arguments {
        ["setup"] => set_up()?,
        ["test"] => return Ok(steps::run_all("")),
        ["test", word] => return Ok(steps::run_all(word)),
        ["model"] => return model::run_all(),
        ["soak"] => soak::run_all()?,
        ["kill"] => kill::run(&kill::Amount::full(1000))?,
        ["kill", number] => {
            let number = number.parse().map_err(|error| format!("{number}: {error}"))?;
            kill::run(&kill::Amount::full(number))?;
        }
        ["sanitize"] => sanitize::run_all()?,
        ["demo"] => demo::run()?,
        ["demo", "--watch"] => demo::run_watched()?,
        ["qemu", board] => show(board, "suite_channels")?,
        ["qemu", board, binary] => show(board, binary)?,
        ["sweep"] => sweep::run()?,
        ["bench", "host", rest @ ..] => bench::host(rest)?,
        ["bench", "instructions"] => bench::instructions()?,
        ["bench", "instructions", "--beside"] => bench::instructions_beside_features()?,
        ["bench", "mcu", options @ ..] => mcu::run(options)?,
        ["help" | "--help" | "-h"] => print!("{USAGE}"),
        _ => return Err(format!("not a command: {arguments:?}\n\n{USAGE}")),
    }
    Ok(true)
}

/// Installs a toolchain for every board, QEMU, and tmux.
fn set_up() -> Result {
    for board in Board::ALL {
        let toolchain = toolchain::for_target(board.target)?;
        println!("{}: {}", board.target, toolchain.description());
    }
    toolchain::install_qemu()?;
    toolchain::install_tmux()
}

fn show(board: &str, binary: &str) -> Result {
    let board = Board::named(board)?;
    let program = board.build(binary)?;
    qemu::Run::of(board, &program).for_binary(binary).judged()
}
