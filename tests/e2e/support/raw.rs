//! Raw requests that no HTTP client would send.

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::World;

impl World {
    /// Sends a request of these lines, and returns the status and the rest of the response.
    pub(crate) async fn send_raw(&self, lines: &[&[u8]]) -> (u16, String) {
        let address = self.stack().base_url().strip_prefix("http://").expect("a plain http URL");
        let mut stream = TcpStream::connect(address).await.expect("a connection");
        let mut request = lines.join(&b"\r\n"[..]);
        request.extend_from_slice(b"\r\nconnection: close\r\n\r\n");
        stream.write_all(&request).await.expect("a sent request");
        let mut response = Vec::new();
        stream.read_to_end(&mut response).await.expect("a response");
        let response = String::from_utf8_lossy(&response).into_owned();
        let status = response.split(' ').nth(1).and_then(|status| status.parse().ok());
        (status.unwrap_or_else(|| panic!("no status: {response}")), response)
    }
}
