//! Makes the types and servers of `proto/`, and the description that reflection answers: no program but Cargo is needed. And has the
//! program built anew when the page was, which is not built here: a program without a page needs no Node.

use prost::Message;
use std::{env, error::Error, fs, path::Path};

const FOLDER: &str = "../../proto";

fn main() -> Result<(), Box<dyn Error>> {
    // The folder around the page is always there, so that Cargo looks at it and not at every start.
    println!("cargo:rerun-if-changed=../../web/dist");
    println!("cargo:rerun-if-changed={FOLDER}");
    println!("cargo:rerun-if-changed=build.rs");
    let files = ["callboard/v1/workflows.proto", "callboard/v1/runs.proto"];
    let descriptors = protox::compile(files, [FOLDER])?;
    let folder = env::var_os("OUT_DIR").ok_or("Cargo names no folder")?;
    fs::write(Path::new(&folder).join("descriptors.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure().build_client(false).compile_fds(descriptors)?;
    Ok(())
}
