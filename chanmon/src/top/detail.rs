//! One channel, and the payloads that are at rest.

use cloakroom::channel::PayloadMode;
use cloakroom::report::{Name, TicketRecord};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;
use ratatui::widgets::Paragraph;

use super::app::App;
use super::channels::{compact, style};
use super::screen::heading;
use crate::dump::{PAYLOAD_HEAD, channel_lines, payload_line};
use crate::picture::Picture;
use crate::series::Latest;

pub fn draw(frame: &mut Frame, area: Rect, app: &mut App, name: Name) {
    let Some(latest) = app.latest() else { return };
    let (mut lines, payloads) = page(latest, name);
    let room = usize::from(area.height).saturating_sub(lines.len());
    let first = app.scroll_to(payloads.len().saturating_sub(room));
    lines.extend(payloads.into_iter().skip(first).take(room));
    frame.render_widget(Paragraph::new(lines), area);
}

/// What always stands there, and the payloads, which are scrolled.
fn page(latest: &Latest, name: Name) -> (Vec<Line<'static>>, Vec<Line<'static>>) {
    let picture = &latest.picture;
    let Some(channel) = picture.channels().find(|channel| channel.name == name) else {
        return (vec![format!("{name} is gone: it is not registered any more").into()], vec![]);
    };
    let diagnosis = latest.diagnosis(channel);
    let mut lines = vec![
        Line::styled(format!("channel {name}"), heading()),
        Line::styled(diagnosis.to_string(), style(diagnosis.condition)),
    ];
    lines.extend(channel_lines(channel, picture).into_iter().map(Line::from));
    if let Some(rates) = latest.rates(channel) {
        let [sent, received] = [rates.sent, rates.received].map(compact);
        let [bytes_sent, bytes_received] = [rates.bytes_sent, rates.bytes_received].map(compact);
        lines.push(
            format!(
                "a second: {sent} sent ({bytes_sent} B), {received} received ({bytes_received} B)"
            )
            .into(),
        );
    }
    if channel.snapshot.mode == PayloadMode::Values {
        return (lines, vec![]);
    }
    let payloads = at_rest(picture);
    let title = match payloads.len() {
        0 => "No payloads at rest, or too many for a look at each.".to_string(),
        _ => "Payloads at rest, oldest first (an arena does not know in which channel):".into(),
    };
    lines.extend([Line::default(), Line::styled(title, heading())]);
    if !payloads.is_empty() {
        lines.push(PAYLOAD_HEAD.into());
    }
    (lines, payloads.iter().map(|ticket| payload_line(&ticket.dump).into()).collect())
}

fn at_rest(picture: &Picture) -> Vec<&TicketRecord> {
    let mut tickets: Vec<&TicketRecord> =
        picture.tickets().filter(|ticket| ticket.dump.at_rest > 0).collect();
    tickets.sort_by_key(|ticket| std::cmp::Reverse(ticket.dump.age));
    tickets
}
