//! A proxy between the functions and DynamoDB or Secrets Manager that injects faults.

use std::{
    collections::HashMap,
    io,
    net::SocketAddr,
    sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::recorder::{self, Recorder};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    runtime::{Builder, Runtime},
    task::JoinHandle,
};

/// The proxies have threads of their own, so that a test that blocks the shared runtime does not
/// hold up the functions of other tests.
static THREADS: LazyLock<Runtime> = LazyLock::new(|| {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
});

/// A fault of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The connection is closed before the call is forwarded.
    Refuse,
    /// The call arrives this much later.
    Delay(Duration),
    /// The call never arrives and gets no answer.
    Swallow,
    /// The call is applied and its answer is lost.
    ApplyAndDrop,
    /// The service answers with this error.
    Error(u16, &'static str),
    /// The same, with this message.
    Refusal(u16, &'static str, &'static str),
    /// A 200 whose body is cut short.
    Truncate,
}

impl Fault {
    pub(crate) const THROTTLED: Self = Self::Error(400, "ProvisionedThroughputExceededException");
    pub(crate) const CONFLICT: Self = Self::Error(400, "TransactionConflictException");
    pub(crate) const INTERNAL: Self = Self::Error(500, "InternalServerError");
    pub(crate) const DENIED: Self = Self::Error(400, "AccessDeniedException");
    pub(crate) const EXPIRED_CREDENTIALS: Self = Self::Error(400, "ExpiredTokenException");
}

/// The fault of an operation, and the calls that it affects.
#[derive(Debug, Clone, Copy)]
struct Plan {
    fault: Fault,
    /// How many calls succeed first.
    spared: usize,
    /// How many more calls fail; `None` for all.
    left: Option<usize>,
}

#[derive(Debug, Default)]
struct State {
    plans: HashMap<String, Plan>,
    calls: HashMap<String, usize>,
    tries: HashMap<String, usize>,
    recorder: Option<Recorder>,
}

/// A running proxy.
pub(crate) struct Proxy {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Proxy {
    /// A proxy before the service at `endpoint` (`http://host:port`).
    pub(crate) async fn before(endpoint: &str) -> Self {
        Self::start(endpoint, None).await
    }

    /// A proxy that forwards only calls that the recorder allows, and reports every call to it.
    pub(crate) async fn recording(endpoint: &str, recorder: Recorder) -> Self {
        Self::start(endpoint, Some(recorder)).await
    }

    async fn start(endpoint: &str, recorder: Option<Recorder>) -> Self {
        let upstream = endpoint.trim_start_matches("http://").trim_end_matches('/').to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let state = Arc::new(Mutex::new(State { recorder, ..State::default() }));
        let shared = Arc::clone(&state);
        let listener = listener.into_std().expect("a listener");
        let task = THREADS.spawn(async move {
            let listener = TcpListener::from_std(listener).expect("a listener");
            while let Ok((client, _)) = listener.accept().await {
                let (upstream, state) = (upstream.clone(), Arc::clone(&shared));
                // A connection ends with an error when either side hangs up, which is fine.
                tokio::spawn(async move { serve(client, &upstream, &state).await.unwrap_or(()) });
            }
        });
        Self { address, state, task }
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on, every call of `operation` (`UpdateItem`, …; `*` for all) fails.
    pub(crate) fn break_all(&self, operation: &str, fault: Fault) {
        self.plan(operation, Plan { fault, spared: 0, left: None });
    }

    /// The first `spared` calls of `operation` succeed. Every later one fails.
    pub(crate) fn break_after(&self, operation: &str, spared: usize, fault: Fault) {
        self.plan(operation, Plan { fault, spared, left: None });
    }

    /// The next `count` calls of `operation` fail.
    pub(crate) fn break_next(&self, operation: &str, count: usize, fault: Fault) {
        self.plan(operation, Plan { fault, spared: 0, left: Some(count) });
    }

    /// Removes all faults.
    pub(crate) fn heal(&self) {
        self.state().plans.clear();
    }

    /// How many calls of `operation` there were; `*` for all. Retries of the SDK do not count.
    pub(crate) fn calls(&self, operation: &str) -> usize {
        let state = self.state();
        if operation == "*" {
            state.calls.values().sum()
        } else {
            state.calls.get(operation).copied().unwrap_or_default()
        }
    }

    /// Waits until `request` has led to a call of `operation` beyond the `calls` so far.
    pub(crate) async fn arrived<T>(&self, operation: &str, calls: usize, request: &JoinHandle<T>) {
        while self.calls(operation) == calls {
            assert!(!request.is_finished(), "it was answered before {operation}");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// How many calls of `operation` there were, including retries.
    pub(crate) fn tries(&self, operation: &str) -> usize {
        self.state().tries.get(operation).copied().unwrap_or_default()
    }

    fn plan(&self, operation: &str, plan: Plan) {
        self.state().plans.insert(operation.to_owned(), plan);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts a call and returns its fault, if any.
fn next_fault(state: &Mutex<State>, operation: &str, is_first_try: bool) -> Option<Fault> {
    let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
    *state.calls.entry(operation.to_owned()).or_default() += usize::from(is_first_try);
    *state.tries.entry(operation.to_owned()).or_default() += 1;
    let name = if state.plans.contains_key(operation) { operation } else { "*" };
    let plan = state.plans.get_mut(name)?;
    if plan.spared > 0 {
        plan.spared -= 1;
        return None;
    }
    match &mut plan.left {
        None => Some(plan.fault),
        Some(0) => None,
        Some(left) => {
            *left -= 1;
            Some(plan.fault)
        }
    }
}

async fn serve(mut client: TcpStream, upstream: &str, state: &Mutex<State>) -> io::Result<()> {
    let mut upstream_connection = None;
    let mut buffer = Vec::new();
    loop {
        let Some(mut request) = read_message(&mut client, &mut buffer, false).await? else {
            return Ok(());
        };
        let recorder = state.lock().unwrap_or_else(PoisonError::into_inner).recorder.clone();
        let Call { operation, id, is_first_try } = Call::of(&request);
        let mut fault = next_fault(state, &operation, is_first_try);
        if let Some(recorder) = &recorder {
            if !recorder.allows(&operation, &request) {
                fault = Some(Fault::DENIED);
            } else if recorder.tally.is_some() {
                request = recorder::asking_for_its_cost(request);
            }
        }
        match fault {
            None => {}
            Some(Fault::Refuse) => return Ok(()),
            Some(Fault::Delay(delay)) => tokio::time::sleep(delay).await,
            Some(Fault::Swallow) => {
                tokio::time::sleep(Duration::from_secs(60)).await;
                return Ok(());
            }
            Some(Fault::ApplyAndDrop) => {
                forward(&mut upstream_connection, upstream, &request).await?;
                return Ok(());
            }
            Some(fault @ (Fault::Error(status, code) | Fault::Refusal(status, code, _))) => {
                let message =
                    if let Fault::Refusal(_, _, message) = fault { message } else { "injected" };
                let body = format!(r#"{{"__type":"com.amazonaws#{code}","message":"{message}"}}"#);
                let head = format!(
                    "HTTP/1.1 {status} Injected\r\ncontent-type: application/x-amz-json-1.0\r\n\
                     content-length: {}\r\n\r\n{body}",
                    body.len()
                );
                client.write_all(head.as_bytes()).await?;
                continue;
            }
            Some(Fault::Truncate) => {
                let answer = b"HTTP/1.1 200 OK\r\ncontent-type: application/x-amz-json-1.0\r\n\
                    content-length: 9\r\n\r\n{\"Item\":{";
                client.write_all(answer).await?;
                continue;
            }
        }
        let response = forward(&mut upstream_connection, upstream, &request).await?;
        if let Some(recorder) = recorder {
            recorder.answered(&operation, &id, &response);
        }
        client.write_all(&response).await?;
    }
}

/// What the head of a request says.
#[derive(Default)]
struct Call {
    /// The part after the dot in `x-amz-target`; for SES, which has paths instead, the one
    /// operation that is used.
    operation: String,
    /// The SDK's id of the call, the same for every try.
    id: String,
    is_first_try: bool,
}

impl Call {
    fn of(request: &[u8]) -> Self {
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut parsed = httparse::Request::new(&mut headers);
        if parsed.parse(request).is_err() {
            return Self::default();
        }
        let header = |name: &str| {
            let mut headers = parsed.headers.iter();
            let found = headers.find(|header| header.name.eq_ignore_ascii_case(name));
            found.map_or_else(Default::default, |found| String::from_utf8_lossy(found.value))
        };
        let is_ses =
            (parsed.method, parsed.path) == (Some("POST"), Some("/v2/email/outbound-emails"));
        let target = if is_ses { "SendEmail".into() } else { header("x-amz-target") };
        let tries = header("amz-sdk-request");
        Self {
            operation: target.rsplit('.').next().unwrap_or_default().to_owned(),
            id: header("amz-sdk-invocation-id").into_owned(),
            is_first_try: tries.is_empty()
                || tries.split(';').any(|part| part.trim() == "attempt=1"),
        }
    }
}

async fn forward(
    connection: &mut Option<TcpStream>,
    upstream: &str,
    request: &[u8],
) -> io::Result<Vec<u8>> {
    let mut stream = match connection.take() {
        // Servers close connections that have been idle for long.
        Some(stream) if !is_closed(&stream) => stream,
        _ => TcpStream::connect(upstream).await?,
    };
    stream.write_all(request).await?;
    let response = read_message(&mut stream, &mut Vec::new(), true).await?;
    let response = response.ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))?;
    *connection = Some(stream);
    Ok(response)
}

/// Whether the other side has hung up. It sends nothing before it gets a request.
fn is_closed(stream: &TcpStream) -> bool {
    !matches!(stream.try_read(&mut [0; 1]), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
}

/// Reads one whole HTTP/1.1 message with a content length or a chunked body.
async fn read_message(
    stream: &mut TcpStream,
    buffer: &mut Vec<u8>,
    is_response: bool,
) -> io::Result<Option<Vec<u8>>> {
    loop {
        if let Some(length) = message_length(buffer, is_response)? {
            let rest = buffer.split_off(length);
            return Ok(Some(std::mem::replace(buffer, rest)));
        }
        let mut chunk = vec![0; 16 * 1024];
        let read = stream.read(&mut chunk).await?;
        if read == 0 {
            return Ok(None);
        }
        buffer.extend_from_slice(&chunk[..read]);
    }
}

/// The length of the message at the beginning of `buffer`, once it is all there.
fn message_length(buffer: &[u8], is_response: bool) -> io::Result<Option<usize>> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let invalid = |_| io::Error::from(io::ErrorKind::InvalidData);
    let (head, headers) = if is_response {
        let mut response = httparse::Response::new(&mut headers);
        (response.parse(buffer).map_err(invalid)?, response.headers)
    } else {
        let mut request = httparse::Request::new(&mut headers);
        (request.parse(buffer).map_err(invalid)?, request.headers)
    };
    let httparse::Status::Complete(head) = head else { return Ok(None) };
    let value = |name: &str| {
        let header = headers.iter().find(|header| header.name.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(header.value).ok()
    };
    let length = match value("content-length").and_then(|length| length.parse::<usize>().ok()) {
        Some(length) => head + length,
        None if value("transfer-encoding").is_some() => {
            match buffer[head..].windows(5).position(|end| end == b"0\r\n\r\n") {
                Some(end) => head + end + 5,
                None => return Ok(None),
            }
        }
        None => head,
    };
    Ok((buffer.len() >= length).then_some(length))
}
