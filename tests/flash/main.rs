//! The journal in flash, on a flash that is simulated.
//!
//! | module | what is shown |
//! |---|---|
//! | `power` | power cuts at every write and every erase, and at those of recoveries: nothing is lost, nothing is made up, the log opens |
//! | `space` | it is full when what lives fills it, and at no other time; erases are made when there is time |
//! | `damage` | flipped bits, garbage, reads and writes that fail |
//! | `keys` | messages that are sent twice are kept once |
//! | `queue` | a queue over it |
//! | `figures` | what a message costs |

#[path = "../common/random.rs"]
mod random;

mod chip;
mod damage;
mod figures;
mod keys;
mod power;
mod queue;
mod script;
mod space;
