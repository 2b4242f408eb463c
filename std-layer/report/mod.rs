//! Reports of a running process: what is registered, at one moment or over time.
//!
//! A [`Registry`] knows channels, arenas and kernels by name. [`collect`](Registry::collect) takes a snapshot of
//! each, in a short critical section: traffic goes on, and no snapshot is torn. What comes of it, a
//! [`Report`], is written as [frames](Report::write_frames), as [JSON lines](Report::write_json), or as
//! [text for Prometheus](Report::prometheus); two of them show what is [stalled](StallDetector). On Linux
//! `serve` lets another process ask for reports over a socket.
//!
//! ```
//! use cloakroom::channel::{Buffered, Channel};
//! use cloakroom::std_layer::StdRawMutex;
//! use cloakroom::std_layer::report::Registry;
//!
//! static JOBS: Channel<StdRawMutex, u32, Buffered<8>> = Channel::new();
//!
//! let registry = Registry::new("server");
//! let _registered = registry.channel("jobs", &JOBS); // until it is dropped
//! JOBS.try_send(1)?;
//! let report = registry.collect();
//! assert_eq!(report.channel("jobs").map(|jobs| jobs.depth), Some(1));
//! assert!(report.prometheus().contains("cloakroom_channel_depth{source=\"server\",channel=\"jobs\"} 1\n"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod collected;
mod json;
#[cfg(target_os = "linux")]
mod place;
mod prometheus;
mod prometheus_histogram;
mod reap;
mod registry;
#[cfg(target_os = "linux")]
mod serve;
mod sightings;
mod stall;
mod watch;

pub use collected::{Assembler, Report, TooLongError};
pub use registry::{Registered, Registry};
#[cfg(target_os = "linux")]
pub use serve::{ServeError, Server, Serving, serve};
pub use stall::{Stall, StallDetector, Stalled};
pub use watch::{Kept, Watch};
