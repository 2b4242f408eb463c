//! Every operation that sends, receives or waits says in its documentation what its users must know.
#![cfg(not(loom))]

use std::fs;
use std::path::Path;

/// What it says.
const TOPICS: [&str; 5] =
    ["*Cancel safety:*", "*Order:*", "*Wake-ups:*", "*Interrupts:*", "*Cost:*"];

/// The operations, by file. What only passes on to one of them refers to it.
const OPERATIONS: &[(&str, &[&str])] = &[
    ("src/channel/try_send.rs", &["try_send"]),
    ("src/channel/try_recv.rs", &["try_recv"]),
    ("src/channel/send.rs", &["send"]),
    ("src/channel/recv.rs", &["recv"]),
    ("src/channel/reserve.rs", &["try_reserve", "reserve", "send"]),
    ("src/channel/closing.rs", &["close", "closed"]),
    ("src/channel/batch.rs", &["try_send_many", "send_many", "recv_many", "try_iter", "drain"]),
    ("src/channel/subscriber.rs", &["subscribe", "try_recv", "recv"]),
    ("src/channel/sink.rs", &["sink"]),
    ("src/channel/fan_out.rs", &["fan_out", "try_fan_out_all", "fan_out_all"]),
    ("src/channel/counted.rs", &["endpoints", "upgrade"]),
    (
        "src/channel/bytes.rs",
        &[
            "try_send",
            "try_send_parcel",
            "try_send_bytes",
            "send",
            "send_parcel",
            "send_bytes",
            "try_recv",
            "recv",
        ],
    ),
    (
        "src/spill/channel.rs",
        &["try_send", "try_send_parcel", "send", "send_parcel", "try_send_bytes", "send_bytes"],
    ),
    ("src/spill/receive.rs", &["try_recv", "recv"]),
    ("src/select/mod.rs", &["select", "try_now", "ready"]),
    ("src/kernel/tick.rs", &["tick"]),
];

/// The documentation of the first function of that name.
fn documentation(source: &str, name: &str) -> Option<String> {
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    let heads = ["(", "<"].map(|end| format!("fn {name}{end}"));
    let at = lines.iter().position(|line| {
        line.starts_with("pub ") && heads.iter().any(|head| line.contains(head.as_str()))
    })?;
    let above = lines[..at].iter().rev();
    let above = above.take_while(|line| line.starts_with("///") || line.starts_with("#["));
    let mut text: Vec<&str> = above.copied().collect();
    text.reverse();
    Some(text.join("\n"))
}

#[test]
fn operations_say_what_their_users_must_know() {
    for (file, operations) in OPERATIONS {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        let source = fs::read_to_string(&path).expect("a source file");
        for name in *operations {
            let text = documentation(&source, name);
            let text = text.unwrap_or_else(|| panic!("{file} has no {name}"));
            for topic in TOPICS {
                assert!(text.contains(topic), "{file}: {name} does not say {topic}");
            }
        }
    }
}
