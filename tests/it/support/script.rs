//! A loopback HTTP server that answers by script, well or badly, and remembers
//! what it was asked.
//!
//! Written on bare TCP, because much of what it has to do (reset, cut off, hang)
//! is what HTTP libraries prevent.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// One request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// The method.
    pub(crate) method: String,
    /// Path and query.
    pub(crate) target: String,
    /// Headers, names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    /// The body.
    pub(crate) body: Vec<u8>,
}

impl Seen {
    /// The path without query.
    pub(crate) fn path(&self) -> &str {
        self.target.split('?').next().unwrap()
    }

    /// The parameters, from the address or from a form.
    pub(crate) fn parameters(&self) -> BTreeMap<String, String> {
        let query = self.target.split_once('?').map(|(_, query)| query);
        let raw = query.map_or(&*self.body, str::as_bytes);
        url::form_urlencoded::parse(raw).into_owned().collect()
    }

    /// A header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// What the server does with a request.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// Answers as told, with a length.
    Whole {
        /// The status.
        status: u16,
        /// Headers besides the length.
        headers: Vec<(String, String)>,
        /// The body.
        body: Vec<u8>,
    },
    /// Promises `promised` bytes, sends `body` and closes.
    CutOff {
        /// What it announces.
        promised: usize,
        /// What it sends.
        body: Vec<u8>,
    },
    /// Sends this many bytes of white space as JSON.
    Flood(usize),
    /// Says nothing.
    Hang,
    /// Begins an answer of any length and says nothing more.
    Open,
    /// Resets the connection.
    Reset,
}

impl Reply {
    /// JSON with this status.
    pub(crate) fn json(status: u16, body: &serde_json::Value) -> Self {
        Self::text(status, "application/json; charset=utf-8", &body.to_string())
    }

    /// A body of this type.
    pub(crate) fn text(status: u16, content_type: &str, body: &str) -> Self {
        Self::Whole {
            status,
            headers: vec![("content-type".to_owned(), content_type.to_owned())],
            body: body.as_bytes().to_vec(),
        }
    }

    /// Only a status.
    pub(crate) fn status(status: u16) -> Self {
        Self::Whole {
            status,
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    /// The same with one more header.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        if let Self::Whole { headers, .. } = &mut self {
            headers.push((name.to_owned(), value.to_owned()));
        }
        self
    }
}

type Answer = dyn Fn(&Seen) -> Reply + Send + Sync;

/// The server. Ends when dropped.
pub(crate) struct Script {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    task: JoinHandle<()>,
}

impl Drop for Script {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Script {
    /// Starts a server that answers by `answer`.
    pub(crate) async fn start(answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let answer: Arc<Answer> = Arc::new(answer);
        let log = seen.clone();
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                // Head and body go out apart; without this each answer takes 40 ms.
                stream.set_nodelay(true).unwrap();
                connections.spawn(serve(stream, answer.clone(), log.clone()));
            }
        });
        Self {
            address,
            seen,
            task,
        }
    }

    /// Starts a server that always answers the same.
    pub(crate) async fn always(reply: Reply) -> Self {
        Self::start(move |_| reply.clone()).await
    }

    /// `http://127.0.0.1:PORT`.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Everything asked so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// Everything asked so far that was meant to change something.
    pub(crate) fn mutations(&self) -> Vec<Seen> {
        let mut seen = self.seen();
        seen.retain(|request| request.method != "GET");
        seen
    }

    /// The credentials it was ever shown.
    pub(crate) fn credentials(&self) -> Vec<String> {
        self.seen()
            .iter()
            .filter_map(|seen| seen.header("authorization").map(str::to_owned))
            .collect()
    }
}

async fn serve(stream: TcpStream, answer: Arc<Answer>, log: Arc<Mutex<Vec<Seen>>>) {
    let mut stream = BufReader::new(stream);
    while let Some(seen) = read_request(&mut stream).await {
        log.lock().unwrap().push(seen.clone());
        let reply = answer(&seen);
        if !perform(&mut stream, reply).await {
            return;
        }
    }
}

/// Carries a reply out; says whether the connection goes on.
async fn perform(stream: &mut BufReader<TcpStream>, reply: Reply) -> bool {
    match reply {
        Reply::Whole {
            status,
            headers,
            body,
        } => {
            let mut lines = vec![format!("HTTP/1.1 {status} X")];
            lines.extend(
                headers
                    .iter()
                    .map(|(name, value)| format!("{name}: {value}")),
            );
            if status != 204 && status != 304 {
                lines.push(format!("content-length: {}", body.len()));
            }
            let head = lines.join("\r\n") + "\r\n\r\n";
            let written = stream.get_mut().write_all(head.as_bytes()).await.is_ok();
            written && stream.get_mut().write_all(&body).await.is_ok()
        }
        Reply::CutOff { promised, body } => {
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\
                 content-length: {promised}\r\n\r\n"
            );
            if stream.get_mut().write_all(head.as_bytes()).await.is_ok() {
                // The client may be gone already, which is what is tested.
                drop(stream.get_mut().write_all(&body).await);
            }
            false
        }
        Reply::Flood(bytes) => {
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\
                 content-length: {bytes}\r\n\r\n"
            );
            let mut alive = stream.get_mut().write_all(head.as_bytes()).await.is_ok();
            let piece = vec![b' '; 64 * 1024];
            let mut left = bytes;
            while alive && left > 0 {
                let now = left.min(piece.len());
                alive = stream.get_mut().write_all(&piece[..now]).await.is_ok();
                left -= now;
            }
            alive
        }
        Reply::Open => {
            let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\
                        transfer-encoding: chunked\r\n\r\n";
            if stream.get_mut().write_all(head.as_bytes()).await.is_ok() {
                tokio::time::sleep(Duration::from_secs(3600)).await;
            }
            false
        }
        Reply::Hang => {
            tokio::time::sleep(Duration::from_secs(3600)).await;
            false
        }
        Reply::Reset => {
            // No linger: closing sends a reset instead of an orderly end.
            stream.get_ref().set_zero_linger().unwrap();
            false
        }
    }
}

async fn read_request(stream: &mut BufReader<TcpStream>) -> Option<Seen> {
    let mut line = String::new();
    stream.read_line(&mut line).await.ok()?;
    let mut words = line.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = headers
        .iter()
        .find(|(name, _)| name == "content-length")
        .and_then(|(_, value)| value.parse().ok())
        .unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some(Seen {
        method,
        target,
        headers,
        body,
    })
}
