//! Tables in Markdown: one a workload.

use std::fmt::Write;

use crate::figure::Figure;
use crate::results::{Measured, Results};
use crate::workload::OURS;

/// All of them.
pub fn of(results: &Results) -> String {
    let mut text = format!(
        "{} rounds on {}. Medians, [middle half]; the ratio is ours to theirs, round by round.\n",
        results.rounds, results.machine
    );
    for measured in &results.workloads {
        write_one(&mut text, measured);
    }
    text
}

fn write_one(text: &mut String, measured: &Measured) {
    let figures: Vec<Figure> = Figure::ALL
        .into_iter()
        .filter(|figure| measured.participants.iter().any(|one| one.figures.contains_key(figure)))
        .collect();
    text.push('\n');
    // Writing into a `String` cannot fail.
    let mut line = |cells: &[String]| drop(writeln!(text, "| {} |", cells.join(" | ")));
    let name = format!("{} ({})", measured.name, measured.allocator.name());
    let titles = figures.iter().map(|figure| figure.title().to_owned());
    let heads: Vec<String> = [name].into_iter().chain(titles).chain(["ratio".to_owned()]).collect();
    line(&heads);
    let mut rule = vec!["---".to_owned()];
    rule.resize(heads.len(), "---:".to_owned());
    line(&rule);
    for one in &measured.participants {
        let mark = if one.aside.is_some() { " *" } else { "" };
        let mut cells = vec![format!("{}{mark}", one.name)];
        cells.extend(figures.iter().map(|&figure| match one.summary(figure) {
            Some(summary) if figure == measured.primary => format!(
                "{} [{}, {}]",
                figure.shown(summary.median),
                figure.shown(summary.low),
                figure.shown(summary.high)
            ),
            Some(summary) => figure.shown(summary.median),
            None => String::new(),
        }));
        let ratio = (one.name != OURS).then(|| measured.ratio_to(one)).flatten();
        cells.push(ratio.map_or_else(String::new, |ratio| {
            format!("{:.2} [{:.2}, {:.2}]", ratio.median, ratio.low, ratio.high)
        }));
        line(&cells);
    }
}
