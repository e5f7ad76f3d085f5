//! A dice.
