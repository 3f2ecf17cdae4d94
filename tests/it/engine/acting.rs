//! Clearing, verifying and driving.
