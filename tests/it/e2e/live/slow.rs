//! A client of Socket.IO that reads nothing for a while. Its window is small, so that little is on its way.

use serde_json::{Value, json};
use std::net::SocketAddr;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
};

pub struct Slow(TcpStream);

impl Slow {
    /// Connects, and is let in.
    pub async fn connect(at: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(4 << 10).expect("a small window");
        let mut slow = Self(socket.connect(at).await.expect("a connection"));
        let head = format!(
            "GET /ws/?EIO=4&transport=websocket HTTP/1.1\r\nHost: {at}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        slow.0.write_all(head.as_bytes()).await.expect("sent");
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(slow.0.read_u8().await.expect("an answer"));
        }
        assert!(head.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&head));
        assert!(slow.text().await.starts_with('0'), "it is open");
        slow.write("40{}").await;
        assert!(slow.text().await.starts_with("40"), "it is let in");
        slow
    }

    pub async fn emit(&mut self, event: &str, body: Value) {
        self.write(&format!("42{}", json!([event, body]))).await;
    }

    /// Returns the next event that comes.
    pub async fn next(&mut self) -> (String, Value) {
        loop {
            let text = self.text().await;
            if text == "2" {
                self.write("3").await;
            } else if let Some(event) = text.strip_prefix("42") {
                return serde_json::from_str(event).expect("an event");
            }
        }
    }

    async fn write(&mut self, text: &str) {
        let length = u8::try_from(text.len()).ok().filter(|length| *length < 126).expect("a short one");
        // Masked by nothing but zeros.
        let mut frame = vec![0x81, 0x80 | length, 0, 0, 0, 0];
        frame.extend(text.as_bytes());
        self.0.write_all(&frame).await.expect("sent");
    }

    async fn text(&mut self) -> String {
        assert_eq!(self.0.read_u8().await.expect("a frame"), 0x81);
        let length = match self.0.read_u8().await.expect("a length") {
            126 => u64::from(self.0.read_u16().await.expect("a length")),
            127 => self.0.read_u64().await.expect("a length"),
            short => u64::from(short),
        };
        let mut text = vec![0; length as usize];
        self.0.read_exact(&mut text).await.expect("a text");
        String::from_utf8(text).expect("UTF-8")
    }
}
