use std::{fmt, str::FromStr};

use clap::Parser;
use ipnet::Ipv4Net;

/// Redirects the pod's connections to the proxy.
#[derive(Clone, Debug, Parser)]
#[command(name = "weft-proxy capture", version, about)]
pub struct Arguments {
    /// Where the proxy takes the application's connections, on loopback.
    #[arg(long, default_value_t = 15001)]
    pub outbound_port: u16,
    /// Where the proxy takes connections to the pod.
    #[arg(long, default_value_t = 15006)]
    pub inbound_port: u16,
    /// Whom the proxy runs as; its own connections are not captured.
    #[arg(long, default_value_t = 1337)]
    pub proxy_uid: u32,
    /// Ports of the pod that are reached directly: `15020,9000-9010`.
    #[arg(long, value_delimiter = ',')]
    pub exclude_inbound_ports: Vec<Ports>,
    /// Destination ports that are reached directly.
    #[arg(long, value_delimiter = ',')]
    pub exclude_outbound_ports: Vec<Ports>,
    /// Destination ranges that are reached directly.
    #[arg(long, value_delimiter = ',')]
    pub exclude_outbound_cidrs: Vec<Ipv4Net>,
    /// Users whose connections are not captured.
    #[arg(long, value_delimiter = ',')]
    pub exclude_uids: Vec<u32>,
    /// Only print the rules, in nft's syntax.
    #[arg(long)]
    pub print: bool,
}

/// A port, or a range of ports with both ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    /// The first.
    pub first: u16,
    /// The last; not below the first.
    pub last: u16,
}

impl FromStr for Ports {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const ERROR: &str = "expected a port or a range with the lower end first, e.g. `9000-9010`";
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let first = first.parse().map_err(|_| ERROR)?;
        let last = last.parse().map_err(|_| ERROR)?;
        if first > last || first == 0 {
            return Err(ERROR);
        }
        Ok(Self { first, last })
    }
}

impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            write!(f, "{}", self.first)
        } else {
            write!(f, "{}-{}", self.first, self.last)
        }
    }
}
