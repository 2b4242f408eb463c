//! `chanmon json` and `chanmon prom`: reports for other programs.

use std::io::{self, Write};
use std::thread;

use cloakroom::report::Request;

use crate::cli::{Json, Prom};
use crate::picture::Picture;
use crate::reports::Reports;
use crate::source::{Kind, Source};
use crate::trouble::{Result, Trouble};

/// Prints reports as JSON lines.
pub fn json(options: &Json) -> Result {
    let mut reports = Reports::of(Source::open(&options.source)?);
    let request = if options.payloads { Request::Dump } else { Request::Report };
    loop {
        reports.ask(&request)?;
        let Some(picture) = reports.next_picture()? else { break };
        let mut lines = Vec::new();
        picture.write_json(&mut lines).map_err(Trouble::new)?;
        if !print(&lines)? {
            return Ok(());
        }
        match (reports.source().kind, options.interval) {
            (Kind::Socket, None) => return Ok(()),
            (Kind::Socket, Some(interval)) => thread::sleep(interval),
            _ => {}
        }
    }
    warn_of_damage(&reports);
    Ok(())
}

/// Prints a report as text for Prometheus.
pub fn prom(options: &Prom) -> Result {
    // Orphans are counted in a dump only.
    let picture = one(&options.source, &Request::Dump)?;
    print(picture.prometheus().as_bytes()).map(drop)
}

/// One report: the last in a file, or the next.
pub fn one(path: &str, request: &Request) -> Result<Picture> {
    let mut reports = Reports::of(Source::open(path)?);
    reports.ask(request)?;
    let mut found = None;
    while let Some(picture) = reports.next_picture()? {
        found = Some(picture);
        if reports.source().kind != Kind::File {
            break;
        }
    }
    warn_of_damage(&reports);
    // An end without a report is trouble already.
    found.ok_or_else(|| Trouble::new(format!("no report in {path}")))
}

/// Prints, and says whether somebody reads it.
pub fn print(bytes: &[u8]) -> Result<bool> {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Trouble::new(format!("cannot write: {error}"))),
    }
}

fn warn_of_damage(reports: &Reports) {
    let damage = reports.damage();
    if damage.frames > 0 {
        eprintln!("chanmon: {}: {damage}", reports.source().name);
    }
}
