//! Taking the terminal, and giving it back however this ends.

use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ratatui::DefaultTerminal;
use signal_hook::consts::{SIGHUP, SIGTERM};

use crate::trouble::{Result, Trouble};

/// Whether there is a terminal to take.
pub fn check() -> Result {
    if io::stdout().is_terminal() {
        return Ok(());
    }
    Err(Trouble::new("top needs a terminal").advise(
        "For a file or a pipe use: chanmon dump, chanmon json, or chanmon top --once 80x24",
    ))
}

/// Runs with the terminal, and a way to learn whether the program has been told to end. Gives the terminal back
/// when that returns, and when it panics.
pub fn with(run: impl FnOnce(&mut DefaultTerminal, &dyn Fn() -> bool) -> Result) -> Result {
    let ended = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGHUP] {
        let registered = signal_hook::flag::register(signal, ended.clone());
        registered.map_err(|error| Trouble::new(format!("no signal handler: {error}")))?;
    }
    // Also has panics give it back before they say what happened.
    let taken = ratatui::try_init();
    let mut terminal =
        taken.map_err(|error| Trouble::new(format!("cannot take the terminal: {error}")))?;
    let result = run(&mut terminal, &|| ended.load(Ordering::Relaxed));
    ratatui::restore();
    result
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use portable_pty::{CommandBuilder, PtySize, native_pty_system};

    /// Not a test: what the one below runs in a terminal of its own.
    #[test]
    #[ignore = "panics on purpose"]
    fn panics() {
        let _ = super::with(|terminal, _| {
            let _ = terminal.draw(|frame| frame.render_widget("the view", frame.area()));
            panic!("on purpose");
        });
    }

    #[test]
    fn a_panic_gives_the_terminal_back() {
        let pair = native_pty_system().openpty(PtySize::default()).expect("a terminal");
        let mut command = CommandBuilder::new(std::env::current_exe().expect("this program"));
        command.args(["--exact", "top::terminal::tests::panics", "--ignored", "--nocapture"]);
        command.env("RUST_BACKTRACE", "0");
        let mut child = pair.slave.spawn_command(command).expect("runs");
        drop(pair.slave);
        let mut screen = vt100::Parser::new(24, 80, 100);
        let mut reader = pair.master.try_clone_reader().expect("a reader");
        let mut bytes = [0; 4096];
        let mut taken = false;
        // A pseudo-terminal ends with an error when its other side is closed.
        while let Ok(len @ 1..) = reader.read(&mut bytes) {
            for byte in &bytes[..len] {
                screen.process(&[*byte]);
                taken |= screen.screen().alternate_screen();
            }
        }
        assert!(!child.wait().expect("ends").success());
        assert!(taken, "it never took the terminal");
        assert!(!screen.screen().alternate_screen(), "it kept the terminal");
        assert!(
            screen.screen().contents().contains("on purpose"),
            "{}",
            screen.screen().contents()
        );
    }
}
