//! The cockpit as people use it: keys in, frames and effects out.

mod acting;
mod frames;
mod looking;
mod pictures;
mod safety;
