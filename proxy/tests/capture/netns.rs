//! Network namespaces, as pods have them: made by `ip`, removed on drop.

use std::{
    fs::File,
    path::PathBuf,
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
    thread,
};

use nix::sched::{CloneFlags, setns};

/// Whether this process may make namespaces. Who may not is told so, by name.
pub(crate) fn may_run(test: &str) -> bool {
    let may = nix::unistd::geteuid().is_root();
    if !may {
        eprintln!("NOT RUN: {test} needs root and network namespaces");
    }
    may
}

/// A network namespace with a running loopback device.
pub(crate) struct Netns {
    name: String,
}

impl Netns {
    pub(crate) fn new(role: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let netns = Self {
            name: format!("weft-{}-{number}-{role}", std::process::id()),
        };
        ip(&["netns", "add", &netns.name]);
        netns.ip(&["link", "set", "lo", "up"]);
        netns
    }

    /// `ip` within it.
    pub(crate) fn ip(&self, arguments: &[&str]) {
        ip(&[&["-n", &self.name], arguments].concat());
    }

    /// A cable to another, with an address at each end.
    pub(crate) fn connect(&self, own: &str, other: &Netns, others: &str) {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let (here, there) = (format!("v{number}a"), format!("v{number}b"));
        self.ip(&[
            "link",
            "add",
            &here,
            "type",
            "veth",
            "peer",
            "name",
            &there,
            "netns",
            &other.name,
        ]);
        for (netns, device, address) in [(self, &here, own), (other, &there, others)] {
            netns.ip(&["addr", "add", &format!("{address}/24"), "dev", device]);
            netns.ip(&["link", "set", device, "up"]);
        }
    }

    /// From now on what is sent to a neighbour arrives nowhere, and nothing says so.
    pub(crate) fn lose(&self, neighbour: &str) {
        let output = Command::new("ip")
            .args(["-n", &self.name, "route", "get", neighbour])
            .output()
            .unwrap();
        let route = String::from_utf8_lossy(&output.stdout);
        let mut from_device = route.split_whitespace().skip_while(|word| *word != "dev");
        let device = from_device.nth(1).expect("a route to the neighbour");
        // Nobody's.
        let nobody = ["lladdr", "02:00:00:00:00:99", "nud", "permanent"];
        let neighbour = ["neigh", "replace", neighbour, "dev", device];
        self.ip(&[&neighbour[..], &nobody[..]].concat());
    }

    /// Runs on a thread of this namespace, to its end. Sockets and processes that are made there
    /// stay there.
    pub(crate) fn within<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let file = File::open(PathBuf::from("/var/run/netns").join(&self.name)).unwrap();
        thread::scope(|scope| {
            let thread = scope.spawn(move || {
                setns(file, CloneFlags::CLONE_NEWNET).unwrap();
                work()
            });
            match thread.join() {
                Ok(result) => result,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }
}

impl Drop for Netns {
    fn drop(&mut self) {
        let _ = Command::new("ip")
            .args(["netns", "del", &self.name])
            .status();
    }
}

fn ip(arguments: &[&str]) {
    let output = Command::new("ip").args(arguments).output().unwrap();
    assert!(
        output.status.success(),
        "ip {}: {}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr)
    );
}
