//! The programs in the README are the ones that are compiled.

const README: &str = include_str!("../README.md");

#[test]
fn the_readme_shows_the_server_as_it_is_compiled() {
    assert!(README.contains(include_str!("../examples/line_server.rs")));
}

#[test]
fn the_readme_shows_the_firmware_as_it_is_compiled() {
    assert!(README.contains(include_str!("../boards/lm3s6965evb/src/bin/blocks.rs")));
}
