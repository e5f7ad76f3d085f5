//! vigie.
