//! The view as plain text, without a terminal.

use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::app::App;
use super::screen;
use crate::cli::Top;
use crate::export::print;
use crate::feed::{Feed, Word};
use crate::trouble::{Result, Trouble};

/// Reports until there are rates, and payloads.
const REPORTS: u32 = 3;

/// Prints one picture, of the third report or the last one before the end.
pub fn run(options: &Top, width: u16, height: u16) -> Result {
    let feed = Feed::start(&options.source, options.interval)?;
    let mut app = App::new(&options.source, options.stall, options.sort);
    let mut reports = 0;
    while reports < REPORTS && app.ended().is_none() {
        match feed.next(options.interval) {
            Some(Word::Picture(picture, damage)) => {
                app.show(*picture, damage);
                feed.want_payloads(app.wants_payloads());
                reports += 1;
            }
            Some(Word::Ended(Some(trouble))) if reports == 0 => return Err(trouble),
            Some(Word::Ended(trouble)) => app.end(trouble),
            None => {}
        }
    }
    print(text(&mut app, width, height)?.as_bytes()).map(drop)
}

/// What the screen of a terminal of that size shows, without colours.
pub fn text(app: &mut App, width: u16, height: u16) -> Result<String> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).map_err(Trouble::new)?;
    terminal.draw(|frame| screen::draw(frame, app)).map_err(Trouble::new)?;
    let buffer = terminal.backend().buffer();
    let mut text = String::new();
    for row in 0..height {
        let line: String = (0..width)
            .filter_map(|column| buffer.cell((column, row)))
            .map(|cell| cell.symbol())
            .collect();
        text.push_str(line.trim_end());
        text.push('\n');
    }
    Ok(text)
}
