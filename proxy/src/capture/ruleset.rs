use std::{fmt, net::Ipv4Addr};

use super::{
    Arguments, Ports,
    rule::{Action, Rule, Test},
};

/// A table of the mesh's own: replacing it disturbs nobody else's rules.
pub(super) const TABLE: &str = "weft";

/// From where the proxy calls its own pod. Such a call must come in as anybody's does, through
/// the inbound listener, though it never leaves the loopback device; what the inbound listener
/// delivers to the application comes from the pod's own address.
pub(crate) const SELF_CALL: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 6);

/// The address family of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    Ipv4,
    Ipv6,
}

/// Where a chain hooks in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hook {
    /// Destinations of what this pod's processes send.
    NatOutput,
    /// Destinations of what arrives.
    NatPrerouting,
    /// What arrives for this pod.
    FilterInput,
}

/// Rules at one hook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Chain {
    pub(super) name: &'static str,
    pub(super) hook: Hook,
    pub(super) rules: Vec<Rule>,
}

/// One address family's table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ruleset {
    pub(super) family: Family,
    pub(super) chains: Vec<Chain>,
}

impl Ruleset {
    /// The rules that the command line means, of IPv4 and of IPv6.
    pub fn of(arguments: &Arguments) -> [Self; 2] {
        [
            Self {
                family: Family::Ipv4,
                chains: vec![outbound(arguments), inbound(arguments)],
            },
            Self {
                family: Family::Ipv6,
                chains: vec![closed(arguments)],
            },
        ]
    }
}

fn outbound(arguments: &Arguments) -> Chain {
    let proxy = Test::User(arguments.proxy_uid);
    let mut rules = vec![
        Rule::new(
            [Test::Tcp, Test::ToLoopback, proxy, Test::Source(SELF_CALL)],
            Action::Redirect(arguments.inbound_port),
        ),
        Rule::new([proxy], Action::Accept),
    ];
    // The pod's own address too: containers of one pod talk to each other directly.
    rules.push(Rule::new([Test::ToLoopback], Action::Accept));
    let users = arguments.exclude_uids.iter();
    rules.extend(users.map(|uid| Rule::new([Test::User(*uid)], Action::Accept)));
    let ranges = arguments.exclude_outbound_cidrs.iter();
    rules.extend(ranges.map(|net| Rule::new([Test::Destination(*net)], Action::Accept)));
    rules.extend(left_out(&arguments.exclude_outbound_ports));
    rules.push(Rule::new(
        [Test::Tcp],
        Action::Redirect(arguments.outbound_port),
    ));
    Chain {
        name: "outbound",
        hook: Hook::NatOutput,
        rules,
    }
}

fn inbound(arguments: &Arguments) -> Chain {
    let mut rules = vec![Rule::new([Test::FromLoopback], Action::Accept)];
    rules.extend(left_out(&arguments.exclude_inbound_ports));
    rules.push(Rule::new(
        [Test::Tcp],
        Action::Redirect(arguments.inbound_port),
    ));
    Chain {
        name: "inbound",
        hook: Hook::NatPrerouting,
        rules,
    }
}

/// The proxy takes IPv4 only. What it does not see it cannot protect, so no connection is opened
/// to the pod over IPv6; what the pod opens goes out as it is.
fn closed(arguments: &Arguments) -> Chain {
    let mut rules = vec![Rule::new([Test::FromLoopback], Action::Accept)];
    rules.extend(left_out(&arguments.exclude_inbound_ports));
    rules.push(Rule::new([Test::Tcp, Test::Opens], Action::Drop));
    Chain {
        name: "closed",
        hook: Hook::FilterInput,
        rules,
    }
}

fn left_out(ports: &[Ports]) -> impl Iterator<Item = Rule> {
    ports
        .iter()
        .map(|ports| Rule::new([Test::Tcp, Test::Ports(*ports)], Action::Accept))
}

impl Family {
    fn as_str(self) -> &'static str {
        match self {
            Self::Ipv4 => "ip",
            Self::Ipv6 => "ip6",
        }
    }
}

impl Hook {
    /// Numbers, not names: older nft knows fewer names.
    fn as_str(self) -> &'static str {
        match self {
            Self::NatOutput => "type nat hook output priority -100",
            Self::NatPrerouting => "type nat hook prerouting priority -100",
            Self::FilterInput => "type filter hook input priority 0",
        }
    }
}

impl fmt::Display for Ruleset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "table {} {TABLE} {{", self.family.as_str())?;
        for chain in &self.chains {
            writeln!(f, "  chain {} {{", chain.name)?;
            writeln!(f, "    {}; policy accept;", chain.hook.as_str())?;
            for rule in &chain.rules {
                writeln!(f, "    {rule}")?;
            }
            writeln!(f, "  }}")?;
        }
        f.write_str("}")
    }
}
