//! Has the program built anew when the page was. Nothing is built here: a program without a page needs no Node.

fn main() {
    // The folder around the page is always there, so that Cargo looks at it and not at every start.
    println!("cargo:rerun-if-changed=../../web/dist");
    println!("cargo:rerun-if-changed=build.rs");
}
