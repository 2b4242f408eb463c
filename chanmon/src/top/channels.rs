//! The table of channels.

use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::{Cell, Paragraph, Row as Cells, Table, TableState, Wrap};

use super::app::{App, Row};
use super::columns::Column;
use super::screen::heading;
use crate::dump::{failures, kind_word};
use crate::words::Condition;

/// From this width on there is room for the reasons in the table.
const WIDE: u16 = 110;
/// Cells of a bar.
const BAR: usize = 6;
const WIDTHS: [u16; 8] = [14, 10, 10, 15, 6, 6, 5, 5];

pub fn draw(frame: &mut Frame, area: Rect, app: &App) {
    let rows = app.rows();
    if rows.is_empty() {
        let text = match app.filter() {
            "" => "no channel is registered".to_string(),
            filter => format!("no channel has `{filter}` in its name"),
        };
        frame.render_widget(Paragraph::new(text), area);
        return;
    }
    let wide = area.width >= WIDE;
    let selected = app.selected(&rows);
    let reason = rows.get(selected).map_or(Line::default(), |row| {
        let text = format!("{}: {}", row.channel.name, row.diagnosis);
        Line::styled(text, style(row.diagnosis.condition))
    });
    let lines = if reason.width() > usize::from(area.width) { 2 } else { 1 };
    let [table, below] =
        Layout::vertical([Constraint::Fill(1), Constraint::Length(lines)]).areas(area);
    let mut widths: Vec<Constraint> = WIDTHS.iter().copied().map(Constraint::Length).collect();
    let mut titles: Vec<Cell> = Column::ALL.iter().map(|column| title(*column, app)).collect();
    if wide {
        widths.extend([Constraint::Length(8), Constraint::Fill(1)]);
        titles.extend([right("OLDEST".into()), Cell::from("WHY")]);
    }
    let body: Vec<Cells> = rows.iter().map(|row| cells(row, wide)).collect();
    let widget = Table::new(body, widths)
        .header(Cells::new(titles).style(heading()))
        .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED));
    let mut state = TableState::new().with_selected(selected);
    frame.render_stateful_widget(widget, table, &mut state);
    frame.render_widget(Paragraph::new(reason).wrap(Wrap { trim: true }), below);
}

fn title(column: Column, app: &App) -> Cell<'static> {
    let (sort, reversed) = app.sort();
    let mark = match (sort == column, reversed) {
        (false, _) => "",
        (true, false) => "▼",
        (true, true) => "▲",
    };
    let text = format!("{}{mark}", column.title());
    match column {
        Column::Name | Column::Kind | Column::State => text.into(),
        _ => right(text),
    }
}

fn right(text: String) -> Cell<'static> {
    Line::from(text).alignment(Alignment::Right).into()
}

fn cells(row: &Row, wide: bool) -> Cells<'static> {
    let now = &row.channel.snapshot;
    let condition = row.diagnosis.condition;
    let rate = |rate: Option<f64>| right(rate.map_or("-".into(), compact));
    let mut cells = vec![
        Cell::from(row.channel.name.to_string()),
        Cell::from(kind_word(now.kind)),
        Cell::from(condition.word()).style(style(condition)),
        right(depth(now.depth, now.high_water, now.capacity)),
        rate(row.rates.map(|rates| rates.sent)),
        rate(row.rates.map(|rates| rates.received)),
        right(format!("{}>{}", now.parked_senders, now.parked_receivers)),
        right(compact(failures(row.channel) as f64)),
    ];
    if wide {
        let oldest = now.times.and_then(|times| times.oldest_age);
        cells.push(right(oldest.map_or("-".into(), |age| compact(age.into()))));
        cells.push(row.diagnosis.reason.clone().into());
    }
    Cells::new(cells)
}

/// How a condition stands out.
pub fn style(condition: Condition) -> Style {
    match condition {
        Condition::Stalled => Style::new().fg(Color::Red),
        Condition::Throttled => Style::new().fg(Color::Yellow),
        Condition::Active => Style::new().fg(Color::Green),
        _ => Style::new(),
    }
}

/// A bar with a mark where it once was, and the figures.
fn depth(depth: usize, high_water: usize, capacity: Option<usize>) -> String {
    let Some(capacity) = capacity else { return depth.to_string() };
    let (depth_text, capacity_text) = (compact(depth as f64), compact(capacity as f64));
    if capacity == 0 {
        return format!("{depth_text}/{capacity_text}");
    }
    // Rounded up: what there is at all is seen.
    let cells = |number: usize| {
        (number.min(capacity) as u128 * BAR as u128).div_ceil(capacity as u128) as usize
    };
    let (full, mark) = (cells(depth), cells(high_water));
    let cell = |place: usize| match place + 1 {
        place if place <= full => '█',
        place if place == mark => '|',
        _ => '·',
    };
    let bar: String = (0..BAR).map(cell).collect();
    format!("{bar} {:>8}", format!("{depth_text}/{capacity_text}"))
}

/// A number in at most five characters, rounded.
pub fn compact(number: f64) -> String {
    let mut scaled = number;
    let mut units = ["", "k", "M", "G", "T", "P"].into_iter();
    let mut unit = units.next().unwrap_or("");
    while scaled >= 9_999.5 || (scaled >= 999.5 && !unit.is_empty()) {
        let Some(next) = units.next() else { break };
        (scaled, unit) = (scaled / 1000.0, next);
    }
    if scaled.fract() == 0.0 || scaled >= 99.95 {
        format!("{scaled:.0}{unit}")
    } else {
        format!("{scaled:.1}{unit}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        for (number, text) in [
            (0.0, "0"),
            (0.25, "0.2"),
            (99.94, "99.9"),
            (99.96, "100"),
            (9_999.0, "9999"),
            (9_999.6, "10.0k"),
            (123_456.0, "123k"),
            (999_600.0, "1.0M"),
            (2e9, "2G"),
            (1.8e19, "18000P"),
        ] {
            assert_eq!(compact(number), text, "{number}");
        }
    }

    #[test]
    fn a_bar_shows_depth_and_high_water() {
        assert_eq!(depth(0, 0, Some(6)), "······      0/6");
        assert_eq!(depth(2, 4, Some(6)), "██·|··      2/6");
        assert_eq!(depth(6, 6, Some(6)), "██████      6/6");
        assert_eq!(depth(1, 1, Some(1_000_000)), "█·····     1/1M");
        assert_eq!(depth(0, 0, Some(0)), "0/0");
        assert_eq!(depth(7, 9, None), "7");
        assert_eq!(depth(usize::MAX, usize::MAX, Some(1)), "██████ 18447P/1");
    }
}
