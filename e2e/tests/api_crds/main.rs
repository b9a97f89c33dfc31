//! The three kinds on a real API server: they install, they refuse what is wrong with a message
//! that helps, they accept what is right, and kubectl shows them well.

/// The API server with the three kinds, shared by all tests.
mod stage;

/// The definitions themselves.
mod definitions;

/// What is wrong is refused, and the refusal helps.
mod refused;

/// What is right is accepted.
mod accepted;

/// What kubectl shows.
mod kubectl;
