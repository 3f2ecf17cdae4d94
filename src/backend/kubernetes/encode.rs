//! Small encodings: path segments, base64, shell words.

/// One segment of a path or one value of a query, percent-encoded.
pub(super) fn segment(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    // A segment of dots would be resolved away on the way.
    match encoded.as_str() {
        "." => "%2E".to_owned(),
        ".." => "%2E%2E".to_owned(),
        _ => encoded,
    }
}

/// Standard base64 with padding.
pub(super) fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut encoded = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let mut word = [0; 3];
        for (place, byte) in word.iter_mut().zip(group) {
            *place = *byte;
        }
        let [a, b, c] = word.map(u32::from);
        let bits = a << 16 | b << 8 | c;
        for place in 0..4 {
            if group.len() < place {
                encoded.push('=');
                continue;
            }
            let index = bits >> (18 - 6 * place) & 0x3f;
            let byte = ALPHABET.get(usize::try_from(index).unwrap_or(0));
            encoded.push(byte.map_or('=', |byte| char::from(*byte)));
        }
    }
    encoded
}

/// A word for a POSIX shell, quoted only where it has to be.
pub(super) fn shell(word: &str) -> String {
    let plain = !word.is_empty()
        && word
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._/:=@%+,~".contains(&byte))
        && !word.starts_with('~');
    if plain {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_leave_its_segment() {
        assert_eq!(segment("ranker-v2.1"), "ranker-v2.1");
        assert_eq!(segment("../x?y"), "..%2Fx%3Fy");
        assert_eq!(segment(".."), "%2E%2E");
    }

    #[test]
    fn base64_agrees_with_coreutils() {
        for (plain, encoded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
        ] {
            assert_eq!(base64(plain.as_bytes()), encoded);
        }
    }

    #[test]
    fn shell_words_survive_a_shell() {
        assert_eq!(shell("recsys"), "recsys");
        assert_eq!(shell("[{\"op\":\"x\"}]"), "'[{\"op\":\"x\"}]'");
        assert_eq!(shell("it's; rm -rf"), r"'it'\''s; rm -rf'");
        assert_eq!(shell(""), "''");
        assert_eq!(shell("~root"), "'~root'");
    }
}
