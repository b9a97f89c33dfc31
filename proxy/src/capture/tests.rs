use clap::Parser;

use super::{
    Arguments, Ports, Ruleset, message,
    netlink::{Answer, answer},
};

fn arguments(flags: &[&str]) -> Arguments {
    Arguments::try_parse_from(["capture"].iter().chain(flags)).expect("the flags parse")
}

#[test]
fn the_rules_say_what_the_command_line_means() {
    let arguments = arguments(&[
        "--exclude-inbound-ports=15020,9000-9010",
        "--exclude-outbound-ports=3306",
        "--exclude-outbound-cidrs=10.8.0.0/16",
        "--exclude-uids=999",
    ]);
    let [ipv4, ipv6] = Ruleset::of(&arguments);
    assert_eq!(
        ipv4.to_string(),
        "\
table ip weft {
  chain outbound {
    type nat hook output priority -100; policy accept;
    meta l4proto tcp oif lo meta skuid 1337 ip saddr 127.0.0.6 redirect to :15006
    meta skuid 1337 accept
    oif lo accept
    meta skuid 999 accept
    ip daddr 10.8.0.0/16 accept
    meta l4proto tcp tcp dport 3306 accept
    meta l4proto tcp redirect to :15001
  }
  chain inbound {
    type nat hook prerouting priority -100; policy accept;
    iif lo accept
    meta l4proto tcp tcp dport 15020 accept
    meta l4proto tcp tcp dport 9000-9010 accept
    meta l4proto tcp redirect to :15006
  }
}"
    );
    assert_eq!(
        ipv6.to_string(),
        "\
table ip6 weft {
  chain closed {
    type filter hook input priority 0; policy accept;
    iif lo accept
    meta l4proto tcp tcp dport 15020 accept
    meta l4proto tcp tcp dport 9000-9010 accept
    meta l4proto tcp tcp flags & (syn | ack) == syn drop
  }
}"
    );
}

#[test]
fn a_batch_is_a_sequence_of_whole_messages_of_which_the_last_change_asks_for_an_answer() {
    let [ipv4, _] = Ruleset::of(&arguments(&["--exclude-inbound-ports=15020"]));
    let batch = message::batch(&ipv4);
    let mut rest = &batch[..];
    let mut kinds = Vec::new();
    let mut asking = Vec::new();
    while !rest.is_empty() {
        let length = u32::from_ne_bytes(rest[..4].try_into().unwrap()) as usize;
        assert!(
            length >= 20 && length.is_multiple_of(4),
            "a message of {length} bytes"
        );
        kinds.push(u16::from_ne_bytes([rest[4], rest[5]]));
        asking.push(rest[6] & 4 != 0);
        let sequence = u32::from_ne_bytes(rest[8..12].try_into().unwrap());
        assert_eq!(sequence as usize, kinds.len());
        rest = &rest[length..];
    }
    assert_eq!(kinds[..4], [0x10, 0xa00, 0xa02, 0xa00]);
    assert_eq!(kinds.last(), Some(&0x11));
    let asking: Vec<_> = asking.iter().enumerate().filter(|(_, ask)| **ask).collect();
    assert_eq!(asking.len(), 1);
    assert_eq!(asking[0].0, kinds.len() - 2);
}

#[test]
fn an_answer_is_an_error_if_any_part_of_it_is() {
    let message = |sequence: u32, code: i32| {
        let mut bytes = Vec::new();
        bytes.extend(36_u32.to_ne_bytes());
        bytes.extend(2_u16.to_ne_bytes());
        bytes.extend([0, 0]);
        bytes.extend(sequence.to_ne_bytes());
        bytes.extend([0; 4]);
        bytes.extend(code.to_ne_bytes());
        bytes.extend([0; 16]);
        bytes
    };
    assert_eq!(answer(&message(9, 0)), Some(Answer::Done));
    let both = [message(9, 0), message(4, -1)].concat();
    assert_eq!(answer(&both), Some(Answer::Refused(4, 1)));
    assert_eq!(answer(&[]), None);
    assert_eq!(answer(&[0; 16]), None);
    assert_eq!(answer(&[1, 2, 3]), None);
}

#[test]
fn ports_that_mean_nothing_are_refused() {
    assert_eq!(
        "80".parse(),
        Ok(Ports {
            first: 80,
            last: 80
        })
    );
    assert_eq!(
        "80-90".parse(),
        Ok(Ports {
            first: 80,
            last: 90
        })
    );
    for text in ["", "0", "90-80", "80-", "x", "70000", "-1"] {
        assert!(text.parse::<Ports>().is_err(), "{text}");
    }
}
