//! Drawn parts that several screens share.

pub mod bar;
pub mod chart;
pub mod steps;
pub mod strip;
pub mod table;
