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
    let (title, payloads) = payloads(picture, name);
    lines.extend([Line::default(), Line::styled(title, heading())]);
    if !payloads.is_empty() {
        lines.push(PAYLOAD_HEAD.into());
    }
    (lines, payloads.into_iter().map(|ticket| payload_line(ticket).into()).collect())
}

/// The payloads that wait in this channel, in their order; or, if none is known to wait in any, all that are at rest.
fn payloads(picture: &Picture, name: Name) -> (&'static str, Vec<&TicketRecord>) {
    let at_rest = picture.tickets().filter(|ticket| ticket.dump.at_rest > 0);
    let mut tickets: Vec<&TicketRecord> = at_rest.collect();
    if tickets.is_empty() {
        return ("No payloads at rest, or too many for a look at each.", tickets);
    }
    if tickets.iter().all(|ticket| ticket.place.is_none()) {
        tickets.sort_by_key(|ticket| std::cmp::Reverse(ticket.dump.age));
        return (
            "Payloads at rest, oldest first (in no channel, or it is not known in which):",
            tickets,
        );
    }
    let place = |ticket: &TicketRecord| ticket.place.filter(|place| place.channel == name);
    tickets.retain(|ticket| place(ticket).is_some());
    tickets.sort_by_key(|ticket| place(ticket).map(|place| (place.parked, place.position)));
    match tickets.is_empty() {
        true => ("No payloads wait here.", tickets),
        false => ("Payloads that wait here, at rest, in their order:", tickets),
    }
}
