//! Base64 (RFC 4648, section 4) for bytes in JSON.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
/// The place of each character in the alphabet; 255 for those that are not in it.
const PLACES: [u8; 256] = {
    let mut places = [255; 256];
    let mut i = 0;
    while i < 64 {
        places[ALPHABET[i] as usize] = i as u8;
        i += 1;
    }
    places
};

/// With padding.
pub(super) fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let bits = (0..3).fold(0, |bits, i| bits << 8 | u32::from(*group.get(i).unwrap_or(&0)));
        for i in 0..4 {
            let place = (bits >> (18 - 6 * i)) as usize % 64;
            text.push(if i <= group.len() { ALPHABET[place].into() } else { '=' });
        }
    }
    text
}

/// With padding or without; nothing when it is no base64.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    let text = text.trim_end_matches('=').as_bytes();
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3 + 2);
    for group in text.chunks(4) {
        let mut bits = 0;
        for i in 0..4 {
            let place = group.get(i).map_or(0, |c| PLACES[usize::from(*c)]);
            if place > 63 {
                return None;
            }
            bits = bits << 6 | u32::from(place);
        }
        match group.len() {
            4 => bytes.extend_from_slice(&bits.to_be_bytes()[1..]),
            3 => bytes.extend_from_slice(&bits.to_be_bytes()[1..3]),
            2 => bytes.push((bits >> 16) as u8),
            _ => return None,
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_standard_hold() {
        let examples = [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ];
        for (plain, text) in examples {
            assert_eq!(encode(plain.as_bytes()), text);
            assert_eq!(decode(text).as_deref(), Some(plain.as_bytes()));
        }
        assert_eq!(decode("Zm9vYmE").as_deref(), Some(&b"fooba"[..]));
    }

    #[test]
    fn what_is_no_base64_is_refused() {
        for text in ["Z", "Zm9vY", "Zm9-", "Zm9 ", "Zg==Zg==", "ä"] {
            assert_eq!(decode(text), None, "{text}");
        }
    }
}
