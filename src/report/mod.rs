//! What is known, as text and as JSON, for commands, copies and the ledger's readers.
//!
//! Pure functions of the world. Findings are structured; the sentences people
//! read are made here and nowhere else. JSON carries a schema number, raised
//! when a reader would misunderstand the new form.

pub mod json;
pub mod objects;
pub mod plain;
pub mod words;

/// The version of every JSON document this crate prints.
pub const SCHEMA: u32 = 1;
