//! `chanmon top`: a live view.
//!
//! [`app`](App) knows what is shown and what keys do; the other files draw a part each. Nothing in them knows
//! where reports come from, or that there is a terminal.

mod app;
mod arenas;
mod channels;
mod columns;
mod detail;
mod footer;
mod header;
mod kernels;
mod once;
mod screen;
mod terminal;

use std::time::Duration;

use crossterm::event::{self, Event};

use self::app::App;
pub use self::columns::Column;
use crate::cli::Top;
use crate::feed::{Feed, Word};
use crate::trouble::{Result, Trouble};

/// How long keys are waited for before reports are looked at.
const GLANCE: Duration = Duration::from_millis(50);

/// Shows what comes, until a key ends it.
pub fn run(options: &Top) -> Result {
    if let Some((width, height)) = options.once {
        return once::run(options, width, height);
    }
    terminal::check()?;
    let feed = Feed::start(&options.source, options.interval)?;
    let mut app = App::new(&options.source, options.stall, options.sort);
    terminal::with(|terminal, ended| {
        let lost = |error| Trouble::new(format!("the terminal is gone: {error}"));
        while !app.quits() && !ended() {
            feed.want_payloads(app.wants_payloads());
            while let Some(word) = feed.try_next() {
                match word {
                    Word::Picture(picture, damage) => app.show(*picture, damage),
                    Word::Ended(trouble) => app.end(trouble),
                }
            }
            terminal.draw(|frame| screen::draw(frame, &mut app)).map_err(lost)?;
            if event::poll(GLANCE).map_err(lost)? {
                if let Event::Key(key) = event::read().map_err(lost)? {
                    app.press(key);
                }
            }
        }
        Ok(())
    })?;
    // Once more, where it stays to be read.
    app.into_trouble().map_or(Ok(()), Err)
}
