//! Deciding a TCP connection.

use std::net::IpAddr;

use super::{
    authorize::authorize,
    verdict::{Scope, TcpDecision, Verdict},
};
use crate::{
    facts::{Peer, Traffic},
    trace::{Observer, Step},
};

/// Decides a TCP connection. `destination`: the address and port that the client dialled (outbound).
///
/// Inbound, conditions that only HTTP carries never satisfy an Allow rule and always satisfy a
/// Deny rule. A gateway listener carries no TCP rules: [`Verdict::NoRoute`].
pub fn decide_tcp<'c>(
    scope: Scope<'c>,
    destination: (IpAddr, u16),
    peer: &Peer<'_>,
    observer: &mut impl Observer,
) -> TcpDecision<'c> {
    let mut reasons = Vec::new();
    let verdict = match scope {
        Scope::Outbound(port) => match &port.tcp {
            None => Verdict::Proceed(None),
            Some(rules) => {
                let found = rules.iter().find(|rule| {
                    let matched = rule.matches(destination);
                    observer.step(|| Step {
                        phase: "route".to_owned(),
                        rule: rule.id.to_string(),
                        matched,
                        detail: if matched {
                            format!("{}:{}", destination.0, destination.1)
                        } else {
                            "neither port nor address is named".to_owned()
                        },
                    });
                    matched
                });
                found.map_or(Verdict::NoRoute, |rule| Verdict::Proceed(Some(rule)))
            }
        },
        Scope::Inbound(inbound, port) => {
            let traffic = Traffic {
                http: None,
                port,
                peer,
            };
            match authorize(&inbound.authorization, &traffic, &mut reasons, observer) {
                Some(denial) => Verdict::Denied(denial),
                None => Verdict::Proceed(None),
            }
        }
        Scope::Gateway(_) => Verdict::NoRoute,
    };
    TcpDecision { verdict, reasons }
}
