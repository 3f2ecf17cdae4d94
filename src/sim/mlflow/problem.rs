//! How MLflow says no.

use serde_json::json;

use crate::sim::http::Reply;

/// A parameter that cannot be.
pub(crate) fn invalid(message: impl Into<String>) -> Reply {
    problem(
        400,
        "INVALID_PARAMETER_VALUE",
        "INVALID_PARAMETER_VALUE",
        &message.into(),
    )
}

/// A thing that is not there.
pub(crate) fn missing(message: impl Into<String>) -> Reply {
    problem(
        404,
        "RESOURCE_DOES_NOT_EXIST",
        "RESOURCE_NOT_FOUND",
        &message.into(),
    )
}

/// A required parameter that was not given.
pub(crate) fn required(name: &str) -> Reply {
    invalid(format!(
        "Missing value for required parameter '{name}'. See the API docs for more information \
         about request parameters."
    ))
}

/// A parameter of the wrong type; `value` as JSON writes it, `python` as Python names its type.
pub(crate) fn wrong_type(name: &str, value: &str, python: &str) -> Reply {
    invalid(format!(
        "Invalid value {value} for parameter '{name}' supplied:  Hint: Value was of type \
         '{python}'. See the API docs for more information about request parameters."
    ))
}

fn problem(status: u16, code: &str, class: &str, message: &str) -> Reply {
    let body =
        json!({"error_code": code, "message": message, "sqlstate": "KAM00", "error_class": class});
    json_reply(status, &body)
}

/// JSON as MLflow sends it: without a charset.
pub(crate) fn json_reply(status: u16, body: &serde_json::Value) -> Reply {
    Reply::typed(status, "application/json", body.to_string())
}

/// The page behind a path nobody serves.
pub(crate) fn no_route() -> Reply {
    let page = "<!doctype html>\n<html lang=en>\n<title>404 Not Found</title>\n\
                <h1>Not Found</h1>\n<p>The requested URL was not found on the server. If you \
                entered the URL manually please check your spelling and try again.</p>\n";
    Reply::typed(404, "text/html; charset=utf-8", page)
}

/// The page behind a path that is served for another method.
pub(crate) fn wrong_method(allowed: &str) -> Reply {
    let page = "<!doctype html>\n<html lang=en>\n<title>405 Method Not Allowed</title>\n\
                <h1>Method Not Allowed</h1>\n<p>The method is not allowed for the requested \
                URL.</p>\n";
    Reply::typed(405, "text/html; charset=utf-8", page).with("allow", format!("{allowed}, OPTIONS"))
}
