//! What is said when there is nothing to be seen.

use std::fs::{self, Permissions};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::thread;

use cloakroom::report::{FrameError, VERSION};
use cloakroom::std_layer::report::Registry;

use crate::busy::Busy;
use crate::commands::run;

/// What is said of a file with these bytes, and with what it ends.
#[track_caller]
fn assert_refused(arguments: &[&str], wanted: &[&str]) {
    let output = run(arguments);
    let text = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.starts_with("chanmon: "), "{text}");
    for wanted in wanted {
        assert!(text.contains(wanted), "no {wanted:?} in\n{text}");
    }
    assert!(!text.contains("panicked"), "{text}");
}

fn recording() -> Vec<u8> {
    let mut bytes = Vec::new();
    Registry::new("recorder").collect().write_frames(&mut bytes).expect("space");
    bytes
}

/// The same frames, of the next version: their checksums are made again.
fn of_the_next_version(recording: &[u8]) -> Vec<u8> {
    let crc = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC);
    let mut bytes = Vec::new();
    for frame in recording.split(|byte| *byte == 0).filter(|frame| !frame.is_empty()) {
        let mut content = cobs::decode_vec(frame).expect("a frame");
        content[2] = VERSION + 1;
        let end = content.len() - 4;
        let sum = crc.checksum(&content[..end]).to_le_bytes();
        content[end..].copy_from_slice(&sum);
        bytes.extend(cobs::encode_vec(&content));
        bytes.push(0);
    }
    bytes
}

#[test]
fn files_that_cannot_be_read_are_told_apart() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("reports");
    let path = file.to_str().expect("text");
    assert_refused(&["dump", path], &["cannot open", "Is the process running?"]);
    assert_refused(&["dump", folder.path().to_str().expect("text")], &["is a directory"]);
    for (bytes, wanted) in [
        (vec![], "no report in"),
        (b"some text\0of another kind\0".to_vec(), "speed, parity and raw mode"),
        (recording()[..9].to_vec(), "cut off"),
        (of_the_next_version(&recording()), "The process is newer than this chanmon"),
    ] {
        fs::write(&file, bytes).expect("space");
        for command in ["dump", "json", "prom"] {
            assert_refused(&[command, path], &[wanted]);
        }
        assert_refused(&["watch", path, "--alert", "closed"], &[wanted]);
        assert_refused(&["top", path, "--once", "80x24"], &[wanted]);
    }
    let version = FrameError::Version { found: VERSION + 1 }.to_string();
    assert_refused(&["dump", path], &[&version]);
}

/// It says so at once, as such a process would go on for ever.
#[test]
fn a_process_of_another_version_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("socket");
    let listener = UnixListener::bind(&path).expect("a socket");
    fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("ours");
    let bytes = of_the_next_version(&recording());
    let newer = thread::spawn(move || {
        let (mut client, _) = listener.accept().expect("chanmon");
        client.write_all(&bytes).expect("it reads");
        // Until chanmon hangs up.
        let _ = client.read_to_end(&mut Vec::new());
    });
    let version = FrameError::Version { found: VERSION + 1 }.to_string();
    assert_refused(&["dump", path.to_str().expect("text")], &[&version, "newer than this"]);
    newer.join().expect("it hung up");
}

#[test]
fn damage_in_a_recording_is_told_and_the_rest_is_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("reports");
    let mut bytes = recording();
    bytes[5] = if bytes[5] == 1 { 2 } else { 1 };
    bytes.extend(recording());
    fs::write(&file, bytes).expect("space");
    let output = run(&["json", file.to_str().expect("text")]);
    assert_eq!(output.status.code(), Some(0));
    let (lines, warning) = (String::from_utf8(output.stdout), String::from_utf8(output.stderr));
    assert_eq!(lines.expect("text").lines().count(), 2, "a beginning and an end");
    let warning = warning.expect("text");
    assert!(warning.contains("1 frame was damaged, 1 report incomplete"), "{warning}");
}

#[test]
fn sockets_that_are_not_to_be_trusted_are_not_used() {
    let mut busy = Busy::start(&[]);
    let socket = busy.socket();
    let path = socket.to_str().expect("text");
    fs::set_permissions(&socket, Permissions::from_mode(0o666)).expect("ours");
    let open = ["open to other users (mode 666)", "chmod 600"];
    assert_refused(&["dump", path], &open);
    assert_refused(&["top", path, "--once", "80x24"], &open);
    fs::set_permissions(&socket, Permissions::from_mode(0o600)).expect("ours");
    assert_eq!(run(&["dump", path]).status.code(), Some(0));
    busy.kill();
    assert_refused(&["dump", path], &["nobody listens", "the process is gone"]);
}

#[test]
fn only_processes_can_be_asked() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let path = file.path().to_str().expect("text");
    assert_refused(&["actions", "close", path, "orders"], &["is not a socket"]);
    assert_refused(&["actions", "close", "-", "orders"], &["standard input is not a socket"]);
}

#[test]
fn a_view_needs_a_terminal() {
    let busy = Busy::start(&[]);
    let path = busy.socket();
    assert_refused(&["top", path.to_str().expect("text")], &["top needs a terminal", "--once"]);
}
