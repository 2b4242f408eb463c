//! `chanmon top` in a terminal of somebody else's making: tmux, driven from outside.
//!
//! `cargo xtask test` installs tmux, and says so in a variable: then it must be there. Without that, these tests are
//! skipped where it is missing.

use std::env;
use std::io::ErrorKind;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::busy::Busy;
use crate::{CHANMON, PATIENCE, cells};

/// Set by `cargo xtask test`.
const REQUIRED: &str = "CLOAKROOM_TMUX_REQUIRED";
const MISSING: &str =
    "tmux is not installed: `apt-get install tmux`, or `cargo xtask setup` as root on Debian";

/// A tmux server with one session, in which chanmon runs.
struct Multiplexer {
    folder: TempDir,
}

impl Multiplexer {
    /// Looks at a process, often. `None` where there is no tmux, and none is required.
    fn watching(busy: &Busy) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        let tmux = Self { folder };
        let version = tmux.command().arg("-V").stdout(Stdio::null()).status();
        match version {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                assert!(env::var_os(REQUIRED).is_none(), "{MISSING}");
                eprintln!("skipped: {MISSING}");
                return None;
            }
            version => assert!(version.expect("tmux runs").success()),
        }
        // In a shell that stays, so that its end can be seen.
        const STAYS: &str = r#""$0" "$@"; echo "ended with $?"; cat"#;
        let mut command = tmux.command();
        command.args(["new-session", "-d", "-x", "100", "-y", "30", "sh", "-c", STAYS]);
        command.args([CHANMON, "top"]).arg(busy.socket());
        command.args(["--interval", "0.1", "--stall", "0.5"]);
        succeeded(command.output());
        Some(tmux)
    }

    /// A tmux of its own, whatever else runs here.
    fn command(&self) -> Command {
        let mut command = Command::new("tmux");
        command.env_remove("TMUX").env("TERM", "xterm-256color");
        // UTF-8, whatever the locale says.
        command.args(["-u", "-f", "/dev/null"]);
        command.arg("-S").arg(self.folder.path().join("tmux"));
        command
    }

    fn says(&self, arguments: &[&str]) -> String {
        succeeded(self.command().args(arguments).output())
    }

    fn text(&self) -> String {
        self.says(&["capture-pane", "-p"])
    }

    fn press(&self, keys: &[&str]) {
        self.says(&[&["send-keys"], keys].concat());
    }

    /// Waits until what is seen is as it should be, and returns it.
    #[track_caller]
    fn wait(&self, what: &str, is_so: impl Fn(&str) -> bool) -> String {
        let end = Instant::now() + PATIENCE;
        loop {
            let text = self.text();
            if is_so(&text) {
                return text;
            }
            assert!(Instant::now() < end, "not seen: {what}. There is:\n{text}");
            thread::sleep(Duration::from_millis(50));
        }
    }

    #[track_caller]
    fn shows(&self, wanted: &[&str]) -> String {
        self.wait(&format!("{wanted:?}"), |text| wanted.iter().all(|wanted| text.contains(wanted)))
    }

    /// Waits for chanmon's end with this status, and returns what it has left behind. The terminal must have been given
    /// back.
    #[track_caller]
    fn ends(self, status: u8) -> String {
        let text = self.shows(&["ended with "]);
        assert!(text.contains(&format!("ended with {status}\n")), "{text}");
        let state = self.says(&["display-message", "-p", "#{alternate_on} #{cursor_flag}"]);
        assert_eq!(state.trim(), "0 1", "the terminal was not given back");
        text
    }
}

impl Drop for Multiplexer {
    fn drop(&mut self) {
        // It may never have come up.
        let _ = self.command().arg("kill-server").stderr(Stdio::null()).status();
    }
}

#[track_caller]
fn succeeded(output: std::io::Result<Output>) -> String {
    let output = output.expect("tmux runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn a_process_under_load_is_seen_in_tmux() {
    let busy = Busy::start(&[]);
    let Some(tmux) = Multiplexer::watching(&busy) else { return };
    tmux.wait("orders that flow", |text| {
        let orders = cells(text, "orders");
        let flows = |rate: &&str| rate.parse::<f64>().is_ok_and(|rate| rate > 0.0);
        orders.get(1..3) == Some(&["buffered", "active"]) && orders.iter().any(flows)
    });
    tmux.shows(&["chanmon busy", "6 channels", "memory: ", "by place", "█"]);
    // Keys, as tmux passes them on: text, and those that have names.
    tmux.press(&["-l", "/ord"]);
    tmux.press(&["Enter"]);
    tmux.shows(&["only `ord`", "\norders"]);
    tmux.press(&["Enter"]);
    tmux.shows(&["channel orders", "failed sends: full", "in hand, by home: memory 0"]);
    tmux.press(&["Escape"]);
    tmux.wait("the table again", |text| !text.contains("channel orders"));
    // Another size, as when a pane is split.
    tmux.says(&["resize-window", "-x", "140", "-y", "40"]);
    tmux.shows(&["WHY", "\norders"]);
    tmux.press(&["q"]);
    tmux.ends(0);
}

#[test]
fn a_stall_is_seen_in_tmux() {
    let mut busy = Busy::start(&[]);
    let Some(tmux) = Multiplexer::watching(&busy) else { return };
    tmux.shows(&["\norders"]);
    tmux.press(&["-l", "/orders"]);
    tmux.press(&["Enter"]);
    tmux.shows(&["only `orders`", "active"]);
    busy.say("stall");
    tmux.shows(&["orders: stalled: nothing moved for ", "full, 3 senders wait", "32/32", "▓"]);
    tmux.press(&["Enter"]);
    tmux.shows(&["Payloads that wait here", "ready", "orders at 0"]);
    tmux.press(&["Escape"]);
    busy.say("go");
    tmux.wait("orders that flow again", |text| cells(text, "orders").contains(&"active"));
    tmux.press(&["q"]);
    tmux.ends(0);
}

#[test]
fn a_death_is_seen_in_tmux() {
    let mut busy = Busy::start(&[]);
    let Some(tmux) = Multiplexer::watching(&busy) else { return };
    tmux.shows(&["\norders", "memory: "]);
    busy.kill();
    tmux.shows(&["GONE since ", "UTC", "\norders", "memory: "]);
    tmux.press(&["q"]);
    let text = tmux.ends(2);
    assert!(text.contains("is gone"), "{text}");
}
