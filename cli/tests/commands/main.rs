//! The real binary, command by command, on the sample mesh and on the corpus.

mod arguments;
mod corpus;
mod install;
mod lint;
mod weft;
mod why;
