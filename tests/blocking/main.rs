//! Programs written for crossbeam-channel, run with it and with what stands in for it: the same text, the same results.
//!
//! A program returns a transcript of all that it has seen. Random ones draw from the same numbers in both.
#![cfg(all(feature = "std", not(any(loom, shuttle))))]

mod own;

/// The programs, with whatever is called `crossbeam_channel` where they are included.
macro_rules! programs {
    () => {
        pub mod operations {
            use super::crossbeam_channel;
            include!("operations.rs");
        }
        pub mod selects {
            use super::crossbeam_channel;
            include!("selects.rs");
        }
        pub mod macros {
            use super::crossbeam_channel;
            include!("macros.rs");
        }
        pub mod threads {
            use super::crossbeam_channel;
            include!("threads.rs");
        }
    };
}

mod ours {
    use cloakroom::blocking as crossbeam_channel;
    programs!();
}

mod theirs {
    pub use crossbeam_channel;
    programs!();
}

/// A test that runs a program on both.
macro_rules! same {
    ($($module:ident: $($program:ident)+;)+) => {
        $(
            mod $module {
                $(
                    #[test]
                    fn $program() {
                        let theirs = super::theirs::$module::$program();
                        let ours = super::ours::$module::$program();
                        assert!(!theirs.is_empty());
                        // Their errors show themselves in quotes, since lately.
                        let plain = |line: &String| line.replace('"', "");
                        for (line, (ours, theirs)) in ours.iter().zip(&theirs).enumerate() {
                            assert_eq!(plain(ours), plain(theirs), "line {line}");
                        }
                        assert_eq!(ours.len(), theirs.len());
                    }
                )+
            }
        )+
    };
}

same! {
    operations:
        random_operations endpoints_come_and_go errors_speak values_are_dropped iterators
        same_channels timers numbers_of_all_sizes;
    selects:
        random_selects dynamic_lists removing looking mistakes;
    macros:
        ways_to_write_it values_are_computed_late control_flow borrowed_endpoints defaults many_cases
        disconnected;
    threads:
        a_pipeline fan_in rendezvous_of_selects everybody_selects sieve ping_pong
        closing_wakes_everybody workers_and_a_tick;
}
