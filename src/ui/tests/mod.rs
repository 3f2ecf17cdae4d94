//! The cockpit as a whole, on the fixture's world and in virtual time.

mod acting;
mod frames;
mod looking;
mod narrow;
mod pictures;
mod safety;
mod stills;
mod truth;
