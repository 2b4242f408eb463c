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

/// That page's picture is compared with what the program prints.
#[test]
fn the_readme_shows_the_picture_of_the_monitors_page() {
    let page = include_str!("../chanmon/README.md");
    let from = page.find("```text\nchanmon busy").expect("a picture");
    let length = page[from + 3..].find("```").expect("its end") + 6;
    assert!(README.contains(&page[from..from + length]));
}
