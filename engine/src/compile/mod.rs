//! Documents → an immutable compiled form. Bad parts become problems and fail closed.
//!
//! What fails closed, and how: a match that does not compile matches nothing; a rule whose
//! action does not compile answers 500; a policy of which any part does not compile refuses
//! everything (in Shadow mode: says that it would).
//!
//! In flow order:

/// Collecting problems.
mod findings;

/// Conditions on single values.
mod value;

/// Host patterns and maps by host.
mod hosts;

/// Conditions of an alternative beyond host and path.
mod conditions;

/// Which alternative wins.
mod precedence;

/// A rule's preparations: header changes, rewrite, redirect, and all together.
mod header_changes;
mod redirect;
mod rewrite;
mod rule;

/// Rules by host and path.
mod table;

/// TCP rules.
mod tcp;

/// Who and what an authorization rule speaks of.
mod operation;
mod path_pattern;
mod source;

/// AuthPolicies.
pub(crate) mod authorization;

/// What the documents become.
mod gateway;
mod inbound;
mod service;

/// What a proxy would find wrong with a document.
mod check;

pub use check::check;
pub use gateway::{CompiledGateway, CompiledListener};
pub use header_changes::{Changeable, CompiledHeaderChanges};
pub use inbound::CompiledInbound;
pub use redirect::{CompiledRedirect, RedirectedRequest};
pub use rule::{CompiledAction, CompiledDirectResponse, CompiledHttpRule, CompiledRetry};
pub use service::{CompiledPort, CompiledService};
pub use tcp::CompiledTcpRule;

pub(crate) use findings::rule_name;
pub(crate) use hosts::HostPattern;
pub(crate) use path_pattern::PathPattern;
pub(crate) use redirect::split_query;
pub(crate) use source::Glob;
pub(crate) use table::{Match, RouteTable};
