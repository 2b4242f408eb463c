//! Tables in Markdown: one a workload.

use std::collections::BTreeSet;

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
    write_reasons(&mut text, results);
    text
}

/// Why those with a star do not count.
fn write_reasons(text: &mut String, results: &Results) {
    let participants = results.workloads.iter().flat_map(|measured| &measured.participants);
    let reasons: BTreeSet<(&str, &str)> =
        participants.filter_map(|one| Some((one.name.as_str(), one.aside.as_deref()?))).collect();
    if !reasons.is_empty() {
        text.push_str("\nNot compared with in general (*):\n\n");
    }
    for (name, why) in reasons {
        text.push_str(&format!("* {name}: {why}\n"));
    }
}

fn write_one(text: &mut String, measured: &Measured) {
    let figures: Vec<Figure> = Figure::ALL
        .into_iter()
        .filter(|figure| measured.participants.iter().any(|one| one.figures.contains_key(figure)))
        .collect();
    text.push('\n');
    let mut line = |cells: &[String]| {
        text.push_str("| ");
        text.push_str(&cells.join(" | "));
        text.push_str(" |\n");
    };
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
