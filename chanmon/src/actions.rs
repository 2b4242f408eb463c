//! `chanmon actions`: having a process do something.

use std::fmt;

use cloakroom::report::{Action, Name, Outcome, Request};

use crate::cli::{Actions, Deed};
use crate::reports::{News, Reports};
use crate::source::Source;
use crate::trouble::{Result, Trouble};
use crate::words::count;

impl fmt::Display for Deed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Close => "close",
            Self::Drain => "drain",
            Self::Compact => "compact",
            Self::Reap => "reap",
        })
    }
}

/// Asks, and says what came of it.
pub fn run(options: &Actions) -> Result {
    let source = Source::open(&options.source)?;
    source.must_be_asked()?;
    if options.target.len() > Name::MAX {
        let what = format!("`{}` is longer than a name can be", options.target);
        return Err(Trouble::new(what).advise("chanmon top shows the names that there are."));
    }
    let action = match options.action {
        Deed::Close => Action::Close,
        Deed::Drain => Action::Drain,
        Deed::Compact => Action::Compact,
        // The command line requires one.
        Deed::Reap => Action::Reap { age: options.age.unwrap_or(u32::MAX) },
    };
    let mut reports = Reports::of(source);
    reports.ask(&Request::Act { target: Name::new(&options.target), action })?;
    loop {
        match reports.next()? {
            Some(News::Outcome(outcome)) => {
                println!("{}", sentence(options.action, &options.target, outcome)?);
                return Ok(());
            }
            Some(News::Picture(_)) => {}
            None => return Err(Trouble::new("the process did not answer")),
        }
    }
}

/// What came of it, or why nothing did.
fn sentence(deed: Deed, target: &str, outcome: Outcome) -> Result<String> {
    let refused = |what: String, advice: &str| Err(Trouble::new(what).advise(advice));
    match (outcome, deed) {
        (Outcome::Done(0), Deed::Close) => Ok(format!("{target} was closed already")),
        (Outcome::Done(_), Deed::Close) => Ok(format!("{target} is closed")),
        (Outcome::Done(values), Deed::Drain) => {
            Ok(format!("{target}: {} dropped", count(values, ["value", "values"])))
        }
        (Outcome::Done(pages), Deed::Compact) => {
            Ok(format!("{target}: {} moved", count(pages, ["page", "pages"])))
        }
        (Outcome::Reaped { payloads, bytes }, _) => {
            Ok(format!("{target}: {} of {bytes} B freed", count(payloads, ["payload", "payloads"])))
        }
        (Outcome::Busy, _) => refused(
            format!("cannot {deed} {target}: a channel does not show everything that waits in it"),
            "A permit is held or wanted, or senders are being let in. Nothing was done; try again.",
        ),
        (Outcome::Forbidden, _) => refused(
            format!("cannot {deed} {target}: the process does not allow actions"),
            "It must be built to allow them: serve(…, Serving { actions: true }).",
        ),
        (Outcome::Unknown, _) => refused(
            format!("cannot {deed} {target}: nothing of that name is registered"),
            "chanmon top shows the names that there are.",
        ),
        (Outcome::Unsuited, _) => refused(
            format!("cannot {deed} {target}: it is nothing that can do this"),
            "Channels close; those that are registered as drainable drain; arenas compact, and reap if the process is built with `stamps`.",
        ),
        (outcome, _) => refused(
            format!("cannot {deed} {target}: the process answered {outcome:?}"),
            "Is this chanmon of the same version as the process?",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_done_is_said() {
        let said = |deed, outcome| sentence(deed, "jobs", outcome).expect("done");
        assert_eq!(said(Deed::Close, Outcome::Done(1)), "jobs is closed");
        assert_eq!(said(Deed::Close, Outcome::Done(0)), "jobs was closed already");
        assert_eq!(said(Deed::Drain, Outcome::Done(3)), "jobs: 3 values dropped");
        assert_eq!(said(Deed::Compact, Outcome::Done(1)), "jobs: 1 page moved");
        let reaped = Outcome::Reaped { payloads: 2, bytes: 70 };
        assert_eq!(said(Deed::Reap, reaped), "jobs: 2 payloads of 70 B freed");
    }

    #[test]
    fn what_was_refused_is_an_error_with_advice() {
        let refused =
            |outcome| sentence(Deed::Drain, "jobs", outcome).expect_err("refused").to_string();
        assert!(refused(Outcome::Forbidden).contains("does not allow actions\nIt must be built"));
        assert!(refused(Outcome::Busy).contains("Nothing was done; try again"));
        assert!(refused(Outcome::Unknown).contains("nothing of that name"));
        assert!(refused(Outcome::Unsuited).contains("registered as drainable"));
        assert!(refused(Outcome::Unreadable).contains("same version"));
    }
}
