//! The engine, by what goes in and what comes out.

mod acting;
mod correlation;
mod folding;
mod gates;
mod lanes;
mod outages;
