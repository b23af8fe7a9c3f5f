//! The Lambda runtime API, version 2018-06-01, on loopback.
//!
//! Connections are served by plain threads, and both ends of an interval are taken right where
//! bytes are written and read: what the driver does before and after is in no figure.

use std::{
    collections::HashMap,
    io::{self, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, Sender, channel},
    },
    thread,
    time::{Duration, Instant},
};

use crate::{clock, message::Requests};

/// What a function is given for an answer; it only has to lie ahead.
const DEADLINE: Duration = Duration::from_secs(10);

/// The runtime API of any number of functions, each below a path of its own.
#[derive(Debug)]
pub struct RuntimeApi {
    address: SocketAddr,
    functions: Functions,
    next: AtomicU64,
}

type Functions = Arc<Mutex<HashMap<String, Arc<Served>>>>;

/// What a function does next.
#[derive(Debug)]
pub enum Step {
    /// It has initialised, or has done with the last event, and asks for the next one.
    Ready(Instant),
    /// It has answered.
    Answered(Exchange),
    /// It has reported an error instead.
    Failed(#[expect(dead_code, reason = "it is read by its Debug form, in messages")] String),
}

/// An event and its answer.
#[derive(Debug)]
pub struct Exchange {
    /// Before the first byte of the event was written.
    pub begun: Instant,
    /// After the last byte of the answer was read.
    pub ended: Instant,
    /// The answer, in the gateway's format.
    pub answer: Vec<u8>,
}

/// One function's end of the wire, as its connections see it.
#[derive(Debug)]
struct Served {
    events: Mutex<Receiver<String>>,
    steps: Sender<Step>,
    begun: Mutex<Option<Instant>>,
}

/// One function's end of the wire, as the driver sees it.
#[derive(Debug)]
pub struct Line {
    /// The value of `AWS_LAMBDA_RUNTIME_API`.
    pub url: String,
    /// Takes events.
    pub events: Sender<String>,
    /// Tells what becomes of them.
    pub steps: Receiver<Step>,
    key: String,
    functions: Functions,
}

impl Drop for Line {
    fn drop(&mut self) {
        locked(&self.functions).remove(&self.key);
    }
}

impl RuntimeApi {
    /// Listens on a free port.
    ///
    /// # Errors
    /// If there is none.
    pub fn start() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let functions = Functions::default();
        let known = Arc::clone(&functions);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let known = Arc::clone(&known);
                // A connection that breaks is one of a function that was ended.
                thread::spawn(move || serve(&stream, &known).ok());
            }
        });
        Ok(Self { address, functions, next: AtomicU64::new(0) })
    }

    /// A line for one more function.
    pub fn line(&self) -> Line {
        let key = self.next.fetch_add(1, Ordering::Relaxed).to_string();
        let (events, take) = channel();
        let (tell, steps) = channel();
        let served = Served { events: Mutex::new(take), steps: tell, begun: Mutex::new(None) };
        locked(&self.functions).insert(key.clone(), Arc::new(served));
        Line {
            url: format!("http://{}/{key}", self.address),
            events,
            steps,
            key,
            functions: Arc::clone(&self.functions),
        }
    }
}

fn serve(stream: &TcpStream, functions: &Functions) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut out = stream;
    let mut requests = Requests::new(stream);
    while let Some(request) = requests.next()? {
        let now = clock::now();
        let mut path = request.path.splitn(3, '/').skip(1);
        let (key, call) = (path.next().unwrap_or_default(), path.next().unwrap_or_default());
        let Some(served) = locked(functions).get(key).cloned() else { return Ok(()) };
        match call.rsplit('/').next() {
            Some("next") => {
                tell(&served, Step::Ready(now))?;
                // Without a sender of events, the driver has given up this function.
                let Ok(event) = locked(&served.events).recv() else { return Ok(()) };
                let bytes = next_event(&event);
                *locked(&served.begun) = Some(clock::now());
                out.write_all(&bytes)?;
            }
            Some("response") => {
                if let Some(begun) = locked(&served.begun).take() {
                    let answer = request.body().to_vec();
                    tell(&served, Step::Answered(Exchange { begun, ended: now, answer }))?;
                }
                accept(out)?;
            }
            _ => {
                let report = String::from_utf8_lossy(request.body());
                tell(&served, Step::Failed(format!("{call}: {report}")))?;
                accept(out)?;
            }
        }
    }
    Ok(())
}

fn tell(served: &Served, step: Step) -> io::Result<()> {
    served.steps.send(step).map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))
}

fn next_event(event: &str) -> Vec<u8> {
    let deadline = clock::since_epoch() + DEADLINE;
    format!(
        "HTTP/1.1 200 OK\r\n\
         Content-Type: application/json\r\n\
         Lambda-Runtime-Aws-Request-Id: 8476a536-e9f4-11e8-9739-2dfe598c3fcd\r\n\
         Lambda-Runtime-Deadline-Ms: {}\r\n\
         Lambda-Runtime-Invoked-Function-Arn: arn:aws:lambda:us-east-1:123456789012:function:f\r\n\
         Lambda-Runtime-Trace-Id: Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Sampled=0\r\n\
         Content-Length: {}\r\n\r\n{event}",
        deadline.as_millis(),
        event.len()
    )
    .into_bytes()
}

fn accept(mut out: &TcpStream) -> io::Result<()> {
    out.write_all(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
