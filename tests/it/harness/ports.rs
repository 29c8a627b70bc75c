//! Ports that nobody else takes, also not between the moment they are chosen and the moment
//! a child binds them, and again when that child is restarted.
//!
//! Asking the kernel for a free port and letting it go is a race with every other test and
//! with every outgoing connection. So ports come from below the range the kernel gives out
//! by itself, in blocks; a block belongs to this process as long as it listens on the
//! block's first port, which it does until it ends.

use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;
use std::sync::Mutex;

const RANGE: Range<u16> = 10_000..32_000;
const BLOCK: u16 = 50;

static BLOCKS: Mutex<Option<Block>> = Mutex::new(None);
static GUARDS: Mutex<Vec<TcpListener>> = Mutex::new(Vec::new());

struct Block {
    next: u16,
    end: u16,
}

/// Returns a port on 127.0.0.1 that is free and that no other harness hands out.
pub fn free_port() -> u16 {
    let mut block = BLOCKS.lock().expect("no panic while a port is chosen");
    loop {
        if let Some(open) = block.as_mut() {
            while open.next < open.end {
                let port = open.next;
                open.next += 1;
                if bind(port).is_some() {
                    return port;
                }
            }
        }
        *block = Some(claim());
    }
}

fn claim() -> Block {
    let blocks = (RANGE.end - RANGE.start) / BLOCK;
    // Processes begin at different places, so that they rarely compete for a block.
    let first = (std::process::id() % u32::from(blocks)) as u16;
    for step in 0..blocks {
        let start = RANGE.start + ((first + step * 7) % blocks) * BLOCK;
        if let Some(guard) = bind(start) {
            GUARDS.lock().expect("no panic while a block is claimed").push(guard);
            return Block { next: start + 1, end: start + BLOCK };
        }
    }
    panic!("no free block of ports between {} and {}", RANGE.start, RANGE.end);
}

fn bind(port: u16) -> Option<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok()
}
