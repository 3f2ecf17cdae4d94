//! Values that several kinds of backends have in their sections.

use std::{collections::BTreeMap, fmt, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue, header};
use serde::{Deserializer, de};

use crate::backend::{http::Auth, secret::SecretRef};

/// Reads a time like `"5s"`, `"1m 30s"` or `"250ms"`.
///
/// # Errors
///
/// It is no such time, or it is zero.
pub fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    struct Written;

    impl de::Visitor<'_> for Written {
        type Value = Duration;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a time such as \"5s\" or \"1m 30s\"")
        }

        fn visit_str<E: de::Error>(self, written: &str) -> Result<Duration, E> {
            match humantime::parse_duration(written) {
                Ok(time) if !time.is_zero() => Ok(time),
                _ => Err(E::invalid_value(de::Unexpected::Str(written), &self)),
            }
        }
    }

    deserializer.deserialize_str(Written)
}

/// Reads a size in bytes like `8388608` or `"8 MiB"`.
///
/// # Errors
///
/// It is no such size, or it is zero.
pub fn size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    struct Written;

    impl de::Visitor<'_> for Written {
        type Value = usize;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a number of bytes such as 8388608 or \"8 MiB\"")
        }

        fn visit_i64<E: de::Error>(self, written: i64) -> Result<usize, E> {
            match usize::try_from(written) {
                Ok(bytes) if bytes > 0 => Ok(bytes),
                _ => Err(E::invalid_value(de::Unexpected::Signed(written), &self)),
            }
        }

        fn visit_str<E: de::Error>(self, written: &str) -> Result<usize, E> {
            let bytes = written
                .split_once(char::is_whitespace)
                .and_then(|(number, unit)| {
                    let factor = match unit.trim() {
                        "B" => 1,
                        "KiB" => 1024,
                        "MiB" => 1024 * 1024,
                        _ => return None,
                    };
                    number.parse::<usize>().ok()?.checked_mul(factor)
                });
            match bytes {
                Some(bytes) if bytes > 0 => Ok(bytes),
                _ => Err(E::invalid_value(de::Unexpected::Str(written), &self)),
            }
        }
    }

    deserializer.deserialize_any(Written)
}

/// How to sign in: by a token, by user name and password, or not at all.
///
/// # Errors
///
/// Both ways are given, or half of one; in words for the configuration.
pub fn auth(
    token: Option<SecretRef>,
    username: Option<String>,
    password: Option<SecretRef>,
) -> Result<Auth, &'static str> {
    match (token, username, password) {
        (None, None, None) => Ok(Auth::None),
        (Some(token), None, None) => Ok(Auth::Bearer(token)),
        (None, Some(user), Some(password)) => Ok(Auth::Basic { user, password }),
        (Some(_), _, _) => Err("expected either `token`, or `username` and `password`"),
        (None, Some(_), None) => Err("`username` needs `password`"),
        (None, None, Some(_)) => Err("`password` needs `username`"),
    }
}

/// Headers that go with every request. They are shown where the configuration
/// is, so those that carry credentials are refused.
///
/// # Errors
///
/// A name or a value that no header can have, or a header for credentials.
pub fn headers(written: &BTreeMap<String, String>) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for (name, value) in written {
        let parsed = HeaderName::try_from(name.as_str())
            .map_err(|_| format!("`{name}` is no name of a header"))?;
        let credentials = [
            header::AUTHORIZATION,
            header::PROXY_AUTHORIZATION,
            header::COOKIE,
        ];
        if credentials.contains(&parsed) {
            return Err(format!(
                "`{name}` carries credentials; name them as a secret in `token` or `password`"
            ));
        }
        let value = HeaderValue::try_from(value.as_str())
            .map_err(|_| format!("the value of `{name}` can be in no header"))?;
        headers.insert(parsed, value);
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    struct Section {
        #[serde(deserialize_with = "duration")]
        poll: Duration,
        #[serde(deserialize_with = "size")]
        max_body: usize,
    }

    #[test]
    fn times_and_sizes_are_written_as_people_write_them() {
        let section: Section = toml::from_str("poll = '1m 30s'\nmax_body = '8 MiB'").unwrap();
        let expected = Section {
            poll: Duration::from_secs(90),
            max_body: 8_388_608,
        };
        assert_eq!(section, expected);
        let section: Section = toml::from_str("poll = '250ms'\nmax_body = 10").unwrap();
        assert_eq!((section.poll.as_millis(), section.max_body), (250, 10));
    }

    #[test]
    fn nonsense_is_refused_with_an_example() {
        for (written, expected) in [
            ("poll = '0s'\nmax_body = 1", "a time such as"),
            ("poll = 5\nmax_body = 1", "a time such as"),
            ("poll = '5s'\nmax_body = 0", "a number of bytes such as"),
            (
                "poll = '5s'\nmax_body = '8 MB'",
                "a number of bytes such as",
            ),
        ] {
            let error = toml::from_str::<Section>(written).unwrap_err();
            assert!(error.message().contains(expected), "{}", error.message());
        }
    }

    #[test]
    fn there_is_one_way_to_sign_in_or_none() {
        let secret = || Some("env:PLANTED".parse::<SecretRef>().unwrap());
        let user = || Some("ann".to_owned());
        assert!(matches!(auth(None, None, None), Ok(Auth::None)));
        assert!(matches!(auth(secret(), None, None), Ok(Auth::Bearer(_))));
        assert!(matches!(
            auth(None, user(), secret()),
            Ok(Auth::Basic { .. })
        ));
        for half in [
            auth(None, user(), None),
            auth(None, None, secret()),
            auth(secret(), user(), secret()),
        ] {
            assert!(half.unwrap_err().contains("`password`"));
        }
    }

    #[test]
    fn headers_are_for_anything_but_credentials() {
        let one = |name: &str, value: &str| BTreeMap::from([(name.to_owned(), value.to_owned())]);
        let tenant = headers(&one("X-Scope-OrgID", "tenant-1")).unwrap();
        assert_eq!(tenant["x-scope-orgid"], "tenant-1");
        let refused = headers(&one("Authorization", "Bearer planted-81")).unwrap_err();
        assert!(refused.contains("`token`") && !refused.contains("planted"));
        assert!(headers(&one("no name", "x")).is_err());
        assert!(headers(&one("X-Ok", "line\nbreak")).is_err());
    }
}
