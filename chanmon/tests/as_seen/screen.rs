//! A terminal with a program in it.

use std::ffi::OsStr;
use std::io::{Read, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

use crate::{CHANMON, PATIENCE};

pub struct Screen {
    child: Box<dyn Child + Send + Sync>,
    master: Box<dyn MasterPty + Send>,
    keys: Box<dyn Write + Send>,
    bytes: Receiver<Vec<u8>>,
    terminal: vt100::Parser,
}

impl Screen {
    /// Runs chanmon with these arguments in a terminal of 80 × 24.
    pub fn of(arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        let mut command = CommandBuilder::new(CHANMON);
        command.args(arguments);
        Self::run(command)
    }

    pub fn run(mut command: CommandBuilder) -> Self {
        command.env("TERM", "xterm-256color");
        let pair = native_pty_system().openpty(size(80, 24)).expect("a terminal");
        let child = pair.slave.spawn_command(command).expect("runs");
        drop(pair.slave);
        let mut reader = pair.master.try_clone_reader().expect("a reader");
        let keys = pair.master.take_writer().expect("a writer");
        let (sender, bytes) = channel();
        thread::spawn(move || {
            let mut buffer = [0; 8192];
            // A terminal ends with an error when nobody is left in it.
            while let Ok(len @ 1..) = reader.read(&mut buffer) {
                if sender.send(buffer[..len].to_vec()).is_err() {
                    return;
                }
            }
        });
        let terminal = vt100::Parser::new(24, 80, 0);
        Self { child, master: pair.master, keys, bytes, terminal }
    }

    pub fn text(&self) -> String {
        self.terminal.screen().contents()
    }

    /// Waits until the screen is as it should be, and returns its text.
    #[track_caller]
    pub fn wait(&mut self, what: &str, is_so: impl Fn(&str) -> bool) -> String {
        let end = Instant::now() + PATIENCE;
        loop {
            let text = self.text();
            if is_so(&text) {
                return text;
            }
            let more = self.bytes.recv_timeout(end.saturating_duration_since(Instant::now()));
            match more {
                Ok(bytes) => self.terminal.process(&bytes),
                Err(RecvTimeoutError::Timeout) => panic!("not seen: {what}. There is:\n{text}"),
                Err(RecvTimeoutError::Disconnected) => panic!("ended without {what}:\n{text}"),
            }
        }
    }

    /// Waits until all of these are on the screen.
    #[track_caller]
    pub fn shows(&mut self, wanted: &[&str]) -> String {
        self.wait(&format!("{wanted:?}"), |text| wanted.iter().all(|wanted| text.contains(wanted)))
    }

    /// Waits until this is not on the screen.
    #[track_caller]
    pub fn hides(&mut self, unwanted: &str) -> String {
        self.wait(&format!("no {unwanted:?}"), |text| !text.contains(unwanted))
    }

    pub fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).expect("it listens");
    }

    /// Takes what is there for a moment. Nothing depends on how much that is.
    pub fn glance(&mut self) {
        for _ in 0..10 {
            let Ok(bytes) = self.bytes.recv_timeout(Duration::from_millis(200)) else { return };
            self.terminal.process(&bytes);
        }
    }

    pub fn resize(&mut self, width: u16, height: u16) {
        // The terminal that is emulated here has trouble of its own below that.
        self.terminal.set_size(height.max(24), width.max(80));
        self.master.resize(size(width, height)).expect("a terminal");
    }

    pub fn process_id(&self) -> u32 {
        self.child.process_id().expect("it runs")
    }

    /// Waits for its end, and returns its exit status and what is left on the screen. The terminal must have
    /// been given back.
    #[track_caller]
    pub fn end(mut self) -> (u32, String) {
        let end = Instant::now() + PATIENCE;
        loop {
            match self.bytes.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(bytes) => self.terminal.process(&bytes),
                Err(RecvTimeoutError::Timeout) => panic!("it does not end:\n{}", self.text()),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        let screen = self.terminal.screen();
        assert!(
            !screen.alternate_screen() && !screen.hide_cursor(),
            "the terminal was not given back"
        );
        (self.child.wait().expect("it ends").exit_code(), self.text())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = self.child.kill();
    }
}

fn size(width: u16, height: u16) -> PtySize {
    PtySize { rows: height, cols: width, pixel_width: 0, pixel_height: 0 }
}
