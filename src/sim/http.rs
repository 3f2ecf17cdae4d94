//! What the three plain web backends of the demo share: a request, a reply, and
//! the ways a server can be made to fail.
//!
//! Each backend answers synchronously from memory, so one small trait is enough
//! and every test can call a backend without a socket. Faults are applied here,
//! before the backend is asked: a broken server does not first do what it was
//! told. Kubernetes has its own router, because watches stream.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::{Request as AxumRequest, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    response::Response,
};
use chrono::{DateTime, Utc};
use serde_json::Value;

use super::{clock::Clock, kubernetes::Fault};

/// Largest request body read; no client of these APIs sends more.
const BODY_LIMIT: usize = 8 * 1024 * 1024;
/// How often a hanging answer looks whether the fault was lifted.
const HANG_CHECK: Duration = Duration::from_millis(50);

/// One request, taken apart once.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: Method,
    /// The path as sent, without the query.
    pub(crate) path: String,
    /// The path's segments, percent-decoded.
    pub(crate) segments: Vec<String>,
    /// The query, decoded, in order.
    pub(crate) query: Vec<(String, String)>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) now: DateTime<Utc>,
}

impl Request {
    /// Takes a method, a path with query, headers and a body apart.
    pub(crate) fn new(
        method: Method,
        target: &str,
        headers: HeaderMap,
        body: Bytes,
        now: DateTime<Utc>,
    ) -> Self {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        Self {
            method,
            path: path.to_owned(),
            segments: path
                .split('/')
                .filter(|segment| !segment.is_empty())
                .map(percent_decoded)
                .collect(),
            query: form_pairs(query.as_bytes()),
            headers,
            body,
            now,
        }
    }

    /// The first value of a query parameter.
    pub(crate) fn param(&self, name: &str) -> Option<&str> {
        self.query
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// A header as text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The credential after `Bearer` or `token`, or the password of Basic.
    pub(crate) fn credential(&self) -> Option<String> {
        let value = self.header("authorization")?;
        let (scheme, rest) = value.split_once(' ')?;
        match scheme.to_ascii_lowercase().as_str() {
            "bearer" | "token" => Some(rest.trim().to_owned()),
            "basic" => {
                let text = base64_decoded(rest.trim())?;
                text.split_once(':')
                    .map(|(_, password)| password.to_owned())
            }
            _ => None,
        }
    }

    /// The body as JSON, `Null` when it is empty or no JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// The origin the client used, for links in answers.
    pub(crate) fn origin(&self) -> String {
        format!("http://{}", self.header("host").unwrap_or("127.0.0.1"))
    }
}

/// One answer.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Bytes,
}

impl Reply {
    /// A JSON answer.
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self::typed(status, "application/json; charset=utf-8", body.to_string())
    }

    /// An answer of any type.
    pub(crate) fn typed(status: u16, content_type: &str, body: impl Into<Bytes>) -> Self {
        Self {
            status,
            headers: vec![("content-type", content_type.to_owned())],
            body: body.into(),
        }
    }

    /// An answer without a body.
    pub(crate) fn empty(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Bytes::new(),
        }
    }

    /// The same answer with one more header.
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

impl From<Reply> for Response {
    fn from(reply: Reply) -> Self {
        let mut response = Self::new(Body::from(reply.body));
        *response.status_mut() =
            StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        for (name, value) in reply.headers {
            // Scenario text can reach a header; what cannot be a header is left out.
            if let Ok(value) = HeaderValue::from_str(&value) {
                response
                    .headers_mut()
                    .append(HeaderName::from_static(name), value);
            }
        }
        response
    }
}

/// A backend that answers from memory.
pub(crate) trait Site: Send + Sync + 'static {
    /// Answers one request; called from many tasks at once.
    fn answer(&self, request: &Request) -> Reply;
}

/// The fault a server has at the moment, shared with the script.
#[derive(Debug, Clone, Default)]
pub(crate) struct FaultSwitch(Arc<Mutex<Option<Fault>>>);

impl FaultSwitch {
    /// Breaks the server, or mends it with `None`.
    pub(crate) fn set(&self, fault: Option<Fault>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = fault;
    }

    /// What is wrong now.
    pub(crate) fn get(&self) -> Option<Fault> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Clone)]
struct Front {
    site: Arc<dyn Site>,
    faults: FaultSwitch,
    clock: Clock,
}

/// The router of one backend: faults first, then the backend itself.
pub(crate) fn router(site: Arc<dyn Site>, faults: FaultSwitch, clock: Clock) -> Router {
    Router::new().fallback(answer).with_state(Front {
        site,
        faults,
        clock,
    })
}

async fn answer(State(front): State<Front>, request: AxumRequest) -> Response {
    let mut response = undated(&front, request).await;
    // Clients tell the server's clock by this; it is the demo's, not the machine's.
    let date = front
        .clock
        .now()
        .format("%a, %d %b %Y %H:%M:%S GMT")
        .to_string();
    if let Ok(date) = HeaderValue::from_str(&date) {
        response.headers_mut().insert(header::DATE, date);
    }
    response
}

async fn undated(front: &Front, request: AxumRequest) -> Response {
    if let Some(broken) = broken_answer(&front.faults).await {
        return broken;
    }
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, BODY_LIMIT).await else {
        return Reply::empty(413).into();
    };
    let target = parts
        .uri
        .path_and_query()
        .map_or("/", |target| target.as_str());
    let request = Request::new(parts.method, target, parts.headers, body, front.clock.now());
    let reply = front.site.answer(&request);
    if front.faults.get() == Some(Fault::LostAnswer) {
        return cut_off();
    }
    reply.into()
}

async fn broken_answer(faults: &FaultSwitch) -> Option<Response> {
    loop {
        match faults.get()? {
            Fault::Status(status) => {
                let body =
                    format!("{{\"message\":\"the demo breaks this on purpose ({status})\"}}");
                let mut reply = Reply::typed(status, "application/json", body);
                if status == 429 {
                    reply = reply.with("retry-after", "5");
                }
                return Some(reply.into());
            }
            Fault::Html => {
                let page = "<!doctype html><html><head><title>Sign in</title></head>\
                            <body><h1>Sign in to continue</h1></body></html>";
                return Some(Reply::typed(200, "text/html; charset=utf-8", page).into());
            }
            Fault::Hang => tokio::time::sleep(HANG_CHECK).await,
            Fault::Reset => return Some(cut_off()),
            Fault::LostAnswer => return None,
        }
    }
}

/// An answer whose body fails at once, so that hyper drops the connection.
fn cut_off() -> Response {
    let error = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
    let body = Body::from_stream(futures::stream::once(async { Err::<Bytes, _>(error) }));
    let mut response = Response::new(body);
    response
        .headers_mut()
        .insert(header::CONTENT_LENGTH, HeaderValue::from_static("1"));
    response
}

/// Decodes `%XX`; anything that is no UTF-8 afterwards is replaced.
pub(crate) fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let mut ahead = rest.clone();
        let decoded = (byte == b'%')
            .then(|| Some(hex(ahead.next()?)? * 16 + hex(ahead.next()?)?))
            .flatten();
        if decoded.is_some() {
            rest = ahead;
        }
        bytes.push(decoded.unwrap_or(byte));
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The pairs of a query string or a form body.
pub(crate) fn form_pairs(text: &[u8]) -> Vec<(String, String)> {
    url::form_urlencoded::parse(text)
        .map(|(key, value)| (key.into_owned(), value.into_owned()))
        .collect()
}

/// Encodes one path segment or query value.
pub(crate) fn percent_encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes())
        .collect::<String>()
        .replace('+', "%20")
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}

fn base64_value(digit: u8) -> Option<u32> {
    let value = match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    };
    Some(u32::from(value))
}

/// Decodes standard base64 to text; `None` when it is not that.
pub(crate) fn base64_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let (mut bits, mut width) = (0_u32, 0_u32);
    for digit in text.trim_end_matches('=').bytes() {
        bits = (bits << 6) | base64_value(digit)?;
        width += 6;
        if width >= 8 {
            width -= 8;
            bytes.push(u8::try_from((bits >> width) & 0xff).ok()?);
            bits &= (1 << width) - 1;
        }
    }
    String::from_utf8(bytes).ok()
}

/// Encodes bytes as standard base64 with padding.
pub(crate) fn base64_encoded(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
        let bits = (byte(0) << 16) | (byte(1) << 8) | byte(2);
        for place in 0..4 {
            let index = usize::try_from((bits >> (18 - 6 * place)) & 63).unwrap_or(0);
            let digit = ALPHABET.get(index).copied().unwrap_or(b'A');
            text.push(if place <= u32::try_from(chunk.len()).unwrap_or(3) {
                char::from(digit)
            } else {
                '='
            });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{base64_decoded, base64_encoded, percent_decoded, percent_encoded};

    #[test]
    fn base64_agrees_with_rfc_4648_section_10() {
        for (plain, coded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64_encoded(plain.as_bytes()), coded);
            assert_eq!(base64_decoded(coded).as_deref(), Some(plain));
        }
    }

    #[test]
    fn a_segment_survives_being_encoded_and_decoded() {
        let hostile = "prod\u{1b}[31m/eu 100%+";
        assert_eq!(percent_decoded(&percent_encoded(hostile)), hostile);
        assert_eq!(percent_decoded("a%2Fb%zz"), "a/b%zz");
    }
}
