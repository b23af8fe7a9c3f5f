//! Traces: calls to AWS as subsegments of the segment that Lambda makes of an invocation.
//!
//! A subsegment is one datagram to the X-Ray daemon, which Lambda runs beside the function
//! (<https://docs.aws.amazon.com/xray/latest/devguide/xray-api-segmentdocuments.html>). There are
//! crates for that; they bring OpenTelemetry or an exporter, and a megabyte. A request that is not
//! sampled costs a look at its trace header.

use std::{
    future::Future,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    sync::OnceLock,
};

use ratchet_core::{entropy::random, time::UnixMillis};
use ratchet_store::Call;
use serde::Serialize;

static DAEMON: OnceLock<Daemon> = OnceLock::new();

tokio::task_local! {
    /// The trace that this request belongs to, if it is sampled.
    static TRACE: Option<Trace>;
}

struct Daemon {
    socket: UdpSocket,
    address: SocketAddr,
}

/// Where a subsegment belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Trace {
    root: String,
    parent: String,
}

impl Trace {
    /// Reads a trace header, `Root=1-…;Parent=…;Sampled=1`. `None` unless it is sampled.
    fn parse(header: &str) -> Option<Self> {
        let field = |name: &str| {
            header.split(';').find_map(|field| field.trim().strip_prefix(name)?.strip_prefix('='))
        };
        if field("Sampled") != Some("1") {
            return None;
        }
        Some(Self { root: field("Root")?.to_owned(), parent: field("Parent")?.to_owned() })
    }
}

#[derive(Serialize)]
struct Subsegment<'a> {
    name: &'a str,
    id: String,
    trace_id: &'a str,
    parent_id: &'a str,
    r#type: &'static str,
    namespace: &'static str,
    start_time: f64,
    end_time: f64,
    error: bool,
    aws: Aws<'a>,
}

#[derive(Serialize)]
struct Aws<'a> {
    operation: &'a str,
}

/// Finds the daemon, at the address that Lambda names. Called once, at start; without one there are
/// no traces.
pub(crate) fn find_daemon(address: Option<&str>) {
    let Some(address) = address.and_then(|text| text.parse().ok()) else { return };
    if let Ok(socket) = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))
        && socket.set_nonblocking(true).is_ok()
    {
        DAEMON.get_or_init(|| Daemon { socket, address });
    }
}

/// Runs a request as part of the trace that its header names.
pub(crate) async fn within<F: Future>(header: Option<&str>, request: F) -> F::Output {
    let trace = header.filter(|_| DAEMON.get().is_some()).and_then(Trace::parse);
    TRACE.scope(trace, request).await
}

/// Sends a call as a subsegment. Losing one is no fault.
pub(crate) fn subsegment(call: &Call<'_>) {
    let Some(daemon) = DAEMON.get() else { return };
    let Ok(Some(document)) = TRACE.try_with(|trace| document(trace.as_ref()?, call)) else {
        return;
    };
    drop(daemon.socket.send_to(&document, daemon.address));
}

fn document(trace: &Trace, call: &Call<'_>) -> Option<Vec<u8>> {
    let mut datagram = br#"{"format":"json","version":1}"#.to_vec();
    datagram.push(b'\n');
    let subsegment = Subsegment {
        name: call.service,
        id: format!("{:016x}", u64::from_be_bytes(random().ok()?)),
        trace_id: &trace.root,
        parent_id: &trace.parent,
        r#type: "subsegment",
        namespace: "aws",
        start_time: seconds(call.begun),
        end_time: seconds(call.ended),
        error: call.failed,
        aws: Aws { operation: call.operation },
    };
    serde_json::to_writer(&mut datagram, &subsegment).ok()?;
    Some(datagram)
}

/// Seconds with milliseconds behind the point.
fn seconds(at: UnixMillis) -> f64 {
    let whole = u32::try_from(at.get() / 1000).unwrap_or(u32::MAX);
    let rest = u32::try_from(at.get() % 1000).unwrap_or_default();
    f64::from(whole) + f64::from(rest) / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str =
        "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";

    fn call() -> Call<'static> {
        Call {
            service: "DynamoDB",
            operation: "UpdateItem",
            begun: UnixMillis::new(1_700_000_000_123),
            ended: UnixMillis::new(1_700_000_000_456),
            failed: false,
        }
    }

    #[test]
    fn only_sampled_requests_are_traced() {
        assert!(Trace::parse(HEADER).is_some());
        for header in ["", "Root=1-2-3;Parent=4", &HEADER.replace("=1", "=0"), "Sampled=1"] {
            assert_eq!(Trace::parse(header), None, "{header}");
        }
    }

    #[tokio::test]
    async fn the_daemon_hears_of_calls_within_a_sampled_request_only() {
        let daemon = UdpSocket::bind("127.0.0.1:0").unwrap();
        daemon.set_read_timeout(Some(std::time::Duration::from_secs(5))).unwrap();
        find_daemon(Some(&daemon.local_addr().unwrap().to_string()));
        let unsampled = HEADER.replace("Sampled=1", "Sampled=0");
        subsegment(&call());
        within(None, async { subsegment(&call()) }).await;
        within(Some(&unsampled), async { subsegment(&call()) }).await;
        let sampled = Call { operation: "Query", ..call() };
        within(Some(HEADER), async { subsegment(&sampled) }).await;
        let mut datagram = [0; 2048];
        let length = daemon.recv(&mut datagram).unwrap();
        let first = String::from_utf8_lossy(&datagram[..length]);
        assert!(first.contains(r#""operation":"Query""#), "{first}");
    }

    #[test]
    fn a_call_is_a_subsegment_of_its_invocation() {
        let trace = Trace::parse(HEADER).unwrap();
        let datagram = String::from_utf8(document(&trace, &call()).unwrap()).unwrap();
        let (header, document) = datagram.split_once('\n').unwrap();
        assert_eq!(header, r#"{"format":"json","version":1}"#);
        let document: serde_json::Value = serde_json::from_str(document).unwrap();
        assert_eq!(document["trace_id"], "1-5759e988-bd862e3fe1be46a994272793");
        assert_eq!(document["parent_id"], "53995c3f42cd8ad8");
        assert_eq!(
            (&document["name"], &document["type"]),
            (&"DynamoDB".into(), &"subsegment".into())
        );
        assert_eq!(document["aws"]["operation"], "UpdateItem");
        assert_eq!(document["start_time"], 1_700_000_000.123);
        assert_eq!(document["end_time"], 1_700_000_000.456);
        assert_eq!(document["id"].as_str().unwrap().len(), 16);
    }
}
