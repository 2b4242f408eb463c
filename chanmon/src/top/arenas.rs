//! The arenas, with a map of the pages of each.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Color, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::channels::style;
use super::screen::heading;
use crate::dump::{arena_line, tickets};
use crate::page_map::{Cell, page_map};
use crate::series::Latest;
use crate::words::{Condition, count};

/// Lines that all arenas take: a heading, and of each its totals and its map.
pub fn height(latest: &Latest) -> u16 {
    let arenas = latest.picture.arenas().count();
    u16::try_from(arenas * 2 + usize::from(arenas > 0)).unwrap_or(u16::MAX)
}

pub fn draw(frame: &mut Frame, area: Rect, latest: &Latest) {
    let mut lines = vec![legend()];
    for arena in latest.picture.arenas() {
        let mut title = vec![Span::raw(format!("{}: ", arena.name))];
        if arena.snapshot.waiting > 0 {
            let waiting = count(arena.snapshot.waiting.into(), ["allocation", "allocations"]);
            title.push(Span::styled(format!("{waiting} waiting; "), style(Condition::Throttled)));
        }
        title.push(arena_line(arena).into());
        lines.push(title.into());
        let dump = tickets(&latest.picture, arena.name).map(|ticket| &ticket.dump);
        const PLACE: [&str; 2] = [" by place", " by share"];
        let room = usize::from(area.width).saturating_sub(PLACE[0].len());
        let map = page_map(&arena.snapshot, arena.census.as_ref(), dump, room);
        let cell = |cell: &Cell| Span::styled(cell.glyph().to_string(), colour(*cell));
        let mut spans: Vec<Span> = map.cells.iter().map(cell).collect();
        spans.push(PLACE[usize::from(!map.exact)].into());
        lines.push(spans.into());
    }
    frame.render_widget(Paragraph::new(lines), area);
}

fn legend() -> Line<'static> {
    let mut spans = vec![Span::styled("ARENAS ", heading())];
    let cells = [Cell::InHand, Cell::AtRest, Cell::Free, Cell::Mixed, Cell::Moving];
    for cell in cells {
        spans.push(Span::styled(format!("  {}", cell.glyph()), colour(cell)));
        spans.push(format!(" {}", cell.word()).into());
    }
    spans.into()
}

fn colour(cell: Cell) -> Style {
    match cell {
        Cell::Free => Style::new().fg(Color::DarkGray),
        Cell::InHand => Style::new().fg(Color::Green),
        Cell::AtRest => Style::new().fg(Color::Blue),
        Cell::Moving => Style::new().fg(Color::Magenta),
        Cell::Used => Style::new(),
        Cell::Mixed => Style::new().fg(Color::Yellow),
    }
}
