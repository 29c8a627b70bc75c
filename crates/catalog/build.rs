//! Builds again when a migration changes: the macro that embeds them does not say so.

fn main() {
    // `sqlx::migrate!` embeds the files; cargo does not see them by itself.
    println!("cargo:rerun-if-changed=../../migrations/sqlite");
}
