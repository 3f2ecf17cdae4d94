//! The one place that chooses the TLS library for HTTP and cluster alike, and
//! says what is wrong with a server's certificate.

use std::{error::Error, io, sync::Once};

use rustls::{CertificateError, pki_types::UnixTime};

use crate::domain::Timestamp;

/// Makes ring the process's TLS provider. Called before the first client is
/// built; calling it again is harmless. Without it the order in which clients
/// are built decides whether one of them panics.
pub fn install() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        // An error means that somebody was faster; there is a provider then.
        drop(rustls::crypto::ring::default_provider().install_default());
    });
}

/// Why a server's certificate was not believed, where that is why there is no
/// connection. The library's own words name types and seconds since 1970.
pub fn distrust(error: &(dyn Error + 'static)) -> Option<String> {
    let words = match refused(error)? {
        CertificateError::ExpiredContext { not_after, .. } => {
            format!("expired on {}", written(instant(*not_after)?))
        }
        CertificateError::NotValidYetContext { not_before, .. } => format!(
            "is good only from {} on; compare the clocks",
            written(instant(*not_before)?)
        ),
        // The second where another authority has the name of the trusted one, as each cluster's does.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "comes from an authority that is not trusted".to_owned()
        }
        CertificateError::NotValidForNameContext { .. } => {
            "is for another name than the address".to_owned()
        }
        other => format!("is not accepted: {other}"),
    };
    Some(format!("the server's certificate {words}"))
}

/// The last moment of a certificate in DER.
pub fn end(certificate: &[u8]) -> Option<Timestamp> {
    let der = certificate.into();
    let parsed = rustls::server::ParsedCertificate::try_from(&der).ok()?;
    // Its dates are looked at before who signed it, and at the end of time each has expired.
    let judged = rustls::client::verify_server_cert_signed_by_trust_anchor(
        &parsed,
        &rustls::RootCertStore::empty(),
        &[],
        UnixTime::since_unix_epoch(std::time::Duration::MAX),
        &[],
    );
    match judged {
        Err(rustls::Error::InvalidCertificate(CertificateError::ExpiredContext {
            not_after,
            ..
        })) => instant(not_after),
        _ => None,
    }
}

/// A moment in a certificate's life, for people.
pub fn written(at: Timestamp) -> String {
    at.format("%Y-%m-%d %H:%M:%SZ").to_string()
}

fn instant(time: UnixTime) -> Option<Timestamp> {
    chrono::DateTime::from_timestamp(i64::try_from(time.as_secs()).ok()?, 0)
}

fn refused<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a CertificateError> {
    if let Some(rustls::Error::InvalidCertificate(why)) = error.downcast_ref() {
        return Some(why);
    }
    // What an I/O error carries is not its source.
    let carried = error
        .downcast_ref::<io::Error>()
        .and_then(io::Error::get_ref);
    let next: &'a (dyn Error + 'static) = match carried {
        Some(inner) => inner,
        None => error.source()?,
    };
    refused(next)
}

#[cfg(test)]
pub(in crate::backend) mod tests {
    use rustls::pki_types::{CertificateDer, pem::PemObject};

    use super::*;

    /// Made by OpenSSL 3.0, for clients only, from 2026-01-02 03:04:05 to 2026-06-07 08:09:10 UTC.
    pub(in crate::backend) const CERTIFICATE: &[u8] = b"-----BEGIN CERTIFICATE-----
MIIBRzCB7aADAgECAgEBMAoGCCqGSM49BAMCMBExDzANBgNVBAMMBnRlc3RlcjAe
Fw0yNjAxMDIwMzA0MDVaFw0yNjA2MDcwODA5MTBaMBExDzANBgNVBAMMBnRlc3Rl
cjBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABA2cShJamml+WNQAS36sLD7Cnp0j
CjWNQg8drLgpB5jDrjHEczIhnCcSXpXJ6Z1q+fu0BPSKaeL5TDD0amvjXi6jNjA0
MBMGA1UdJQQMMAoGCCsGAQUFBwMCMB0GA1UdDgQWBBQgf2qQ1ng4GHXdCj4djYfx
gIQGlDAKBggqhkjOPQQDAgNJADBGAiEAvXmMVg1g/cqECKYWnsl2aF6p/zE4sBKP
hjg3QE7XKgkCIQCggM80sI4mwaLFZCxoKyGhNdV7D00qYmQ5pBTxLYCNWw==
-----END CERTIFICATE-----
";

    #[test]
    fn a_certificate_tells_its_last_moment() {
        let der = CertificateDer::from_pem_slice(CERTIFICATE).unwrap();
        assert_eq!(
            end(&der).map(written).as_deref(),
            Some("2026-06-07 08:09:10Z")
        );
        assert_eq!(end(b"nothing of the kind"), None);
    }

    /// As the client libraries hand it over: an I/O error in an I/O error.
    #[track_caller]
    fn check(why: rustls::Error, words: Option<&str>) {
        let inner = io::Error::new(io::ErrorKind::InvalidData, why);
        assert_eq!(distrust(&io::Error::other(inner)).as_deref(), words);
    }

    #[test]
    fn what_is_wrong_with_a_certificate_is_said_in_words() {
        let at = |seconds| UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds));
        check(
            CertificateError::ExpiredContext {
                time: at(9),
                not_after: at(8),
            }
            .into(),
            Some("the server's certificate expired on 1970-01-01 00:00:08Z"),
        );
        check(
            CertificateError::NotValidYetContext {
                time: at(7),
                not_before: at(8),
            }
            .into(),
            Some(
                "the server's certificate is good only from 1970-01-01 00:00:08Z on; compare the clocks",
            ),
        );
        for why in [
            CertificateError::UnknownIssuer,
            CertificateError::BadSignature,
        ] {
            check(
                why.into(),
                Some("the server's certificate comes from an authority that is not trusted"),
            );
        }
        check(
            CertificateError::Revoked.into(),
            Some("the server's certificate is not accepted: Revoked"),
        );
        check(rustls::Error::HandshakeNotComplete, None);
    }
}
