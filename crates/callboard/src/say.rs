//! What the program tells whoever called it: results on standard output, everything else on standard error.
//!
//! The reader may leave at any time (`callboard run FILE | head -1`). std's printing macros panic then, and the program
//! is the engine as well: so nothing else here writes to either of them.

use anyhow::Context;
use std::{
    fmt,
    io::{self, ErrorKind, Write},
};

/// Writes a line to standard error, formatted as by `format!`.
macro_rules! say {
    ($($text:tt)*) => { $crate::say::line(format_args!($($text)*)) };
}
pub(crate) use say;

/// Writes a line to standard error. Nobody may be there to read it: that stops nothing.
pub fn line(text: fmt::Arguments<'_>) {
    // In one piece, or the lines of several threads mix.
    let _ = io::stderr().write_all(format!("{text}\n").as_bytes());
}

/// Writes a result and a line break to standard output. A reader who left has read enough; a result that can't be
/// written for another reason, as on a full disk, is lost, which is an error.
pub fn result(text: &str) -> anyhow::Result<()> {
    part(text).map(drop)
}

/// Writes a part of a result and a line break in the same way. Returns whether somebody still reads: if not, what makes
/// the rest may end.
pub fn part(text: &str) -> anyhow::Result<bool> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.write_all(b"\n")).and_then(|()| out.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(error).context("standard output"),
    }
}
