//! What is shown, and what keys do to it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cloakroom::report::{ChannelRecord, Name};
use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::columns::Column;
use crate::picture::Picture;
use crate::rates::ChannelRates;
use crate::reports::Damage;
use crate::series::{Latest, Series};
use crate::trouble::Trouble;
use crate::words::Diagnosis;

/// Up to how many payloads a process is asked for all of them with every report.
const PAYLOADS: usize = 4096;

/// The state of the view.
pub struct App {
    source: String,
    series: Series,
    /// What is shown instead of the latest.
    frozen: Option<Latest>,
    damage: Damage,
    end: Option<End>,
    view: View,
    help: bool,
    filter: String,
    typing: bool,
    sort: Column,
    reversed: bool,
    /// By name, as rows come and go. The first if that is not there.
    selected: Option<Name>,
    quits: bool,
}

/// Which page is shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum View {
    /// Everything.
    Overview,
    /// One channel, and payloads from so many lines on.
    Channel(Name, usize),
}

/// That there will be no more reports.
pub struct End {
    /// The time of day, in seconds, of the world's clock.
    pub seconds: u64,
    /// Why; nothing at the end of a recording.
    pub trouble: Option<Trouble>,
}

/// A channel, as the table shows it.
pub struct Row<'a> {
    /// Its figures.
    pub channel: &'a ChannelRecord,
    /// What it does in a second, from the second report on.
    pub rates: Option<ChannelRates>,
    /// What it is doing.
    pub diagnosis: Diagnosis,
}

impl App {
    /// Before the first report. What has not moved for `patience` is stalled.
    pub fn new(source: &str, patience: Duration, sort: Column) -> Self {
        Self {
            source: source.into(),
            series: Series::new(patience),
            frozen: None,
            damage: Damage::default(),
            end: None,
            view: View::Overview,
            help: false,
            filter: String::new(),
            typing: false,
            sort,
            reversed: false,
            selected: None,
            quits: false,
        }
    }

    /// Takes a report.
    pub fn show(&mut self, picture: Picture, damage: Damage) {
        self.series.push(picture);
        self.damage = damage;
    }

    /// Takes note that there will be no more. The last one stays.
    pub fn end(&mut self, trouble: Option<Trouble>) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.end = Some(End { seconds: now.as_secs() % 86_400, trouble });
    }

    /// The report that is shown.
    pub fn latest(&self) -> Option<&Latest> {
        self.frozen.as_ref().or(self.series.latest())
    }

    /// The channels as they are shown.
    pub fn rows(&self) -> Vec<Row<'_>> {
        let Some(latest) = self.latest() else { return Vec::new() };
        let filter = self.filter.to_lowercase();
        let shown = |channel: &&ChannelRecord| channel.name.to_lowercase().contains(&filter);
        let row = |channel| Row {
            channel,
            rates: latest.rates(channel),
            diagnosis: latest.diagnosis(channel),
        };
        let mut rows: Vec<Row> = latest.picture.channels().filter(shown).map(row).collect();
        rows.sort_by(|a, b| {
            let order = self.sort.compare(a, b);
            let order = if self.reversed { order.reverse() } else { order };
            order.then_with(|| a.channel.name.cmp(&b.channel.name))
        });
        rows
    }

    /// Which of these rows is selected.
    pub fn selected(&self, rows: &[Row]) -> usize {
        let selected = |row: &Row| Some(row.channel.name) == self.selected;
        rows.iter().position(selected).unwrap_or(0)
    }

    /// Whether payloads shall come with the reports. Not before it is known how many there are.
    pub fn wants_payloads(&self) -> bool {
        let live = |latest: &Latest| {
            let arenas = latest.picture.arenas();
            arenas.fold(0usize, |sum, arena| sum.saturating_add(arena.snapshot.live))
        };
        self.series.latest().is_some_and(|latest| live(latest) <= PAYLOADS)
    }

    /// Does what a key says.
    pub fn press(&mut self, key: KeyEvent) {
        if key.kind == KeyEventKind::Release {
            return;
        }
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            self.quits |= key.code == KeyCode::Char('c');
        } else if self.typing {
            self.type_filter(key.code);
        } else if self.help {
            // Any key leaves it, and does nothing else.
            self.help = false;
        } else {
            self.command(key.code);
        }
    }

    fn type_filter(&mut self, key: KeyCode) {
        match key {
            KeyCode::Char(letter) => self.filter.push(letter),
            KeyCode::Backspace => drop(self.filter.pop()),
            KeyCode::Enter => self.typing = false,
            KeyCode::Esc => {
                self.typing = false;
                self.filter.clear();
            }
            _ => {}
        }
    }

    fn command(&mut self, key: KeyCode) {
        match (key, self.view) {
            (KeyCode::Char('q'), _) => self.quits = true,
            (KeyCode::Char('?' | 'h') | KeyCode::F(1), _) => self.help = true,
            (KeyCode::Char('f' | ' '), _) => {
                self.frozen = match self.frozen {
                    Some(_) => None,
                    None => self.series.latest().cloned(),
                };
            }
            (KeyCode::Down | KeyCode::Char('j'), _) => self.step(1),
            (KeyCode::Up | KeyCode::Char('k'), _) => self.step(-1),
            (KeyCode::PageDown, _) => self.step(10),
            (KeyCode::PageUp, _) => self.step(-10),
            (
                KeyCode::Esc | KeyCode::Backspace | KeyCode::Char('b') | KeyCode::Left,
                View::Channel(..),
            ) => {
                self.view = View::Overview;
            }
            (KeyCode::Esc, View::Overview) => self.filter.clear(),
            (KeyCode::Enter | KeyCode::Right, View::Overview) => {
                let rows = self.rows();
                if let Some(row) = rows.get(self.selected(&rows)) {
                    self.view = View::Channel(row.channel.name, 0);
                }
            }
            (KeyCode::Char('s'), View::Overview) => {
                self.sort = self.sort.next();
                self.reversed = false;
            }
            (KeyCode::Char('r'), View::Overview) => self.reversed = !self.reversed,
            (KeyCode::Char('/'), View::Overview) => self.typing = true,
            _ => {}
        }
    }

    fn step(&mut self, lines: isize) {
        match self.view {
            View::Channel(name, line) => {
                self.view = View::Channel(name, line.saturating_add_signed(lines));
            }
            View::Overview => {
                let rows = self.rows();
                let last = rows.len().saturating_sub(1);
                let next = self.selected(&rows).saturating_add_signed(lines).min(last);
                self.selected = rows.get(next).map(|row| row.channel.name);
            }
        }
    }

    /// Keeps the payloads of a channel's page from being scrolled out of sight.
    pub fn scroll_to(&mut self, most: usize) -> usize {
        match &mut self.view {
            View::Channel(_, line) => {
                *line = (*line).min(most);
                *line
            }
            View::Overview => 0,
        }
    }

    pub fn source(&self) -> &str {
        &self.source
    }

    pub fn damage(&self) -> Damage {
        self.damage
    }

    pub fn ended(&self) -> Option<&End> {
        self.end.as_ref()
    }

    /// Why there were no more reports, if that was trouble.
    pub fn into_trouble(self) -> Option<Trouble> {
        self.end?.trouble
    }

    pub fn view(&self) -> View {
        self.view
    }

    pub fn helps(&self) -> bool {
        self.help
    }

    pub fn is_frozen(&self) -> bool {
        self.frozen.is_some()
    }

    pub fn is_typing(&self) -> bool {
        self.typing
    }

    pub fn filter(&self) -> &str {
        &self.filter
    }

    pub fn sort(&self) -> (Column, bool) {
        (self.sort, self.reversed)
    }

    pub fn quits(&self) -> bool {
        self.quits
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::everything;

    fn app() -> App {
        let mut app = App::new("sample", Duration::from_secs(60), Column::Name);
        app.show(everything(1), Damage::default());
        app.show(everything(2), Damage::default());
        app
    }

    fn press(app: &mut App, keys: &str) {
        for key in keys.chars() {
            let code = match key {
                '\n' => KeyCode::Enter,
                '\u{1b}' => KeyCode::Esc,
                '\u{8}' => KeyCode::Backspace,
                'v' => KeyCode::Down,
                '^' => KeyCode::Up,
                key => KeyCode::Char(key),
            };
            app.press(KeyEvent::new(code, KeyModifiers::NONE));
        }
    }

    fn names(app: &App) -> Vec<String> {
        app.rows().iter().map(|row| row.channel.name.to_string()).collect()
    }

    #[test]
    fn rows_are_sorted_by_what_was_chosen() {
        let mut app = app();
        assert_eq!(names(&app), ["beats", "frames", "log"]);
        press(&mut app, "r");
        assert_eq!(names(&app), ["log", "frames", "beats"]);
        while app.sort().0 != Column::Depth {
            press(&mut app, "s");
        }
        assert_eq!(names(&app), ["frames", "beats", "log"], "the fullest first");
        while app.sort().0 != Column::Sends {
            press(&mut app, "s");
        }
        assert_eq!(names(&app), ["beats", "frames", "log"], "the fastest first");
    }

    #[test]
    fn a_filter_is_typed_corrected_accepted_and_cleared() {
        let mut app = app();
        press(&mut app, "/Bx\u{8}E");
        assert!(app.is_typing());
        assert_eq!(names(&app), ["beats"]);
        press(&mut app, "\nq\u{1b}");
        assert!(app.quits(), "keys are commands again");
        assert_eq!(names(&app), ["beats", "frames", "log"]);
        press(&mut app, "/q");
        assert_eq!(names(&app), Vec::<String>::new());
        press(&mut app, "v^\n\n");
        assert_eq!(app.view(), View::Overview, "there is nothing to look into");
    }

    #[test]
    fn what_is_selected_stays_selected_when_rows_move() {
        let mut app = app();
        press(&mut app, "v");
        let selected = |app: &App| {
            let rows = app.rows();
            rows[app.selected(&rows)].channel.name.to_string()
        };
        assert_eq!(selected(&app), "frames");
        press(&mut app, "r");
        assert_eq!(selected(&app), "frames");
        press(&mut app, "vvvv");
        assert_eq!(selected(&app), "beats", "no further than the last");
        press(&mut app, "^^^^^");
        assert_eq!(selected(&app), "log", "no further than the first");
    }

    #[test]
    fn one_looks_into_a_channel_and_comes_back() {
        let mut app = app();
        press(&mut app, "v\n");
        assert_eq!(app.view(), View::Channel(Name::new("frames"), 0));
        press(&mut app, "vv");
        assert_eq!(app.view(), View::Channel(Name::new("frames"), 2));
        assert_eq!(app.scroll_to(1), 1);
        press(&mut app, "\u{1b}");
        assert_eq!(app.view(), View::Overview);
    }

    #[test]
    fn a_frozen_picture_stays_and_the_next_one_shown_is_the_latest() {
        let mut app = app();
        let shown = |app: &App| app.latest().map(|latest| latest.picture.begin.sequence);
        press(&mut app, "f");
        app.show(everything(3), Damage::default());
        assert_eq!((shown(&app), app.is_frozen()), (Some(2), true));
        press(&mut app, "f");
        assert_eq!((shown(&app), app.is_frozen()), (Some(3), false));
    }

    #[test]
    fn help_takes_one_key_to_leave() {
        let mut app = app();
        press(&mut app, "?q");
        assert!(!app.helps() && !app.quits());
        press(&mut app, "q");
        assert!(app.quits());
    }

    #[test]
    fn control_c_ends_it_wherever_it_is() {
        for before in ["", "/x", "?", "\n"] {
            let mut app = app();
            press(&mut app, before);
            app.press(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL));
            assert!(app.quits(), "{before:?}");
        }
    }

    #[test]
    fn before_the_first_report_keys_do_no_harm() {
        let mut app = App::new("sample", Duration::ZERO, Column::Name);
        press(&mut app, "v^\nsrf/x\n\u{1b}?b");
        assert!(app.latest().is_none() && !app.wants_payloads());
    }
}
