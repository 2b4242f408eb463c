//! Pictures: bars of medians with their spreads, a picture for each sort of workload.

use std::fmt::Write;

use crate::results::{Measured, Results};
use crate::workload::OURS;

const WIDTH: f64 = 760.0;
/// Where bars begin: names stand left of it.
const LEFT: f64 = 190.0;
/// The longest bar.
const LONGEST: f64 = 440.0;
const LINE: f64 = 18.0;

/// Each with a name for its file.
pub fn all(results: &Results) -> Vec<(String, String)> {
    let mut sorts: Vec<(&str, Vec<&Measured>)> = Vec::new();
    for measured in &results.workloads {
        let sort = measured.name.split('/').next().unwrap_or_default();
        match sorts.iter_mut().find(|(name, _)| *name == sort) {
            Some((_, all)) => all.push(measured),
            None => sorts.push((sort, vec![measured])),
        }
    }
    sorts.into_iter().map(|(sort, all)| (format!("{sort}.svg"), picture(&all))).collect()
}

fn picture(all: &[&Measured]) -> String {
    let mut body = String::new();
    let mut y = 0.0;
    for measured in all {
        y += 1.5 * LINE;
        let (name, under) = (&measured.name, measured.allocator.name());
        text(&mut body, 8.0, y, "start", "bold", &format!("{name} ({under})"));
        let rows: Vec<_> = measured
            .participants
            .iter()
            .filter_map(|one| Some((one, one.summary(measured.primary)?)))
            .collect();
        let most = rows.iter().map(|(_, row)| row.high).fold(f64::MIN_POSITIVE, f64::max);
        for (one, row) in rows {
            y += LINE;
            let [low, median, high] =
                [row.low, row.median, row.high].map(|value| LONGEST * value / most);
            let colour = match (one.name == OURS, one.aside.is_some()) {
                (true, _) => "#c2410c",
                (false, true) => "#cbd5e1",
                (false, false) => "#64748b",
            };
            text(&mut body, LEFT - 8.0, y, "end", "normal", &one.name);
            let top = y - 11.0;
            let middle = y - 5.0;
            let (from, to) = (LEFT + low, LEFT + high);
            // Writing into a `String` cannot fail.
            let _ = writeln!(
                body,
                r##"<rect x="{LEFT}" y="{top}" width="{median:.1}" height="12" fill="{colour}"/>
<path d="M{from:.1} {middle}H{to:.1}" stroke="#0f172a"/>"##
            );
            let figure = measured.primary;
            let value = format!("{} {}", figure.shown(row.median), figure.title());
            text(&mut body, LEFT + high + 8.0, y, "start", "normal", &value);
        }
    }
    let height = y + LINE;
    format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="12">
<rect width="100%" height="100%" fill="#ffffff"/>
{body}</svg>
"##
    )
}

fn text(body: &mut String, x: f64, y: f64, anchor: &str, weight: &str, words: &str) {
    let _ = writeln!(
        body,
        r#"<text x="{x:.1}" y="{y}" text-anchor="{anchor}" font-weight="{weight}">{words}</text>"#
    );
}
