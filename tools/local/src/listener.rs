//! Ports of this machine by either of its names.

use std::{io, net::IpAddr};

use tokio::net::{TcpListener, TcpStream};

/// One port, on the IPv4 loopback address and, where the machine has it, on the IPv6 one: a client
/// that looks `localhost` up may try either of them first.
#[derive(Debug)]
pub struct Listener {
    first: TcpListener,
    second: Option<TcpListener>,
    port: u16,
}

impl Listener {
    /// Takes a port; 0 for a free one. With `address` it listens there instead of on loopback.
    ///
    /// # Errors
    /// If the port is in use on one of the addresses.
    pub async fn bind(port: u16, address: Option<IpAddr>) -> io::Result<Self> {
        /// How many free ports are tried until one is free on both addresses.
        const TRIES: usize = 20;
        if let Some(address) = address {
            let first = TcpListener::bind((address, port)).await?;
            let port = first.local_addr()?.port();
            return Ok(Self { first, second: None, port });
        }
        let mut tries = TRIES;
        loop {
            let first = TcpListener::bind(("127.0.0.1", port)).await?;
            let chosen = first.local_addr()?.port();
            tries -= 1;
            match TcpListener::bind(("::1", chosen)).await {
                Ok(second) => return Ok(Self { first, second: Some(second), port: chosen }),
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                    if port != 0 || tries == 0 {
                        return Err(error);
                    }
                }
                // No IPv6 here.
                Err(_) => return Ok(Self { first, second: None, port: chosen }),
            }
        }
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The next connection.
    ///
    /// # Errors
    /// If the operating system refuses to accept any.
    pub async fn accept(&self) -> io::Result<TcpStream> {
        let (client, _) = match &self.second {
            None => self.first.accept().await?,
            Some(second) => tokio::select! {
                accepted = self.first.accept() => accepted?,
                accepted = second.accept() => accepted?,
            },
        };
        Ok(client)
    }
}
