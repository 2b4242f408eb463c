//! One operation, one intruder, and what may come of the two.

use core::arch::global_asm;
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use harness::println;
use systick::InstructionCounter;

/// What an operation returned, what its intruder returned, and the state they left.
pub type Outcome = (u32, u32, u32);

/// See the [module](self).
pub struct Scene {
    pub name: &'static str,
    /// Sets the stage.
    pub reset: fn(),
    pub operation: fn() -> u32,
    pub intruder: fn() -> u32,
    /// Looks at the state, and clears the stage.
    pub state: fn() -> u32,
    /// The outcome of the operation, then the intruder.
    pub before: Outcome,
    /// The outcome of the intruder, then the operation.
    pub after: Outcome,
    /// Whether some instruction is expected to break it.
    pub is_broken: bool,
}

/// A state that is wrong whatever the scene.
pub const UNCLEAN: u32 = u32::MAX;

/// `PHASE` while the operation runs.
const INSIDE: u32 = 1;
static PHASE: AtomicU32 = AtomicU32::new(0);
static INTRUDED: AtomicU32 = AtomicU32::new(NOT_YET);
static INTRUDER: Slot<Option<fn() -> u32>> = Slot::new(None);
static INTERRUPTED_AT: AtomicU32 = AtomicU32::new(NOT_YET);
const NOT_YET: u32 = u32::MAX - 1;

/// The longest operation, in instructions.
const LIMIT: u32 = 20_000;
/// The board's flash, a bit for each place where an instruction can begin.
const FLASH: usize = 256 * 1024;
static VISITED: Slot<[u32; FLASH / 2 / 32]> = Slot::new([0; FLASH / 2 / 32]);

/// A value that one context at a time uses: which one is the scene's to say.
pub struct Slot<T>(UnsafeCell<T>);

// SAFETY: there is one core, and `with` is unsafe: its callers see to it that contexts take turns.
unsafe impl<T> Sync for Slot<T> {}

impl<T> Slot<T> {
    pub const fn new(value: T) -> Self {
        Self(UnsafeCell::new(value))
    }

    /// Uses the value.
    ///
    /// # Safety
    /// No other use of this slot is under way, also not one that this one interrupts.
    pub unsafe fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        // SAFETY: by the caller's word nobody else has a reference.
        f(unsafe { &mut *self.0.get() })
    }
}

/// A value that all contexts share, and that is made anew for each run, so that each run is the same.
pub struct Fresh<T>(UnsafeCell<T>);

// SAFETY: it gives shared references only; for `renew` see there.
unsafe impl<T: Sync> Sync for Fresh<T> {}

impl<T> Fresh<T> {
    pub const fn new(value: T) -> Self {
        Self(UnsafeCell::new(value))
    }

    pub fn get(&'static self) -> &'static T {
        // SAFETY: shared, and `renew` is called only when nobody has such a reference.
        unsafe { &*self.0.get() }
    }

    /// Replaces the value.
    ///
    /// # Safety
    /// Nobody uses the value now, or what borrows it later.
    pub unsafe fn renew(&self, value: T) {
        // SAFETY: by the caller's word.
        unsafe { *self.0.get() = value };
    }
}

// `perform` calls an operation with `PHASE` set: whatever is executed after it has been left and before it
// is entered again is the operation. The handler finds the interrupted address in the core's stack frame.
global_asm!(
    ".global perform",
    ".type perform, %function",
    ".thumb_func",
    "perform:",
    "push {{r4, lr}}",
    "mov r4, r1",
    "movs r1, #1",
    "str r1, [r4]",
    "blx r0",
    "movs r1, #0",
    "str r1, [r4]",
    "pop {{r4, pc}}",
    ".size perform, . - perform",
    ".global perform_end",
    ".type perform_end, %function",
    ".thumb_func",
    "perform_end:",
    ".global SysTick",
    ".type SysTick, %function",
    ".thumb_func",
    "SysTick:",
    "mov r0, sp",
    "b {handle}",
    ".size SysTick, . - SysTick",
    handle = sym handle,
);

// SAFETY: both are defined above; `perform` keeps the calling convention (`operation` in r0, `phase` in
// r1, the result in r0), and `perform_end` is only ever taken the address of.
unsafe extern "C" {
    fn perform(operation: extern "C" fn() -> u32, phase: *const AtomicU32) -> u32;
    fn perform_end();
}

/// The SysTick handler, given the frame that the core has pushed.
extern "C" fn handle(frame: *const [u32; 8]) {
    systick::disarm();
    // SAFETY: the handler's first instruction copied the stack pointer, which points to the frame.
    let interrupted = unsafe { (*frame)[6] };
    // The lowest bit of a function's address says that it is Thumb code.
    let own = (perform as *const () as u32 & !1)..(perform_end as *const () as u32 & !1);
    if PHASE.load(Relaxed) != INSIDE || own.contains(&interrupted) {
        return;
    }
    INTERRUPTED_AT.store(interrupted, Relaxed);
    // SAFETY: written while SysTick is stopped only.
    if let Some(intruder) = unsafe { INTRUDER.with(|intruder| *intruder) } {
        INTRUDED.store(intruder(), Relaxed);
    }
}

static OPERATION: Slot<Option<fn() -> u32>> = Slot::new(None);

extern "C" fn operate() -> u32 {
    // SAFETY: written between operations only.
    let operation = unsafe { OPERATION.with(|operation| *operation) };
    operation.map_or(UNCLEAN, |operation| operation())
}

impl Scene {
    fn set(&self) {
        (self.reset)();
        // SAFETY: SysTick is stopped, and no operation is under way.
        unsafe {
            INTRUDER.with(|intruder| *intruder = Some(self.intruder));
            OPERATION.with(|operation| *operation = Some(self.operation));
        }
        INTRUDED.store(NOT_YET, Relaxed);
        INTERRUPTED_AT.store(NOT_YET, Relaxed);
    }

    /// Runs the operation once, undisturbed.
    pub fn trace(&self) {
        self.orders_hold();
        println!("scene {}", self.name);
        self.set();
        // SAFETY: `operate` is of the type that is called.
        unsafe { perform(operate, &raw const PHASE) };
        (self.intruder)();
        (self.state)();
    }

    /// Whether each of the two orders comes to what the scene says.
    fn orders_hold(&self) -> bool {
        (self.reset)();
        let before = ((self.operation)(), (self.intruder)(), (self.state)());
        (self.reset)();
        let intruded = (self.intruder)();
        let after = ((self.operation)(), intruded, (self.state)());
        if before != self.before || after != self.after {
            println!("FAILED {}: {before:?} and {after:?}, one after the other", self.name);
        }
        before == self.before && after == self.after
    }

    /// Interrupts the operation at each of its instructions, and says whether all went as it must.
    pub fn sweep(&self, counter: &mut InstructionCounter) -> bool {
        if !self.orders_hold() {
            return false;
        }
        // SAFETY: nobody else uses it.
        unsafe { VISITED.with(|visited| visited.fill(0)) };
        let (mut runs, mut wrong, mut last_was_after) = (0, 0, true);
        let mut begun = false;
        for instructions in 1..LIMIT {
            self.set();
            counter.arm(instructions);
            // SAFETY: `operate` is of the type that is called.
            let returned = unsafe { perform(operate, &raw const PHASE) };
            systick::disarm();

            let at = INTERRUPTED_AT.load(Relaxed);
            if at == NOT_YET {
                (self.intruder)();
                (self.state)();
                if begun {
                    return self.report(runs, wrong);
                }
                continue;
            }
            begun = true;
            runs += 1;
            visit(at);
            let outcome = (returned, INTRUDED.load(Relaxed), (self.state)());
            // Once the operation has come first, it does so for every later interrupt.
            let is_after = outcome == self.after && last_was_after;
            last_was_after = is_after || (last_was_after && self.before == self.after);
            if !is_after && outcome != self.before {
                wrong += 1;
                if wrong == 1 && !self.is_broken {
                    let name = self.name;
                    println!("FAILED {name}: {outcome:?} when interrupted at {at:#x}");
                }
            }
        }
        println!("FAILED {}: it does not end", self.name);
        false
    }

    fn report(&self, runs: u32, wrong: u32) -> bool {
        let (count, hash) = visited();
        println!(
            "swept {}: {runs} runs, {count} instructions, hash {hash:08x}, {wrong} wrong",
            self.name
        );
        if self.is_broken && wrong == 0 {
            println!("FAILED {}: it is broken, and that was not found", self.name);
        }
        (wrong > 0) == self.is_broken && runs > 0
    }
}

fn visit(address: u32) {
    let number = address as usize / 2;
    // SAFETY: nobody else uses it: the handler does not.
    unsafe {
        VISITED.with(|visited| {
            if let Some(word) = visited.get_mut(number / 32) {
                *word |= 1 << (number % 32);
            }
        });
    }
}

/// How many addresses were visited, and a hash of them in ascending order (FNV-1a, a word at a time).
fn visited() -> (u32, u32) {
    // SAFETY: nobody else uses it.
    unsafe {
        VISITED.with(|visited| {
            let (mut count, mut hash) = (0, 0x811c_9dc5u32);
            for (number, &word) in visited.iter().enumerate() {
                for bit in (0..32).filter(|bit| word & (1 << bit) != 0) {
                    let address = (number as u32 * 32 + bit) * 2;
                    count += 1;
                    hash = (hash ^ address).wrapping_mul(0x0100_0193);
                }
            }
            (count, hash)
        })
    }
}
