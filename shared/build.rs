//! Compiles the protos in pure Rust, so that nobody needs `protoc`, and keeps the descriptor set
//! for server reflection.

use std::{env, error::Error, fs, path::PathBuf};

const ROOT: &str = "../proto";
const FILES: [&str; 5] = [
    "taskmanager/auth/v1/auth_service.proto",
    "taskmanager/auth/v1/trust_service.proto",
    "taskmanager/auth/v1/user_service.proto",
    "taskmanager/task/v1/project_service.proto",
    "taskmanager/task/v1/task_service.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed={ROOT}");
    let mut compiler = protox::Compiler::new([ROOT])?;
    compiler.include_source_info(true).include_imports(true).open_files(FILES)?;
    #[expect(clippy::disallowed_methods, reason = "cargo tells a build script by the environment")]
    let out = PathBuf::from(env::var("OUT_DIR")?);
    // This encoding keeps custom options, which `FileDescriptorSet` would drop.
    fs::write(out.join("descriptors.bin"), compiler.encode_file_descriptor_set())?;
    // In one order, wherever they are written down.
    let builder = tonic_prost_build::configure().btree_map(".");
    builder.compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}
