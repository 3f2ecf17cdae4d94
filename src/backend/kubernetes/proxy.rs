//! Whether the way to the cluster leads through a proxy.
//!
//! The client library compares `NO_PROXY` with the proxy's own host and not
//! with the cluster's, so this is decided here: a proxy named in the kubeconfig
//! always counts; one from the environment counts unless `NO_PROXY` names the
//! cluster's host, as Go's programs (kubectl among them) do it.

use std::net::IpAddr;

use http::Uri;

use crate::backend::Env;

/// The proxy for `server`, if any. `explicit` is the kubeconfig's `proxy-url`.
///
/// # Errors
///
/// What is wrong with the proxy's address, in words.
pub(super) fn proxy_for(
    server: &Uri,
    explicit: Option<&str>,
    env: &Env,
) -> Result<Option<Uri>, String> {
    if let Some(explicit) = explicit.filter(|url| !url.trim().is_empty()) {
        return address(explicit, "proxy-url").map(Some);
    }
    let names = if server.scheme_str() == Some("http") {
        ["HTTP_PROXY", "http_proxy"]
    } else {
        ["HTTPS_PROXY", "https_proxy"]
    };
    let Some((name, url)) = first_set(&names, env) else {
        return Ok(None);
    };
    let host = server.host().unwrap_or_default();
    let bare = host.trim_matches(['[', ']']);
    let port = server
        .port_u16()
        .unwrap_or(if server.scheme_str() == Some("http") {
            80
        } else {
            443
        });
    let excluded = first_set(&["NO_PROXY", "no_proxy"], env)
        .is_some_and(|(_, list)| excludes(&list, bare, port));
    if is_loopback(bare) || excluded {
        return Ok(None);
    }
    address(&url, name).map(Some)
}

fn first_set<'a>(names: &[&'a str], env: &Env) -> Option<(&'a str, String)> {
    names.iter().find_map(|name| {
        env(name)
            .filter(|value| !value.trim().is_empty())
            .map(|value| (*name, value))
    })
}

fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Reads a proxy address; one without a scheme is taken for `http`. The message
/// never repeats the address: it may hold a password.
fn address(url: &str, origin: &str) -> Result<Uri, String> {
    let url = url.trim();
    let url = match url.split_once("://") {
        Some(("socks5h", rest)) => format!("socks5://{rest}"),
        Some(_) => url.to_owned(),
        None => format!("http://{url}"),
    };
    let uri: Uri = url
        .parse()
        .map_err(|_| format!("the proxy address in `{origin}` cannot be read"))?;
    match uri.scheme_str() {
        Some("http" | "https" | "socks5") if uri.host().is_some() => Ok(uri),
        _ => Err(format!(
            "the proxy address in `{origin}` must start with http, https or socks5"
        )),
    }
}

/// Whether a `NO_PROXY` list names this host.
fn excludes(list: &str, host: &str, port: u16) -> bool {
    list.split([',', ' '])
        .map(str::trim)
        .filter(|entry| !entry.is_empty())
        .any(|entry| entry == "*" || entry_names(entry, host, port))
}

fn entry_names(entry: &str, host: &str, port: u16) -> bool {
    let address: Option<IpAddr> = host.parse().ok();
    if let Some((network, bits)) = entry.split_once('/') {
        return match (network.parse(), bits.parse(), address) {
            (Ok(network), Ok(bits), Some(address)) => in_network(address, network, bits),
            _ => false,
        };
    }
    // A colon outside brackets is a port, unless the whole is an IPv6 address.
    let (name, wanted_port) = match entry.rsplit_once(':') {
        Some((name, digits)) if entry.parse::<IpAddr>().is_err() => match digits.parse::<u16>() {
            Ok(digits) => (name, Some(digits)),
            Err(_) => (entry, None),
        },
        _ => (entry, None),
    };
    if wanted_port.is_some_and(|wanted| wanted != port) {
        return false;
    }
    let name = name.trim_matches(['[', ']']);
    if let (Ok(named), Some(address)) = (name.parse::<IpAddr>(), address) {
        return named == address;
    }
    let host = host.to_ascii_lowercase();
    let name = name.to_ascii_lowercase();
    let domain = name.trim_start_matches('*').trim_start_matches('.');
    if domain.is_empty() {
        return false;
    }
    // A leading dot means subdomains only; a bare name means itself as well.
    let below = host
        .strip_suffix(domain)
        .is_some_and(|rest| rest.ends_with('.'));
    below || (host == domain && !name.starts_with(['.', '*']))
}

fn in_network(address: IpAddr, network: IpAddr, bits: u32) -> bool {
    let (address, network, width) = match (address, network) {
        (IpAddr::V4(address), IpAddr::V4(network)) => (
            u128::from(u32::from(address)),
            u128::from(u32::from(network)),
            32,
        ),
        (IpAddr::V6(address), IpAddr::V6(network)) => {
            (u128::from(address), u128::from(network), 128)
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => return false,
    };
    let shift = width - bits.min(width);
    bits <= width
        && address.checked_shr(shift).unwrap_or(0) == network.checked_shr(shift).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[track_caller]
    fn check(server: &str, explicit: Option<&str>, env: &[(&str, &str)], expected: Option<&str>) {
        let owned: Vec<(String, String)> = env
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let env: Env = Arc::new(move |wanted| {
            owned
                .iter()
                .find(|(name, _)| name == wanted)
                .map(|(_, value)| value.clone())
        });
        let found = proxy_for(&server.parse().unwrap(), explicit, &env).unwrap();
        let expected: Option<Uri> = expected.map(|url| url.parse().unwrap());
        assert_eq!(found, expected);
    }

    const PROXY: (&str, &str) = ("HTTPS_PROXY", "http://proxy.corp:3128");

    #[test]
    fn crates_trap_2_no_proxy_is_compared_with_the_clusters_host() {
        let server = "https://api.prod.example:6443";
        check(server, None, &[PROXY], Some("http://proxy.corp:3128"));
        for list in [
            "api.prod.example",
            "example",
            ".prod.example",
            "*.prod.example",
            "localhost, api.prod.example:6443,",
            "*",
        ] {
            check(server, None, &[PROXY, ("NO_PROXY", list)], None);
        }
        // Naming the proxy's own host is no reason to leave it out.
        for list in [
            "proxy.corp",
            "api.prod.example:443",
            "prod.exampl",
            ".api.prod.example",
        ] {
            check(
                server,
                None,
                &[PROXY, ("NO_PROXY", list)],
                Some("http://proxy.corp:3128"),
            );
        }
    }

    #[test]
    fn addresses_match_addresses_and_networks() {
        let server = "https://10.1.2.3:6443";
        check(server, None, &[PROXY, ("no_proxy", "10.0.0.0/8")], None);
        check(server, None, &[PROXY, ("no_proxy", "10.1.2.3")], None);
        check(
            server,
            None,
            &[PROXY, ("no_proxy", "10.2.0.0/16,10.1.2.4")],
            Some("http://proxy.corp:3128"),
        );
        check(
            "https://[fd00::1]:6443",
            None,
            &[PROXY, ("NO_PROXY", "fd00::/8")],
            None,
        );
        check("https://127.0.0.1:6443", None, &[PROXY], None);
    }

    #[test]
    fn a_proxy_named_in_the_kubeconfig_always_counts() {
        check(
            "https://api.prod.example",
            Some("socks5h://127.0.0.1:1080"),
            &[("NO_PROXY", "*")],
            Some("socks5://127.0.0.1:1080"),
        );
        check(
            "http://api.prod.example",
            None,
            &[PROXY, ("HTTP_PROXY", "plain.corp:80")],
            Some("http://plain.corp:80"),
        );
    }
}
