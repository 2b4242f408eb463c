//! The kernels, a line each.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Color, Style};
use ratatui::text::Line;
use ratatui::widgets::Paragraph;

use super::channels::compact;
use super::screen::heading;
use crate::series::Latest;

/// Lines that all kernels take, with a heading.
pub fn height(latest: &Latest) -> u16 {
    let kernels = latest.picture.kernels().count();
    u16::try_from(kernels + usize::from(kernels > 0)).unwrap_or(u16::MAX)
}

pub fn draw(frame: &mut Frame, area: Rect, latest: &Latest) {
    let head = "KERNEL          TASKS  READY  POLLS/S  WAKES/S  SLEEPING  IDLE";
    let mut lines = vec![Line::styled(head, heading())];
    for kernel in latest.picture.kernels() {
        let now = &kernel.snapshot;
        let rates = latest.kernel_rates(kernel);
        let rate = |rate: Option<f64>| rate.map_or("-".into(), compact);
        let idle = rates.map_or("-".into(), |rates| format!("{:.0} %", rates.idle));
        let text = format!(
            "{:14.14}  {:>5}  {:>5}  {:>7}  {:>7}  {:>8}  {idle:>4}",
            kernel.name,
            compact(now.tasks.into()),
            compact(now.ready.into()),
            rate(rates.map(|rates| rates.polls)),
            rate(rates.map(|rates| rates.wakes)),
            compact(now.timers.into()),
        );
        lines.push(match latest.stall(kernel) {
            Some(stall) => {
                let since = stall.since.as_secs();
                let text = format!("{text}  stalled: nothing polled for {since} s");
                Line::styled(text, Style::new().fg(Color::Red))
            }
            None => text.into(),
        });
    }
    frame.render_widget(Paragraph::new(lines), area);
}
