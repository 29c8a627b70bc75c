//! Makes the types and servers of `proto/`, and the description that reflection answers. No program but Cargo is needed.

use prost::Message;
use std::{env, error::Error, fs, path::Path};

const FOLDER: &str = "../../proto";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed={FOLDER}");
    let files = ["callboard/v1/workflows.proto", "callboard/v1/runs.proto"];
    let descriptors = protox::compile(files, [FOLDER])?;
    let folder = env::var_os("OUT_DIR").ok_or("Cargo names no folder")?;
    fs::write(Path::new(&folder).join("descriptors.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure().build_client(false).compile_fds(descriptors)?;
    Ok(())
}
