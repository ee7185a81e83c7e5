//! What the machine can do by itself: append to a file so that it lasts, and hash passwords.

use std::{
    fs::File,
    hint::black_box,
    io::Write,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use argon2::{Algorithm, Argon2, Block, Params, Version};

use super::cores::pin_to;
use crate::Failure;

/// How much is appended each time.
const PAGE: [u8; 4_096] = [7; 4_096];

/// How often in a second a page can be appended to a file in this directory, and be on the disk.
pub(super) fn appends(directory: &Path, time: Duration) -> Result<f64, Failure> {
    let mut file = File::create(directory.join("appended"))?;
    per_second(time, || {
        file.write_all(&PAGE)?;
        Ok(file.sync_data()?)
    })
}

/// How many hashes these cores make in a second, with what a hash of auth-service costs.
pub(super) fn hashes(cores: &[usize], time: Duration) -> Result<f64, Failure> {
    thread::scope(|scope| {
        let threads = cores.iter().map(|core| scope.spawn(move || hashes_on(*core, time)));
        let threads: Vec<_> = threads.collect();
        threads.into_iter().map(|it| it.join().map_err(|_| "a thread has failed")?).sum()
    })
}

fn hashes_on(core: usize, time: Duration) -> Result<f64, Failure> {
    pin_to(&[core])?;
    let params = Params::new(19_456, 2, 1, None)?;
    let mut memory = vec![Block::default(); params.block_count()];
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    per_second(time, || {
        let (salt, mut hash) = ([3; 16], [0; 32]);
        argon2.hash_password_into_with_memory(b"a password", &salt, &mut hash, &mut memory)?;
        black_box(hash);
        Ok(())
    })
}

/// How often something can be done in a second.
fn per_second(
    time: Duration,
    mut done: impl FnMut() -> Result<(), Failure>,
) -> Result<f64, Failure> {
    let (begun, mut count) = (Instant::now(), 0_u32);
    while begun.elapsed() < time {
        done()?;
        count += 1;
    }
    Ok(f64::from(count) / begun.elapsed().as_secs_f64())
}
