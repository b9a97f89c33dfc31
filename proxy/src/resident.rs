//! Memory that only the start needed. Reading the command line, certificates and the first
//! documents runs through most of the program's code once; its pages then stay mapped, and count
//! as this process's, though the steady state uses a fifth of them. They are given back when the
//! proxy is ready, and after many services were loaded at once. The file stays in the page cache:
//! what is needed again is mapped again without being read.

use std::{
    fs,
    num::NonZeroUsize,
    ptr::{NonNull, null_mut},
    time::Duration,
};

use nix::sys::mman::{MmapAdvise, madvise};
use tokio::time::{Instant, sleep, timeout};

use crate::config::ConfigStore;

/// Without news for so long, a start or a load is over.
const SETTLED: Duration = Duration::from_secs(1);

/// Services that are loaded until it is worth it again: reading them mapped what the start had.
const MANY: usize = 64;

/// Gives code back whenever it was needed for a while; never ends.
pub(crate) async fn release_what_settled(config: &ConfigStore) {
    let mut changes = config.changes();
    sleep(SETTLED).await;
    loop {
        release_freed();
        release_code();
        let before = config.service_count();
        while config.service_count() < before + MANY {
            if changes.changed().await.is_err() {
                return std::future::pending().await;
            }
            let latest = Instant::now() + SETTLED * 10;
            while timeout(SETTLED, changes.changed())
                .await
                .is_ok_and(|changed| changed.is_ok() && Instant::now() < latest)
            {}
        }
    }
}

/// Gives back what was freed and is kept for what may come: documents that were read, and tables
/// that grew. Not what a worker's thread keeps, which it will need.
fn release_freed() {
    // 4096 (`MALLCTL_ARENAS_ALL`) stands for every arena.
    for name in [c"thread.tcache.flush", c"arena.4096.purge"] {
        // SAFETY: the name ends in a zero, and both commands take and give no value.
        #[allow(unsafe_code)]
        let error = unsafe {
            tikv_jemalloc_sys::mallctl(name.as_ptr(), null_mut(), null_mut(), null_mut(), 0)
        };
        if error != 0 {
            tracing::debug!(?name, error, "freed memory is kept");
        }
    }
}

/// Gives back every page of the program's files that nothing has changed.
fn release_code() {
    // Without /proc nothing is released, and nothing else changes.
    let maps = fs::read_to_string("/proc/self/smaps").unwrap_or_default();
    for (begin, length) in unchanged(&maps) {
        let Some(address) = NonZeroUsize::new(begin) else {
            continue;
        };
        let address = NonNull::without_provenance(address);
        // SAFETY: the range is a mapping of this process that is backed by a file, that cannot be
        // written to and of which no page is a copy ("Anonymous: 0 kB": what was relocated is
        // one), so that every page of it comes back from the file as it was.
        #[allow(unsafe_code)]
        let released = unsafe { madvise(address, length, MmapAdvise::MADV_DONTNEED) };
        if let Err(error) = released {
            tracing::debug!(%error, "pages of the program stay mapped");
        }
    }
}

/// Begin and length of each mapping in `/proc/self/smaps` that is of a file, read-only, and as it
/// is in the file.
fn unchanged(maps: &str) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut current = None;
    for line in maps.lines() {
        match line.strip_prefix("Anonymous:") {
            Some(copied) if copied.trim() == "0 kB" => found.extend(current.take()),
            Some(_) => current = None,
            // Every mapping's head comes before its figures.
            None if !line
                .split(' ')
                .next()
                .is_some_and(|word| word.ends_with(':')) =>
            {
                current = of_file(line);
            }
            None => {}
        }
    }
    found
}

/// The range of a mapping's head, where it is of a file and read-only.
fn of_file(line: &str) -> Option<(usize, usize)> {
    let mut words = line.split_ascii_whitespace();
    let (begin, end) = words.next()?.split_once('-')?;
    let (permissions, _offset, _device) = (words.next()?, words.next()?, words.next()?);
    let inode: u64 = words.next()?.parse().ok()?;
    if !matches!(permissions, "r-xp" | "r--p") || inode == 0 {
        return None;
    }
    let begin = usize::from_str_radix(begin, 16).ok()?;
    let end = usize::from_str_radix(end, 16).ok()?;
    Some((begin, end.checked_sub(begin)?))
}

#[cfg(test)]
mod tests {
    use super::{release_code, release_freed, unchanged};

    #[test]
    fn only_what_is_as_in_its_file_is_released() {
        let mapping = |range: &str, permissions: &str, file: &str, copied: u32| {
            format!(
                "{range} {permissions} 00160000 {file}\nSize: 64 kB\nRss: 8 kB\nAnonymous: {copied:>10} kB\nVmFlags: rd ex mr mw me sd\n"
            )
        };
        let maps = [
            mapping("1000-3000", "r-xp", "fe:00 1234   /usr/bin/weft-proxy", 0),
            mapping("3000-4000", "r--p", "fe:00 1234   /usr/bin/weft-proxy", 0),
            mapping("4000-5000", "r--p", "fe:00 1234   /usr/bin/weft-proxy", 4),
            mapping("5000-6000", "rw-p", "fe:00 1234   /usr/bin/weft-proxy", 0),
            mapping("6000-7000", "r--s", "fe:00 1234   /dev/shm/x", 0),
            mapping("7000-8000", "r-xp", "00:00 0      [vdso]", 0),
            mapping("8000-9000", "r--p", "00:00 0", 0),
        ];
        let expected = [(0x1000, 0x2000), (0x3000, 0x1000)];
        assert_eq!(unchanged(&maps.concat()), expected);
        let real = std::fs::read_to_string("/proc/self/smaps").unwrap();
        assert!(!unchanged(&real).is_empty());
    }

    #[test]
    fn the_program_runs_on() {
        release_freed();
        release_code();
        assert!(format!("{}", 1.5f64.sqrt()).starts_with("1.22"));
    }
}
