//! A proxy before DynamoDB or another store that counts calls by operation, and can delay them.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use crate::message::Requests;

/// Operations that write: each call is a write request.
pub const WRITES: [&str; 6] = [
    "UpdateItem",
    "PutItem",
    "DeleteItem",
    "TransactWriteItems",
    "BatchWriteItem",
    "ExecuteStatement",
];

/// What was sent for each operation.
pub type Counts = BTreeMap<String, Count>;

/// What was sent for one operation.
#[derive(Clone, Copy, Debug, Default)]
pub struct Count {
    /// How often it was called.
    pub calls: u32,
    /// The length of all its requests' bodies.
    pub bytes: u32,
}

/// A running proxy.
#[derive(Debug)]
pub struct CountingProxy {
    address: SocketAddr,
    counts: Arc<Mutex<Counts>>,
}

impl CountingProxy {
    /// Listens on a free port and passes everything on to `upstream`, an `http://` URL, each call
    /// after `delay`.
    ///
    /// # Errors
    /// If there is no free port.
    pub fn start(upstream: &str, delay: Duration) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let counts = Arc::new(Mutex::new(Counts::new()));
        let upstream = upstream.trim_start_matches("http://").trim_end_matches('/').to_owned();
        let counting = Arc::clone(&counts);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let (upstream, counts) = (upstream.clone(), Arc::clone(&counting));
                // A connection that breaks is the function's to notice.
                thread::spawn(move || pass_on(&client, &upstream, delay, &counts).ok());
            }
        });
        Ok(Self { address, counts })
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What has been counted since it was last asked.
    pub fn take(&self) -> Counts {
        std::mem::take(&mut self.counts.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn pass_on(
    client: &TcpStream,
    upstream: &str,
    delay: Duration,
    counts: &Mutex<Counts>,
) -> io::Result<()> {
    let server = TcpStream::connect(upstream)?;
    server.set_nodelay(true)?;
    client.set_nodelay(true)?;
    let (mut answers, mut back) = (server.try_clone()?, client.try_clone()?);
    thread::spawn(move || {
        // Either end may close the connection at any time.
        io::copy(&mut answers, &mut back).ok();
        back.shutdown(Shutdown::Both).ok();
    });
    let mut server = server;
    let mut requests = Requests::new(client);
    while let Some(request) = requests.next()? {
        let target = request.target.as_deref().unwrap_or_default();
        let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
        let bytes = u32::try_from(request.body().len()).unwrap_or(u32::MAX);
        {
            let mut counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
            let count = counts.entry(operation).or_default();
            count.calls += 1;
            count.bytes = count.bytes.saturating_add(bytes);
        }
        thread::sleep(delay);
        server.write_all(&request.raw)?;
    }
    server.shutdown(Shutdown::Both)
}
