//! The HTTP side: from a request to one answer.
//!
//! Order as in the real server: who is asking, may they, does it exist, does
//! the body make sense. Reading is here; writing is in [`super::write`].

use std::sync::Arc;

use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, USER_AGENT};
use axum::http::{HeaderMap, HeaderName, Method};
use axum::response::Response;
use serde_json::{Value, json};

use crate::sim::kubernetes::access::Persona;
use crate::sim::kubernetes::faults::{self, Fault, Recorded};
use crate::sim::kubernetes::problem::Problem;
use crate::sim::kubernetes::request::{Address, Query, Target, target};
use crate::sim::kubernetes::selector::Selector;
use crate::sim::kubernetes::table::Shape;
use crate::sim::kubernetes::value::Fields;
use crate::sim::kubernetes::{Shared, answer, discovery, logs, watch, write};

/// Largest body taken, as in the real server.
const BODY_LIMIT: usize = 3 * 1024 * 1024;

/// A request with its body read.
pub(crate) struct Asked {
    pub(crate) method: Method,
    pub(crate) query: Query,
    pub(crate) content_type: String,
    pub(crate) agent: String,
    pub(crate) body: Vec<u8>,
    shape: Shape,
}

/// Answers any request.
pub(crate) async fn handle(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().to_owned();
    let query = parts.uri.query().unwrap_or_default();
    if matches!(target(&path), Target::Mutations) {
        let all: Vec<Value> = shared.recorded().iter().map(Recorded::json).collect();
        return answer::json(200, &json!(all));
    }
    let query = Query::parse(query);
    // It fails for one reason that can still be told: it was too large.
    let body = to_bytes(body, BODY_LIMIT).await;
    let asked = Asked {
        content_type: header(&parts.headers, &CONTENT_TYPE),
        agent: header(&parts.headers, &USER_AGENT),
        shape: Shape::of(
            &header(&parts.headers, &ACCEPT),
            query.text("includeObject"),
        ),
        method: parts.method,
        body: body
            .as_ref()
            .map(|bytes| bytes.to_vec())
            .unwrap_or_default(),
        query,
    };
    let persona = shared.persona(&header(&parts.headers, &AUTHORIZATION));
    let whole = parts
        .uri
        .path_and_query()
        .map_or(path.as_str(), |whole| whole.as_str());
    let record = shared.record(&asked, whole, persona.as_ref());
    let mut faults = shared.faults();
    if let Some(trouble) = faults::gate(&mut faults).await {
        if let (Some(record), false) = (record, is_cut(&faults)) {
            shared.settle(record, trouble.status().as_u16());
        }
        return answer::dated(trouble, shared.store.time.now());
    }
    let host = header(&parts.headers, &HOST);
    let response = if body.is_err() {
        Err(Problem::too_large())
    } else {
        route(&shared, persona.as_ref(), &path, &host, &asked)
    };
    let response = response.unwrap_or_else(|problem| answer::refusal(&problem));
    if *faults.borrow() == Some(Fault::LostAnswer) {
        return faults::broken();
    }
    if let Some(record) = record {
        shared.settle(record, response.status().as_u16());
    }
    answer::dated(response, shared.store.time.now())
}

fn is_cut(faults: &tokio::sync::watch::Receiver<Option<Fault>>) -> bool {
    *faults.borrow() == Some(Fault::Reset)
}

fn header(headers: &HeaderMap, name: &HeaderName) -> String {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
        .to_owned()
}

fn route(
    shared: &Arc<Shared>,
    persona: Option<&Persona>,
    path: &str,
    host: &str,
    asked: &Asked,
) -> Result<Response, Problem> {
    let target = target(path);
    // These are open to anybody in a real cluster too.
    match &target {
        Target::Health => return Ok(answer::text(200, "ok")),
        Target::Version => return Ok(answer::json(200, &discovery::version())),
        _ => (),
    }
    let persona = persona.ok_or_else(Problem::unauthorized)?;
    let document = match target {
        Target::CoreVersions => Some(discovery::core_versions(host)),
        Target::Groups => Some(discovery::group_list()),
        Target::Group(name) => discovery::one_group(&name),
        Target::Resources { group, version } => discovery::resource_list(&group, &version),
        Target::OpenApiV2 => Some(discovery::openapi_v2()),
        Target::OpenApiV3(path) if path.is_empty() => Some(discovery::openapi_index()),
        Target::OpenApiV3(path) => discovery::openapi_document(&path),
        Target::Review(which) => return review(shared, persona, which, asked),
        Target::Objects(address) => return objects(shared, persona, address, asked),
        Target::Health | Target::Version | Target::Mutations | Target::Unknown => None,
    };
    let Some(document) = document else {
        // What is not served at all is not said by the API but by its server.
        return Ok(answer::text(404, "404 page not found\n"));
    };
    if asked.method == Method::GET {
        Ok(answer::json(200, &document))
    } else {
        Err(Problem::method_not_allowed())
    }
}

fn review(
    shared: &Shared,
    persona: &Persona,
    which: &str,
    asked: &Asked,
) -> Result<Response, Problem> {
    if asked.method != Method::POST {
        return Err(Problem::method_not_allowed());
    }
    let review = write::object_body(asked)?;
    let body = match which {
        "selfsubjectaccessreviews" => persona.access_review(&review),
        "selfsubjectrulesreviews" => persona.rules_review(&review),
        _ => persona.self_review(shared.store.time.now()),
    };
    Ok(answer::json(201, &body))
}

fn objects(
    shared: &Arc<Shared>,
    persona: &Persona,
    address: Address,
    asked: &Asked,
) -> Result<Response, Problem> {
    let collection = address.name.is_empty();
    let watching = asked.query.flag("watch");
    let verb = match (&asked.method, collection) {
        (&Method::GET, _) if watching => "watch",
        (&Method::GET, true) => "list",
        (&Method::GET, false) => "get",
        (&Method::POST, true) => "create",
        (&Method::POST, false) if address.subresource == "eviction" => "create",
        (&Method::PUT, false) => "update",
        (&Method::PATCH, false) => "patch",
        (&Method::DELETE, true) => "deletecollection",
        (&Method::DELETE, false) => "delete",
        _ => return Err(Problem::method_not_allowed()),
    };
    persona.check(verb, &address)?;
    let resource = address.resource;
    let part = address.subresource.as_str();
    let served = match part {
        "" => true,
        "status" => resource.has_status(),
        "scale" => resource.has_scale(),
        "log" | "eviction" => resource.kind == "Pod",
        _ => false,
    };
    if !served {
        // The real answer does not tell this from an object that is gone.
        return Err(Problem::not_found(resource, &address.name));
    }
    if verb == "watch" {
        let selector = selector(&address, asked)?;
        let faults = shared.faults();
        return watch::watch(
            &shared.store,
            faults,
            address,
            selector,
            asked.shape,
            &asked.query,
        );
    }
    match (verb, part) {
        ("list", _) => list(shared, &address, asked),
        ("get", "log") => logs::answer(&shared.store, &address, &asked.query),
        ("get", _) => {
            let object = shared
                .store
                .get(&address.key())
                .ok_or_else(|| Problem::not_found(resource, &address.name))?;
            let shown = if part == "scale" {
                write::scale_of(&object)
            } else {
                (*object).clone()
            };
            let now = shared.store.time.now();
            Ok(answer::json(200, &asked.shape.one(resource, &shown, now)))
        }
        _ => write::change(shared, persona, verb, &address, asked),
    }
}

fn selector(address: &Address, asked: &Asked) -> Result<Selector, Problem> {
    let (labels, fields) = (
        asked.query.text("labelSelector"),
        asked.query.text("fieldSelector"),
    );
    Selector::parse(address.resource, labels, fields).map_err(Problem::bad_request)
}

fn list(shared: &Shared, address: &Address, asked: &Asked) -> Result<Response, Problem> {
    let selector = selector(address, asked)?;
    let namespace = (!address.namespace.is_empty()).then_some(address.namespace.as_str());
    let (objects, version) = shared.store.list(address.resource.kind, namespace);
    let page = Page::parse(asked.query.text("continue"), version)?;
    let exact = asked.query.number("resourceVersion");
    if asked.query.text("resourceVersionMatch") == "Exact"
        && exact.is_some_and(|version| shared.store.since(version).is_err())
    {
        let why = "The resourceVersion for the provided list is too old.";
        return Err(Problem::expired(why));
    }
    if shared.store.since(page.version).is_err() {
        let why = "The provided continue parameter is too old to display a consistent list \
                   result. You can start a new list without the continue parameter, or use the \
                   continue token in this response to retrieve the remainder of the results. \
                   Continuing with the provided token results in an inconsistent list - objects \
                   that were created, modified, or deleted between the time the first chunk was \
                   returned and now may show up in the list.";
        let mut problem = Problem::expired(why);
        problem.metadata = json!({"continue": page.at(version)});
        return Err(problem);
    }
    let matching: Vec<_> = objects
        .iter()
        .filter(|object| page.is_after(object) && selector.matches(object))
        .collect();
    let limit = asked.query.number("limit").filter(|limit| *limit > 0);
    let limit = limit
        .and_then(|limit| usize::try_from(limit).ok())
        .unwrap_or(usize::MAX);
    let mut meta = json!({"resourceVersion": page.version.to_string()});
    if matching.len() > limit
        && let Some(last) = matching.iter().take(limit).next_back()
    {
        meta.put("/continue", json!(page.token(last)));
        meta.put("/remainingItemCount", json!(matching.len() - limit));
    }
    let shown = matching.into_iter().take(limit).map(|object| &**object);
    let now = shared.store.time.now();
    Ok(answer::json(
        200,
        &asked.shape.many(address.resource, shown, &meta, now),
    ))
}

/// Where a limited list goes on: the version of its first page, and the last
/// object shown. A client that then watches from that version misses nothing.
struct Page {
    version: u64,
    last: Option<(String, String)>,
}

impl Page {
    fn parse(token: &str, version: u64) -> Result<Self, Problem> {
        if token.is_empty() {
            return Ok(Self {
                version,
                last: None,
            });
        }
        let parts: Vec<_> = token.splitn(3, ':').collect();
        let [version, namespace, name] = parts.as_slice() else {
            return Err(Problem::bad_request("continue key is not valid"));
        };
        let version = version
            .parse()
            .map_err(|_| Problem::bad_request("continue key is not valid"))?;
        Ok(Self {
            version,
            last: Some(((*namespace).to_owned(), (*name).to_owned())),
        })
    }

    fn token(&self, last: &Value) -> String {
        let (namespace, name) = place(last);
        format!("{}:{namespace}:{name}", self.version)
    }

    /// The token that goes on from the same place, but in a newer list.
    fn at(&self, version: u64) -> String {
        let (namespace, name) = self.last.clone().unwrap_or_default();
        format!("{version}:{namespace}:{name}")
    }

    fn is_after(&self, object: &Value) -> bool {
        self.last
            .as_ref()
            .is_none_or(|(namespace, name)| place(object) > (namespace.as_str(), name.as_str()))
    }
}

fn place(object: &Value) -> (&str, &str) {
    (
        object.text("/metadata/namespace"),
        object.text("/metadata/name"),
    )
}
