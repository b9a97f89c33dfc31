use std::{fs, thread};

use super::*;

/// The scheduling policy of a task, field 41 of proc(5); 0 is SCHED_OTHER, 2 is SCHED_RR.
fn policy(task: &str) -> String {
    let stat = fs::read_to_string(format!("/proc/{task}/stat")).expect("a task");
    let (_, rest) = stat.rsplit_once(')').expect("a name");
    rest.split_whitespace().nth(38).expect("fields").to_owned()
}

#[test]
fn what_is_ahead_goes_back_to_its_place() {
    let allowed = Command::new("chrt").args(["--rr", "1", "true"]).status();
    if !allowed.is_ok_and(|status| status.success()) {
        eprintln!("skipped: this user may not give real-time priority");
        return;
    }
    let mut other = Command::new("sleep").arg("60").spawn().expect("a process");
    let policies = |own: &str| [policy(own), policy(&other.id().to_string())];
    let ahead = Ahead::of(&[other.id()]);
    let is_whole = ahead.is_whole();
    let during = policies("thread-self");
    let started = thread::spawn(|| policy("thread-self")).join();
    drop(ahead);
    let after = policies("thread-self");
    other.kill().and_then(|()| other.wait()).expect("its end");
    assert!(is_whole);
    assert_eq!(during, ["2", "2"]);
    assert_eq!(started.expect("a thread"), "2");
    assert_eq!(after, ["0", "0"]);
}
