//! When calls are due.

use std::{
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use rustix::{
    io::read,
    time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
        timerfd_settime,
    },
};
use tokio::io::unix::AsyncFd;

use crate::Failure;

/// Moments in even steps. The timer of the runtime would be a millisecond late at times.
pub(super) struct Pace {
    due: Instant,
    step: Duration,
    timer: AsyncFd<OwnedFd>,
}

impl Pace {
    pub(super) fn begin(begin: Instant, step: Duration) -> Result<Self, Failure> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        let interval = Timespec {
            tv_sec: i64::try_from(step.as_secs())?,
            tv_nsec: i64::from(step.subsec_nanos()),
        };
        let every = Itimerspec { it_interval: interval, it_value: interval };
        timerfd_settime(&timer, TimerfdTimerFlags::empty(), &every)?;
        #[expect(deprecated, reason = "an owned descriptor is the one that it says")]
        let timer = AsyncFd::new(timer)?;
        Ok(Self { due: begin, step, timer })
    }

    /// Waits for the next one; it is over at once when it has passed.
    pub(super) async fn next(&mut self) -> Result<Instant, Failure> {
        self.due += self.step;
        while Instant::now() < self.due {
            let mut ready = self.timer.readable().await?;
            let taken = ready.try_io(|timer| Ok(read(timer.get_ref(), &mut [0; 8])?));
            if let Ok(taken) = taken {
                taken?;
            }
        }
        Ok(self.due)
    }
}
