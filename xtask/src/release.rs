//! This program again, as it is released, with everything that it measures.

use std::{env, os::unix::process::CommandExt, process::Command};

use crate::{Failure, go_to_root};

/// What is built together.
const BUILDS: [&[&str]; 2] = [
    &["--package", "auth-service", "--package", "task-service"],
    &["--package", "bench", "--package", "xtask"],
];

/// Builds everything as it is released, and goes on as the release of this program, with these arguments.
///
/// The services are built by themselves: together with this program they would have its features.
pub(crate) fn run<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Result<(), Failure> {
    go_to_root()?;
    println!("building");
    for packages in BUILDS {
        let mut cargo = Command::new("cargo");
        let done = cargo.args(["build", "--quiet", "--release"]).args(packages).status()?;
        if !done.success() {
            return Err("the release does not build".into());
        }
    }
    let debug = env::current_exe()?;
    let target = debug.parent().and_then(|directory| directory.parent());
    let released = target.ok_or("there is no target directory")?.join("release").join("xtask");
    Err(Command::new(released).args(arguments).exec().into())
}
