//! [`mailbox`]: a mail server.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _};

/// A mail server that takes everything, as text; gives its address.
pub async fn mailbox(taken: Arc<Mutex<String>>) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (lines, mut answers) = tokio::io::split(stream);
            let mut lines = tokio::io::BufReader::new(lines).lines();
            answers.write_all(b"220 mail.example.com ESMTP\r\n").await.unwrap();
            let mut is_content = false;
            while let Ok(Some(line)) = lines.next_line().await {
                taken.lock().unwrap().push_str(&format!("{line}\n"));
                let answer = match line.as_str() {
                    "." => "250 taken",
                    _ if is_content => continue,
                    "DATA" => "354 go on",
                    _ => "250 ok",
                };
                is_content = answer.starts_with("354");
                answers.write_all(format!("{answer}\r\n").as_bytes()).await.unwrap();
            }
        }
    });
    address
}
