//! What the API server says when it says no: the `Status` object.
//!
//! Wording, reasons and details follow apimachinery's `api/errors`, because
//! clients tell cases apart by them. An operator of a real cluster has seen
//! these sentences before.

use serde_json::{Value, json};

use crate::sim::kubernetes::resource::Resource;
use crate::sim::kubernetes::value::Fields;

/// A refusal, ready to be sent.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Problem {
    pub(crate) code: u16,
    pub(crate) reason: &'static str,
    pub(crate) message: String,
    pub(crate) details: Value,
    /// The metadata of the answer; empty but for one case.
    pub(crate) metadata: Value,
}

impl Problem {
    fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            reason,
            message: message.into(),
            details: Value::Null,
            metadata: json!({}),
        }
    }

    fn about(mut self, resource: &Resource, name: &str) -> Self {
        self.details = json!({"name": name, "group": resource.group, "kind": resource.plural});
        self
    }

    pub(crate) fn not_found(resource: &Resource, name: &str) -> Self {
        let message = format!("{} \"{name}\" not found", resource.qualified());
        Self::new(404, "NotFound", message).about(resource, name)
    }

    pub(crate) fn no_such_resource() -> Self {
        let mut problem = Self::new(
            404,
            "NotFound",
            "the server could not find the requested resource",
        );
        problem.details = json!({});
        problem
    }

    pub(crate) fn exists(resource: &Resource, name: &str) -> Self {
        let message = format!("{} \"{name}\" already exists", resource.qualified());
        Self::new(409, "AlreadyExists", message).about(resource, name)
    }

    /// The resource version in the request is not the stored one.
    pub(crate) fn stale(resource: &Resource, name: &str) -> Self {
        Self::conflict(
            resource,
            name,
            "the object has been modified; please apply your changes to the latest version and try again",
        )
    }

    pub(crate) fn conflict(resource: &Resource, name: &str, why: &str) -> Self {
        let message = format!(
            "Operation cannot be fulfilled on {} \"{name}\": {why}",
            resource.qualified()
        );
        Self::new(409, "Conflict", message).about(resource, name)
    }

    /// A JSON patch that does not fit the object, a failed `test` included.
    ///
    /// The real server does not say which operation failed.
    pub(crate) fn patch_failed() -> Self {
        let mut problem = Self::new(
            422,
            "Invalid",
            "the server rejected our request due to an error in our request",
        );
        problem.details = json!({});
        problem
    }

    /// A field that must not be so; `field` is a path, `why` what is wrong.
    pub(crate) fn invalid(resource: &Resource, name: &str, field: &str, why: &str) -> Self {
        let (group, kind) = (resource.group, resource.kind);
        let qualified = if group.is_empty() {
            kind.into()
        } else {
            format!("{kind}.{group}")
        };
        let message = format!("{qualified} \"{name}\" is invalid: {field}: {why}");
        let mut problem = Self::new(422, "Invalid", message);
        let cause = json!({"reason": "FieldValueInvalid", "message": why, "field": field});
        problem.details = json!({"name": name, "group": group, "kind": kind, "causes": [cause]});
        problem
    }

    /// A patched object that does not decode; `object` is what came out.
    pub(crate) fn undecodable(object: &Value, why: &str) -> Self {
        let quoted = Value::String(object.to_string()).to_string();
        let why = format!("Invalid value: {quoted}: {why}");
        let mut problem = Self::new(422, "Invalid", format!(" \"\" is invalid: patch: {why}"));
        let cause = json!({"reason": "FieldValueInvalid", "message": why, "field": "patch"});
        problem.details = json!({"causes": [cause]});
        problem
    }

    /// A field of the wrong type, as the schema finds it.
    pub(crate) fn wrong_type(
        resource: &Resource,
        name: &str,
        field: &str,
        found: &str,
        wanted: &str,
    ) -> Self {
        let why = format!(
            "Invalid value: \"{found}\": {field} in body must be of type {wanted}: \"{found}\""
        );
        let mut problem = Self::invalid(resource, name, field, &why);
        problem
            .details
            .put("/causes/0/reason", json!("FieldValueTypeInvalid"));
        problem
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    pub(crate) fn unauthorized() -> Self {
        Self::new(401, "Unauthorized", "Unauthorized")
    }

    /// `asked` is the sentence after "cannot", as the authorizer words it.
    pub(crate) fn forbidden(resource: &Resource, name: &str, user: &str, asked: &str) -> Self {
        let subject = if name.is_empty() {
            resource.qualified()
        } else {
            format!("{} \"{name}\"", resource.qualified())
        };
        let message = format!("{subject} is forbidden: User \"{user}\" cannot {asked}");
        let mut problem = Self::new(403, "Forbidden", message);
        problem.details = json!({"group": resource.group, "kind": resource.plural});
        if !name.is_empty()
            && let Value::Object(details) = &mut problem.details
        {
            details.shift_insert(0, "name".into(), json!(name));
        }
        problem
    }

    pub(crate) fn method_not_allowed() -> Self {
        let mut problem = Self::new(
            405,
            "MethodNotAllowed",
            "the server does not allow this method on the requested resource",
        );
        problem.details = json!({});
        problem
    }

    pub(crate) fn unsupported_media(accepted: &str) -> Self {
        Self::new(
            415,
            "UnsupportedMediaType",
            format!(
                "the body of the request was in an unknown format - accepted media types include: {accepted}"
            ),
        )
    }

    pub(crate) fn too_large() -> Self {
        Self::new(
            413,
            "RequestEntityTooLarge",
            "Request entity too large: limit is 3145728",
        )
    }

    /// What was asked for has been compacted away.
    pub(crate) fn expired(message: impl Into<String>) -> Self {
        Self::new(410, "Expired", message)
    }

    /// Any code, as a server in trouble would say it.
    pub(crate) fn trouble(code: u16) -> Self {
        let (reason, message) = match code {
            401 => return Self::unauthorized(),
            403 => ("Forbidden", "forbidden"),
            404 => return Self::no_such_resource(),
            409 => ("Conflict", "the server reported a conflict"),
            410 => ("Expired", "The provided continue parameter is too old"),
            422 => return Self::patch_failed(),
            429 => (
                "TooManyRequests",
                "the server has received too many requests and has asked us to try again later",
            ),
            503 => (
                "ServiceUnavailable",
                "the server is currently unable to handle the request",
            ),
            504 => (
                "Timeout",
                "the server was unable to return a response in the time allotted, but may still be processing the request",
            ),
            _ => (
                "InternalError",
                "Internal error occurred: etcdserver: request timed out",
            ),
        };
        let mut problem = Self::new(code, reason, message);
        if code == 429 {
            problem.details = json!({"retryAfterSeconds": 1});
        }
        problem
    }

    /// The body that is sent.
    pub(crate) fn status(&self) -> Value {
        let mut status = json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": self.metadata,
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
        });
        if let Value::Object(map) = &mut status {
            if !self.details.is_null() {
                map.insert("details".into(), self.details.clone());
            }
            map.insert("code".into(), json!(self.code));
        }
        status
    }
}
