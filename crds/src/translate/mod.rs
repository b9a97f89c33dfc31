//! One object's spec in the vocabulary of the config documents, on its own: what other objects
//! have to say comes with the World.

mod authorization;
mod client_policy;
mod findings;
mod route;
mod route_action;
mod route_match;
mod server_policy;
mod values;

pub(crate) use authorization::authorization;
pub(crate) use client_policy::{ClientField, client_fields, is_client_side};
pub(crate) use findings::Findings;
pub(crate) use route::{RouteRules, route};
pub(crate) use server_policy::{MtlsSetting, mtls};
