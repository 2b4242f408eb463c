//! What keys do, and what is being typed.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::widgets::Paragraph;

use super::app::{App, View};

pub fn draw(frame: &mut Frame, area: Rect, app: &App) {
    let text = match (app.is_typing(), app.view(), app.filter()) {
        (true, _, filter) => format!("filter: {filter}_   enter keeps it, esc clears it"),
        (false, View::Channel(..), _) => {
            "esc back  up/down scroll  f freeze  ? help  q quit".into()
        }
        (false, View::Overview, "") => {
            "enter look inside  s sort  r reverse  / filter  f freeze  ? help  q quit".into()
        }
        (false, View::Overview, filter) => {
            format!(
                "only `{filter}`: esc clears it  enter look inside  s sort  f freeze  ? help  q quit"
            )
        }
    };
    let style = Style::new().add_modifier(Modifier::DIM);
    frame.render_widget(Paragraph::new(text).style(style), area);
}
