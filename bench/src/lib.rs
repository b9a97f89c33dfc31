//! Figures, with the command that produced them.
