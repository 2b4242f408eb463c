//! The whole screen, part by part.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::{Block, Clear, Paragraph};

use super::app::{App, View};
use super::{arenas, channels, detail, footer, header, kernels};

/// A heading's style.
pub fn heading() -> Style {
    Style::new().add_modifier(Modifier::BOLD)
}

/// Draws everything.
pub fn draw(frame: &mut Frame, app: &mut App) {
    let [head, body, foot] =
        Layout::vertical([Constraint::Length(2), Constraint::Fill(1), Constraint::Length(1)])
            .areas(frame.area());
    header::draw(frame, head, app);
    match app.view() {
        View::Overview => overview(frame, body, app),
        View::Channel(name, _) => detail::draw(frame, body, app, name),
    }
    footer::draw(frame, foot, app);
    if app.helps() {
        help(frame);
    }
}

/// Channels get what arenas and kernels leave, which are given two thirds at the most.
fn overview(frame: &mut Frame, area: Rect, app: &App) {
    let Some(latest) = app.latest() else { return };
    let third = area.height / 3;
    let arenas_height = arenas::height(latest).min(third);
    let kernels_height = kernels::height(latest).min(third);
    let [channels, arenas, kernels] = Layout::vertical([
        Constraint::Fill(1),
        Constraint::Length(arenas_height),
        Constraint::Length(kernels_height),
    ])
    .areas(area);
    channels::draw(frame, channels, app);
    arenas::draw(frame, arenas, latest);
    kernels::draw(frame, kernels, latest);
}

const HELP: &str = "\
 up, down, j, k   select a channel; scroll
 enter, right     look into the channel
 esc, b, left     back; in the overview: clear the filter
 s                sort by the next column
 r                reverse the order
 /                filter by name: enter keeps, esc clears
 f, space         freeze the picture, and go on
 ?                this help
 q, ctrl-c        quit

 DEPTH: values in it, of how many; | is the most ever
 WAIT: senders > receivers that wait now
 FAIL: operations refused, late, cancelled, abandoned";

fn help(frame: &mut Frame) {
    let lines: Vec<Line> = HELP.lines().map(Line::from).collect();
    let width = lines.iter().map(Line::width).max().unwrap_or(0) as u16 + 3;
    // Lossless: that many lines there are.
    let height = lines.len() as u16 + 2;
    let area = frame.area();
    let [_, across, _] = Layout::horizontal([
        Constraint::Fill(1),
        Constraint::Length(width.min(area.width)),
        Constraint::Fill(1),
    ])
    .areas(area);
    let [_, place, _] = Layout::vertical([
        Constraint::Fill(1),
        Constraint::Length(height.min(area.height)),
        Constraint::Fill(1),
    ])
    .areas(across);
    frame.render_widget(Clear, place);
    frame.render_widget(Paragraph::new(lines).block(Block::bordered().title(" keys ")), place);
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use cloakroom::arena::{ArenaSnapshot, Census, HomeSnapshot, PayloadState};
    use cloakroom::report::Record;
    use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

    use super::super::Column;
    use super::*;
    use crate::picture::Picture;
    use crate::reports::Damage;
    use crate::samples::{arena, channel, everything, kernel, picture, ticket};
    use crate::trouble::Trouble;

    fn app() -> App {
        let mut app = App::new("/run/sample", Duration::from_secs(2), Column::Name);
        for number in 1..=3 {
            app.show(everything(number), Damage::default());
        }
        app
    }

    fn text(app: &mut App, width: u16, height: u16) -> String {
        super::super::once::text(app, width, height).expect("draws")
    }

    fn press(app: &mut App, code: KeyCode) {
        app.press(KeyEvent::new(code, KeyModifiers::NONE));
    }

    #[track_caller]
    fn assert_shows(app: &mut App, wanted: &[&str]) {
        let text = text(app, 80, 24);
        for wanted in wanted {
            assert!(text.contains(wanted), "no {wanted:?} in\n{text}");
        }
        assert!(text.lines().all(|line| line.chars().count() <= 80), "too wide\n{text}");
        assert_eq!(text.lines().count(), 24);
    }

    #[test]
    fn everything_is_there_at_80_by_24() {
        assert_shows(
            &mut app(),
            &[
                "sample",
                "up 3 s",
                "3 channels, 19 values",
                "500 sent/s",
                "1 stalled",
                "CHANNEL",
                "beats",
                "buffered",
                "active",
                "3/16",
                "frames",
                "stalled",
                "16/16",
                "14>0",
                "unlimited",
                "closed",
                // The reason, of the channel that is selected.
                "beats: active: 3 values in it",
                "heap",
                "8 in hand, 16 at rest, 40 free",
                "▓▓▓",
                "by place",
                "main",
                "100",
                "q quit",
            ],
        );
    }

    #[test]
    fn a_wide_terminal_has_the_reasons_in_the_table() {
        let text = text(&mut app(), 140, 24);
        assert!(text.contains("nothing moved for 2 s; full, 14 senders wait"), "{text}");
    }

    #[test]
    fn a_channel_has_a_page_of_its_own() {
        let mut app = app();
        press(&mut app, KeyCode::Down);
        press(&mut app, KeyCode::Enter);
        assert_shows(&mut app, &["channel frames", "failed sends: full 7", "esc back"]);
        assert_shows(&mut app, &["p50 3, p99 1023, max 1023 ticks", "··█·······▃·············"]);
        // It goes, and its page stays, to say so.
        let rest = everything(4).records[4..].to_vec();
        app.show(picture(4, rest), Damage::default());
        assert_shows(&mut app, &["frames is gone"]);
    }

    #[test]
    fn help_and_filter_are_seen() {
        let mut app = app();
        press(&mut app, KeyCode::Char('?'));
        assert_shows(&mut app, &["keys", "freeze the picture"]);
        press(&mut app, KeyCode::Esc);
        for key in "/fra".chars() {
            press(&mut app, KeyCode::Char(key));
        }
        assert_shows(&mut app, &["filter: fra", "frames"]);
        assert!(!text(&mut app, 80, 24).contains("beats"));
        for key in "xyz".chars() {
            press(&mut app, KeyCode::Char(key));
        }
        assert_shows(&mut app, &["no channel has `fraxyz` in its name"]);
    }

    #[test]
    fn what_is_not_live_is_said() {
        let mut app = App::new("/run/sample", Duration::ZERO, Column::Name);
        assert_shows(&mut app, &["waiting for the first report"]);
        app.show(everything(1), Damage { frames: 2, reports: 1 });
        assert_shows(&mut app, &["2 frames were damaged, 1 report incomplete"]);
        press(&mut app, KeyCode::Char('f'));
        assert_shows(&mut app, &["FROZEN"]);
        app.end(Some(Trouble::new("it is gone")));
        assert_shows(&mut app, &["GONE since ", "it is gone", "beats"]);
    }

    #[test]
    fn a_source_that_says_nothing_more_is_told() {
        let mut app = app();
        let mut last = everything(4);
        assert!(!text(&mut app, 80, 24).contains("silent"));
        let Some(long_ago) = last.arrived.checked_sub(Duration::from_secs(70)) else { return };
        last.arrived = long_ago;
        app.show(last, Damage::default());
        assert_shows(&mut app, &["silent for 1 min 10 s"]);
    }

    #[test]
    fn no_size_is_too_small_or_too_large() {
        for view in [&[][..], &[KeyCode::Enter], &[KeyCode::Char('?')], &[KeyCode::Char('/')]] {
            for width in (0..12).chain([30, 79, 80, 110, 250]) {
                for height in (0..12).chain([23, 24, 80]) {
                    let mut app = app();
                    view.iter().for_each(|key| press(&mut app, *key));
                    let text = text(&mut app, width, height);
                    assert_eq!(text.lines().count(), usize::from(height), "{width}x{height}");
                }
            }
        }
    }

    /// A report of figures as large as they can be.
    fn most(sequence: u32) -> Picture {
        let (most, all) = (usize::MAX, u32::MAX);
        let mut channel = channel("most");
        let now = &mut channel.snapshot;
        (now.capacity, now.depth, now.high_water) = (Some(most), most, most);
        (now.sent, now.received, now.delivered, now.full, now.empty) = (all, all, all, all, all);
        (now.bytes_sent, now.parked_senders, now.send_timeouts) = (u64::MAX, all, all);
        let heap = ArenaSnapshot {
            page_size: most,
            free: most,
            free_run: 0,
            high_water: most,
            live: most,
            waiting: all,
            ..arena(most)
        };
        let census = Census {
            pages_in_hand: most,
            pages_at_rest: most,
            runs_in_hand: most,
            runs_at_rest: most,
        };
        let mut kernel = kernel("most");
        (kernel.snapshot.tasks, kernel.snapshot.ready, kernel.snapshot.polls) = (all, all, all);
        kernel.snapshot.idle_ticks = u64::MAX;
        let home = HomeSnapshot { id: 9, used: most, cap: most - 1, min: most };
        let records = vec![
            Record::Channel(channel),
            Record::Channel(channel),
            Record::arena("heap", heap, Some(census)),
            Record::arena("other", heap, None),
            Record::home("heap", home, None),
            Record::Kernel(kernel),
            Record::Ticket(ticket(most, most, PayloadState::AtRest)),
            Record::Ticket(ticket(1, most, PayloadState::Moving)),
        ];
        picture(sequence, records)
    }

    #[test]
    fn figures_that_cannot_be_do_no_harm() {
        let mut app = App::new("/run/sample", Duration::ZERO, Column::Name);
        for number in 1..=3 {
            app.show(most(number), Damage { frames: u64::MAX, reports: u64::MAX });
            for (width, height) in [(80, 24), (200, 50)] {
                let text = text(&mut app, width, height);
                assert!(text.contains("most") && text.contains("heap: "), "{text}");
            }
        }
        let mut dumped = String::new();
        crate::dump::everything(&mut dumped, &most(1)).expect("room");
        assert!(dumped.contains("channel most"), "{dumped}");
    }
}
