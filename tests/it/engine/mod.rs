//! The engine, by what goes in and what comes out.

mod acting;
mod analyses;
mod attempts;
mod clearing;
mod correlation;
mod folding;
mod forgetting;
mod gates;
mod going_back;
mod indexes;
mod lanes;
mod order;
mod outages;
mod pipelines;
mod switching;
mod undoing;
mod whose;
mod windows;
mod words;
