//! Who reports, how it is, and what it comes to.

use std::time::Duration;

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Color, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::app::App;
use super::channels::compact;
use super::screen::heading;
use crate::dump::duration;
use crate::reports::Damage;
use crate::words::{Condition, count};

/// From when on a source that says nothing is worth a word.
const SILENCE: Duration = Duration::from_secs(5);

pub fn draw(frame: &mut Frame, area: Rect, app: &App) {
    let lines = vec![first(app), second(app)];
    frame.render_widget(Paragraph::new(lines), area);
}

fn first(app: &App) -> Line<'_> {
    let mut spans = vec![Span::styled("chanmon ", heading())];
    if let Some(latest) = app.latest() {
        let begin = latest.picture.begin;
        spans.push(Span::styled(begin.source.to_string(), heading()));
        if let Some(uptime) = latest.picture.uptime() {
            spans.push(format!("  up {}", duration(uptime.as_secs())).into());
        }
        spans.push(format!("  report {}", begin.sequence).into());
    }
    let alarm = Style::new().fg(Color::Red);
    if app.is_frozen() {
        spans.push(Span::styled("  FROZEN", Style::new().fg(Color::Yellow)));
    }
    match (app.ended(), app.latest()) {
        (Some(end), _) => {
            let (hours, minutes) = (end.seconds / 3600, end.seconds / 60 % 60);
            let time = format!("{hours:02}:{minutes:02}:{:02} UTC", end.seconds % 60);
            spans.push(match &end.trouble {
                Some(trouble) => {
                    Span::styled(format!("  GONE since {time}: {}", trouble.what()), alarm)
                }
                None => format!("  the recording ended at {time}").into(),
            });
        }
        (None, None) => {
            spans.push(format!("waiting for the first report of {}", app.source()).into());
        }
        (None, Some(latest)) => {
            let silent = latest.picture.arrived.elapsed();
            if silent >= SILENCE && !app.is_frozen() {
                let silent = duration(silent.as_secs());
                spans.push(Span::styled(format!("  silent for {silent}"), alarm));
            } else {
                spans.push(format!("  {}", app.source()).into());
            }
        }
    }
    spans.into()
}

fn second(app: &App) -> Line<'_> {
    let Some(latest) = app.latest() else { return Line::default() };
    let (mut channels, mut values, mut senders) = (0, 0u64, 0);
    let (mut sent, mut received) = (0.0, 0.0);
    let (mut throttled, mut stalled) = (0, 0);
    for channel in latest.picture.channels() {
        channels += 1;
        // A report may say anything.
        values = values.saturating_add(channel.snapshot.depth as u64);
        senders += u64::from(channel.snapshot.parked_senders);
        if let Some(rates) = latest.rates(channel) {
            sent += rates.sent;
            received += rates.received;
        }
        match latest.diagnosis(channel).condition {
            Condition::Throttled => throttled += 1,
            Condition::Stalled => stalled += 1,
            _ => {}
        }
    }
    // What is wrong comes first, where it is seen.
    let mut alarms = Vec::new();
    if app.damage() != Damage::default() {
        alarms.push(app.damage().to_string());
    }
    for (number, word) in [(stalled, "stalled"), (throttled, "throttled")] {
        if number > 0 {
            alarms.push(format!("{number} {word}"));
        }
    }
    if senders > 0 {
        alarms.push(format!("{} waiting", count(senders, ["sender", "senders"])));
    }
    let mut spans = Vec::new();
    if !alarms.is_empty() {
        spans.push(Span::styled(alarms.join(", "), Style::new().fg(Color::Red)));
        spans.push("; ".into());
    }
    let (channels, values) =
        (count(channels, ["channel", "channels"]), count(values, ["value", "values"]));
    let (sent, received) = (compact(sent), compact(received));
    spans.push(format!("{channels}, {values}, {sent} sent/s, {received} received/s").into());
    spans.into()
}
