//! Messages of nf_tables (linux/netfilter/nf_tables.h). Numbers in attributes are big-endian;
//! a register holds what the packet or the kernel's own integer holds.

use super::{
    rule::{Action, Rule, Test},
    ruleset::{Chain, Family, Hook, Ruleset, TABLE},
};

const SUBSYSTEM: u16 = 10; // NFNL_SUBSYS_NFTABLES
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;
const NEW_TABLE: u16 = 0;
const DELETE_TABLE: u16 = 2;
const NEW_CHAIN: u16 = 3;
const NEW_RULE: u16 = 6;

const REQUEST: u16 = 0x1;
const ACK: u16 = 0x4;
const CREATE: u16 = 0x400;
const APPEND: u16 = 0x800;

const NESTED: u16 = 0x8000;
const REGISTER_1: u32 = 1;
const REGISTER_VERDICT: u32 = 0;
/// The loopback device is the first of every network namespace.
const LOOPBACK_INDEX: u32 = 1;
const TCP: u8 = 6;

/// The sequence number of the batch's first message; the rest follow.
pub(super) const FIRST: u32 = 1;

/// A batch that puts a ruleset in the place of its predecessor. The kernel takes it whole or not
/// at all, and acknowledges its last change.
pub(super) fn batch(ruleset: &Ruleset) -> Vec<u8> {
    let family = match ruleset.family {
        Family::Ipv4 => 2,
        Family::Ipv6 => 10,
    };
    let mut batch = Batch {
        bytes: Vec::new(),
        sequence: FIRST,
    };
    batch.push(BATCH_BEGIN, REQUEST, 0, SUBSYSTEM, |_| {});
    let table = |body: &mut Attributes| body.text(1, TABLE);
    // Deleting what is not there fails: it is made first, and is empty or the predecessor.
    batch.change(NEW_TABLE, CREATE, family, table);
    batch.change(DELETE_TABLE, 0, family, table);
    batch.change(NEW_TABLE, CREATE, family, table);
    for chain in &ruleset.chains {
        batch.change(NEW_CHAIN, CREATE, family, |body| describe(chain, body));
    }
    let rules = ruleset
        .chains
        .iter()
        .flat_map(|chain| chain.rules.iter().map(move |rule| (chain.name, rule)));
    let count = rules.clone().count();
    for (at, (chain, rule)) in rules.enumerate() {
        let ack = if at + 1 == count { ACK } else { 0 };
        batch.change(NEW_RULE, CREATE | APPEND | ack, family, |body| {
            body.text(1, TABLE);
            body.text(2, chain);
            body.nested(4, |list| express(rule, list));
        });
    }
    batch.push(BATCH_END, REQUEST, 0, SUBSYSTEM, |_| {});
    batch.bytes
}

fn describe(chain: &Chain, body: &mut Attributes) {
    let (kind, hook, priority) = match chain.hook {
        Hook::NatOutput => ("nat", 3, -100),
        Hook::NatPrerouting => ("nat", 0, -100),
        Hook::FilterInput => ("filter", 1, 0),
    };
    body.text(1, TABLE);
    body.text(3, chain.name);
    body.nested(4, |place| {
        place.number(1, hook);
        place.bytes(2, &i32::to_be_bytes(priority));
    });
    body.number(5, 1); // policy accept
    body.text(7, kind);
}

/// A rule's expressions: load into register 1 and compare, test by test, then act.
fn express(rule: &Rule, list: &mut Attributes) {
    for test in &rule.tests {
        match *test {
            Test::Tcp => {
                meta(list, 16);
                compare(list, EQUAL, &[TCP]);
            }
            Test::FromLoopback => {
                meta(list, 4);
                compare(list, EQUAL, &LOOPBACK_INDEX.to_ne_bytes());
            }
            Test::ToLoopback => {
                meta(list, 5);
                compare(list, EQUAL, &LOOPBACK_INDEX.to_ne_bytes());
            }
            Test::User(uid) => {
                meta(list, 10);
                compare(list, EQUAL, &uid.to_ne_bytes());
            }
            Test::Source(address) => {
                payload(list, NETWORK, 12, 4);
                compare(list, EQUAL, &address.octets());
            }
            Test::Destination(net) => {
                payload(list, NETWORK, 16, 4);
                mask(list, &net.netmask().octets());
                compare(list, EQUAL, &net.network().octets());
            }
            Test::Ports(ports) => {
                payload(list, TRANSPORT, 2, 2);
                if ports.first == ports.last {
                    compare(list, EQUAL, &ports.first.to_be_bytes());
                } else {
                    compare(list, AT_LEAST, &ports.first.to_be_bytes());
                    compare(list, AT_MOST, &ports.last.to_be_bytes());
                }
            }
            Test::Opens => {
                const SYN: u8 = 0x02;
                const SYN_AND_ACK: u8 = 0x12;
                payload(list, TRANSPORT, 13, 1);
                mask(list, &[SYN_AND_ACK]);
                compare(list, EQUAL, &[SYN]);
            }
        }
    }
    match rule.action {
        Action::Accept => verdict(list, 1),
        Action::Drop => verdict(list, 0),
        Action::Redirect(port) => {
            expression(list, "immediate", |body| {
                body.number(1, REGISTER_1);
                body.nested(2, |data| data.bytes(1, &port.to_be_bytes()));
            });
            expression(list, "redir", |body| body.number(1, REGISTER_1));
        }
    }
}

const EQUAL: u32 = 0;
const AT_MOST: u32 = 3;
const AT_LEAST: u32 = 5;
const NETWORK: u32 = 1;
const TRANSPORT: u32 = 2;

fn expression(list: &mut Attributes, name: &str, body: impl FnOnce(&mut Attributes)) {
    list.nested(1, |element| {
        element.text(1, name);
        element.nested(2, body);
    });
}

fn meta(list: &mut Attributes, key: u32) {
    expression(list, "meta", |body| {
        body.number(2, key);
        body.number(1, REGISTER_1);
    });
}

fn payload(list: &mut Attributes, base: u32, offset: u32, length: u32) {
    expression(list, "payload", |body| {
        body.number(1, REGISTER_1);
        body.number(2, base);
        body.number(3, offset);
        body.number(4, length);
    });
}

fn mask(list: &mut Attributes, mask: &[u8]) {
    expression(list, "bitwise", |body| {
        body.number(1, REGISTER_1);
        body.number(2, REGISTER_1);
        body.number(3, u32::try_from(mask.len()).unwrap_or_default());
        body.nested(4, |data| data.bytes(1, mask));
        body.nested(5, |data| data.bytes(1, &vec![0; mask.len()]));
    });
}

fn compare(list: &mut Attributes, operator: u32, value: &[u8]) {
    expression(list, "cmp", |body| {
        body.number(1, REGISTER_1);
        body.number(2, operator);
        body.nested(3, |data| data.bytes(1, value));
    });
}

fn verdict(list: &mut Attributes, code: u32) {
    expression(list, "immediate", |body| {
        body.number(1, REGISTER_VERDICT);
        body.nested(2, |data| data.nested(2, |verdict| verdict.number(1, code)));
    });
}

struct Batch {
    bytes: Vec<u8>,
    sequence: u32,
}

impl Batch {
    fn change(&mut self, kind: u16, flags: u16, family: u8, body: impl FnOnce(&mut Attributes)) {
        self.push(SUBSYSTEM << 8 | kind, REQUEST | flags, family, 0, body);
    }

    fn push(
        &mut self,
        kind: u16,
        flags: u16,
        family: u8,
        resource: u16,
        body: impl FnOnce(&mut Attributes),
    ) {
        let mut attributes = Attributes(Vec::new());
        body(&mut attributes);
        // nlmsghdr is 16 bytes, nfgenmsg 4; attributes are padded already.
        let length = u32::try_from(20 + attributes.0.len()).unwrap_or(u32::MAX);
        self.bytes.extend(length.to_ne_bytes());
        self.bytes.extend(kind.to_ne_bytes());
        self.bytes.extend(flags.to_ne_bytes());
        self.bytes.extend(self.sequence.to_ne_bytes());
        self.bytes.extend(0_u32.to_ne_bytes());
        self.bytes.extend([family, 0]);
        self.bytes.extend(resource.to_be_bytes());
        self.bytes.extend(attributes.0);
        self.sequence += 1;
    }
}

/// netlink attributes: length, kind, bytes, padding to four.
struct Attributes(Vec<u8>);

impl Attributes {
    fn bytes(&mut self, kind: u16, value: &[u8]) {
        let length = u16::try_from(4 + value.len()).unwrap_or(u16::MAX);
        self.0.extend(length.to_ne_bytes());
        self.0.extend(kind.to_ne_bytes());
        self.0.extend(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
    }

    fn number(&mut self, kind: u16, value: u32) {
        self.bytes(kind, &value.to_be_bytes());
    }

    fn text(&mut self, kind: u16, value: &str) {
        let mut bytes = value.as_bytes().to_vec();
        bytes.push(0);
        self.bytes(kind, &bytes);
    }

    fn nested(&mut self, kind: u16, body: impl FnOnce(&mut Attributes)) {
        let mut inner = Attributes(Vec::new());
        body(&mut inner);
        self.bytes(kind | NESTED, &inner.0);
    }
}
