//! Who runs on which core.

use std::{fs, future::poll_fn, io, pin::pin, time::Duration};

use rustix::thread::{CpuSet, sched_setaffinity};

use crate::Failure;

/// Where the server runs that is measured, and nothing else.
pub(super) const SERVER: &[usize] = &[0];
/// Where everything else runs: who calls, auth-service, and PostgreSQL, which has a machine of its own
/// wherever speed matters.
pub(super) const LOAD: &[usize] = &[1];
/// All that are used.
pub(super) const ALL: &[usize] = &[0, 1];

/// The ticks of a second in which the system counts the time of processes, on every Linux.
const TICKS: u64 = 100;

/// Keeps this thread, and what it starts from now on, on these cores.
pub(super) fn pin_to(cores: &[usize]) -> io::Result<()> {
    let mut set = CpuSet::new();
    for core in cores {
        set.set(*core);
    }
    Ok(sched_setaffinity(None, &set)?)
}

/// Does something on these cores, so that programs that it starts stay there.
pub(super) async fn on<T>(
    cores: &[usize],
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let mut work = pin!(work);
    poll_fn(|context| {
        pin_to(cores)?;
        let done = work.as_mut().poll(context);
        pin_to(LOAD)?;
        done
    })
    .await
}

/// How long these cores have been at work, for whomever.
pub(super) fn busy(cores: &[usize]) -> Result<Duration, Failure> {
    let stat = fs::read_to_string("/proc/stat")?;
    let mut busy = 0;
    for core in cores {
        let name = format!("cpu{core} ");
        let ticks = stat.lines().find_map(|line| line.strip_prefix(&name));
        let ticks: Result<Vec<u64>, _> =
            ticks.unwrap_or_default().split(' ').map(str::parse).collect();
        // For people, for nice ones, for the system; idle and waiting; for interrupts.
        let at_work =
            ticks?.into_iter().enumerate().filter(|(place, _)| [0, 1, 2, 5, 6].contains(place));
        busy += at_work.map(|(_, ticks)| ticks).sum::<u64>();
    }
    Ok(Duration::from_millis(busy * (1_000 / TICKS)))
}

/// A process, by its id.
#[derive(Debug, Clone, Copy)]
pub(super) struct Process(pub(super) u32);

impl Process {
    /// How long it has been on a core.
    pub(super) fn cpu(self) -> Result<Duration, Failure> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0))?;
        // The name of the program, in parentheses, may hold anything.
        let (_, rest) = stat.rsplit_once(") ").ok_or("/proc tells of no process")?;
        let ticks: Result<Vec<u64>, _> = rest.split(' ').skip(11).take(2).map(str::parse).collect();
        Ok(Duration::from_millis(ticks?.iter().sum::<u64>() * (1_000 / TICKS)))
    }

    /// How much memory it has, in KiB: `VmRSS` now, `VmHWM` at the most.
    pub(super) fn memory(self, which: &str) -> Result<u64, Failure> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0))?;
        let line = status.lines().find_map(|line| line.strip_prefix(which)?.strip_prefix(':'));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
        Ok(kib.ok_or("/proc does not tell how much memory there is")?.parse()?)
    }
}
