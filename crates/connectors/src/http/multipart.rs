//! `multipart/form-data`, as browsers write it (RFC 7578).

use callboard_core::Hash;
use zeroize::Zeroizing;

/// A field, or a file.
pub(super) struct Part {
    pub name: String,
    /// The name of the file, if it is one.
    pub file: Option<String>,
    pub kind: Option<String>,
    pub content: Zeroizing<Vec<u8>>,
}

/// Writes the parts and returns them with their boundary. The same parts under the same seed give the same bytes, so that
/// a call that is made again is the same call.
pub(super) fn write(parts: &[Part], seed: &str) -> (Zeroizing<Vec<u8>>, String) {
    let mut n = 0_u32;
    let boundary = loop {
        let boundary = format!("callboard-{}", Hash::chain(&[seed.as_bytes(), &n.to_le_bytes()]));
        // No part may have the boundary in it, however it came there.
        if !parts.iter().any(|part| has(&part.content, boundary.as_bytes())) {
            break boundary;
        }
        n += 1;
    };
    let size: usize = parts.iter().map(|part| part.content.len() + 512 + 4 * part.name.len()).sum();
    let mut out = Zeroizing::new(Vec::with_capacity(size + 128));
    for part in parts {
        out.extend_from_slice(format!("--{boundary}\r\n").as_bytes());
        out.extend_from_slice(
            format!("Content-Disposition: form-data; name=\"{}\"", quoted(&part.name)).as_bytes(),
        );
        if let Some(file) = &part.file {
            out.extend_from_slice(format!("; filename=\"{}\"", quoted(file)).as_bytes());
        }
        if let Some(kind) = &part.kind {
            out.extend_from_slice(format!("\r\nContent-Type: {kind}").as_bytes());
        }
        out.extend_from_slice(b"\r\n\r\n");
        out.extend_from_slice(&part.content);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    (out, boundary)
}

/// Writes a name such that it stays one: as WHATWG has browsers do it.
fn quoted(name: &str) -> String {
    name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A")
}

fn has(content: &[u8], part: &[u8]) -> bool {
    content.windows(part.len()).any(|window| window == part)
}
