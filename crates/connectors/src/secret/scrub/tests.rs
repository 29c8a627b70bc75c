//! What servers make of a value, written by the libraries of several languages, and what stays of it: nothing.

use super::*;
use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE, BASE64_URL_SAFE_NO_PAD},
};
use serde_json::json;
use std::fmt::Write;

const VALUE: &str = "S3CR3T/tok+en~\"q'é&<7 !*(x)";

fn scrub() -> Scrub {
    Scrub::new(&[Secret::new(VALUE)])
}

fn every(value: &str, f: impl Fn(char) -> String) -> String {
    value.chars().map(f).collect()
}

/// Encodes all bytes but those of `keep`.
fn percent(value: &str, keep: &str, upper: bool) -> String {
    value.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || keep.as_bytes().contains(&byte) {
            out.push(char::from(byte));
        } else if upper {
            write!(out, "%{byte:02X}").unwrap();
        } else {
            write!(out, "%{byte:02x}").unwrap();
        }
        out
    })
}

fn json_ascii(value: &str) -> String {
    let json = Value::from(value).to_string();
    every(json.trim_matches('"'), |c| if c.is_ascii() { c.into() } else { utf16(c).to_lowercase() })
}

fn utf16(c: char) -> String {
    c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04X}")).collect()
}

fn go(value: &str) -> String {
    let json = Value::from(value).to_string();
    json.trim_matches('"').replace('&', "\\u0026").replace('<', "\\u003c").replace('>', "\\u003e")
}

fn html(value: &str) -> String {
    value.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;").replace('\'', "&#x27;")
}

fn hexed(separator: &str, value: &[u8]) -> String {
    value.iter().map(|b| format!("{b:02x}")).collect::<Vec<_>>().join(separator)
}

fn twice(json: &str) -> String {
    Value::from(json).to_string().trim_matches('"').to_owned()
}

/// Encodings that servers use, each with its name.
fn spelled(v: &str) -> Vec<(&'static str, String)> {
    let mut all = encoded(v);
    // Of a value that is hardly ASCII nothing is left there.
    if v.bytes().filter(u8::is_ascii).count() >= 6 {
        all.extend(lost(v));
    }
    all
}

/// What is left where bytes were taken for UTF-8 that were none.
fn lost(v: &str) -> Vec<(&'static str, String)> {
    vec![
        ("not UTF-8 on its way", every(v, |c| if c.is_ascii() { c.into() } else { "\u{fffd}".into() })),
        (
            "quotemeta, taken for UTF-8",
            every(v, |c| match c.is_ascii() {
                true if c.is_ascii_alphanumeric() || c == '_' => c.into(),
                true => format!("\\{c}"),
                false => "\\\u{fffd}".repeat(c.len_utf8()),
            }),
        ),
    ]
}

fn encoded(v: &str) -> Vec<(&'static str, String)> {
    let all_percent = every(v, |c| c.to_string().bytes().map(|b| format!("%{b:02X}")).collect());
    let lines = |n: usize, end: &str| {
        let text = BASE64_STANDARD.encode(format!("{}{v}{}", "x".repeat(50), "y".repeat(50)));
        text.as_bytes()
            .chunks(n)
            .map(|c| String::from_utf8_lossy(c).into_owned())
            .collect::<Vec<_>>()
            .join(end)
    };
    vec![
        ("itself", v.to_owned()),
        ("python quote", percent(v, "/-._~", true)),
        ("python quote, nothing safe", percent(v, "-._~", true)),
        ("python quote_plus", percent(v, "-._~ ", true).replace(' ', "+")),
        ("python quote twice", percent(&percent(v, "/-._~", true), "/-._~", true)),
        ("python quote three times", percent(&percent(&percent(v, "", true), "", true), "", true)),
        ("encodeURIComponent", percent(v, "-_.!~*'()", true)),
        ("encodeURI", percent(v, "-_.!~*'();/?:@&=+$,#", true)),
        ("lower case", percent(v, "", false)),
        (
            "js escape",
            every(v, |c| match c as u32 {
                _ if c.is_ascii_alphanumeric() || "@*_+-./".contains(c) => c.into(),
                n @ 0..=255 => format!("%{n:02X}"),
                n => format!("%u{n:04X}"),
            }),
        ),
        ("every byte", all_percent.clone()),
        ("every byte twice", all_percent.bytes().map(|b| format!("%{b:02x}")).collect()),
        ("go QueryEscape", percent(v, "-_.~ ", true).replace(' ', "+")),
        ("go PathEscape", percent(v, "-_.~$&+=:@", true)),
        ("java URLEncoder", percent(v, "-_.* ", true).replace(' ', "+")),
        ("hex like bytes of C", v.bytes().map(|b| format!("0x{b:02X}, ")).collect()),
        ("go % #x", v.bytes().map(|b| format!("0x{b:02x} ")).collect()),
        ("shlex.quote", format!("'{}'", v.replace('\'', r#"'"'"'"#))),
        ("sh, escaped", format!("'{}'", v.replace('\'', r"'\''"))),
        ("json", Value::from(v).to_string()),
        ("json ascii", json_ascii(v)),
        ("json ascii upper", every(v, |c| if c.is_ascii_alphanumeric() { c.into() } else { utf16(c) })),
        ("json php", json_ascii(v).replace('/', "\\/")),
        (
            "json php hex",
            json_ascii(v)
                .replace('&', "\\u0026")
                .replace('\'', "\\u0027")
                .replace('<', "\\u003C")
                .replace("\\\"", "\\u0022"),
        ),
        ("json go", go(v)),
        ("json twice", twice(&json_ascii(v))),
        ("json php twice", twice(&json_ascii(v).replace('/', "\\/"))),
        ("json three times", twice(&twice(&json_ascii(v)))),
        ("json of html", twice(&html(v))),
        ("html of json", html(&json_ascii(v))),
        ("percent of json", percent(&json_ascii(v), "", true)),
        ("json of percent", twice(&percent(v, "/", true))),
        ("go json of html", go(&html(v))),
        ("python html.escape", html(v)),
        ("html twice", html(&html(v))),
        ("php htmlentities", html(v).replace('é', "&eacute;")),
        (
            "go html",
            v.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&#34;").replace('\'', "&#39;"),
        ),
        ("xml", html(v).replace("&#x27;", "&apos;")),
        ("decimal", every(v, |c| format!("&#{};", c as u32))),
        ("hexadecimal", every(v, |c| format!("&#x{:X};", c as u32))),
        ("hexadecimal, open", every(v, |c| format!("&#x{:x}", c as u32)).replace("&#x33", "&#x33;")),
        (
            "html5 names",
            html(v)
                .replace('/', "&sol;")
                .replace('+', "&plus;")
                .replace('(', "&lpar;")
                .replace('!', "&excl;"),
        ),
        ("python repr", v.replace('\'', "\\'")),
        ("python ascii", v.replace('é', "\\xe9").replace('\'', "\\'")),
        (
            "python bytes",
            every(v, |c| {
                if c.is_ascii() {
                    c.into()
                } else {
                    c.to_string().bytes().map(|b| format!("\\x{b:02x}")).collect()
                }
            }),
        ),
        ("every byte escaped", v.bytes().map(|b| format!("\\x{b:02X}")).collect()),
        ("octal", v.bytes().map(|b| format!("\\{b:03o}")).collect()),
        ("js braces", every(v, |c| format!("\\u{{{:x}}}", c as u32))),
        ("perl quotemeta", every(v, |c| if c.is_alphanumeric() { c.into() } else { format!("\\{c}") })),
        ("csv", v.replace('"', "\"\"")),
        ("sql", v.replace('\'', "''")),
        (
            "quoted-printable",
            v.bytes()
                .map(
                    |b| {
                        if b.is_ascii_alphanumeric() {
                            char::from(b).to_string()
                        } else {
                            format!("={b:02X}")
                        }
                    },
                )
                .collect(),
        ),
        ("quoted-printable lines", v.replace("tok", "to=\r\nk")),
        ("utf-16", v.encode_utf16().flat_map(|u| u.to_le_bytes()).map(char::from).collect()),
        ("mojibake", v.bytes().map(char::from).collect()),
        ("base64", BASE64_STANDARD.encode(v)),
        ("base64 open", BASE64_STANDARD_NO_PAD.encode(v)),
        ("base64 url", BASE64_URL_SAFE.encode(v)),
        ("base64 url open", BASE64_URL_SAFE_NO_PAD.encode(v)),
        ("base64 user", BASE64_STANDARD.encode(format!("user:{v}"))),
        ("base64 within 1", BASE64_STANDARD.encode(format!("u:{v}:more"))),
        ("base64 within 2", BASE64_URL_SAFE.encode(format!("us:{v}:mo"))),
        ("base64 of latin-1", BASE64_STANDARD.encode(v.chars().map(|c| c as u8).collect::<Vec<_>>())),
        ("base64 lines", lines(76, "\r\n")),
        ("base64 short lines", lines(20, "\n")),
        ("base64 lines in json", twice(&lines(30, "\n")).replace('/', "\\/")),
        ("base64 percent", percent(&BASE64_STANDARD.encode(v), "", true)),
        ("hex", hexed("", v.as_bytes())),
        ("hex upper", hexed("", v.as_bytes()).to_uppercase()),
        ("hex mixed", hexed("", v.as_bytes()).replace('e', "E")),
        ("hex spaced", hexed(" ", v.as_bytes())),
        ("hex colons", hexed(":", v.as_bytes()).to_uppercase()),
        ("hex dashes", hexed("-", v.as_bytes()).to_uppercase()),
    ]
}

#[test]
fn no_encoding_of_the_value_stays() {
    for value in
        [VALUE, "p/ss+w \"rd?ü~", "sk-live_4Zx9-Qw", "\\back\\slash%41&amp;", "12+34=%25x", "пароль-密码-🔑!"]
    {
        let scrub = Scrub::new(&[Secret::new(value)]);
        for (name, text) in spelled(value) {
            if name == "base64 of latin-1"
                || name == "js escape" && !value.is_ascii()
                || name == "utf-16" && value.contains('п')
            {
                continue;
            }
            for (before, after) in
                [("before ", " after"), ("", ""), ("{\"a\":\"", "\"}"), ("%", "%"), ("\\\\", "\\")]
            {
                let mut scrubbed = format!("{before}{text}{after}");
                scrub.text(&mut scrubbed);
                let rest = scrubbed.replace(MASK, "");
                let most = before.len() + after.len() + if name.starts_with("base64") { 150 } else { 4 };
                assert!(scrubbed.contains(MASK), "{value} {name}: {text}");
                assert!(rest.len() <= most, "{value} {name}: {text} -> {scrubbed}");
            }
        }
    }
    for name in ["base64 of latin-1", "js escape"] {
        let mut text = spelled(VALUE).into_iter().find(|(n, _)| *n == name).unwrap().1;
        scrub().text(&mut text);
        assert!(text.starts_with(MASK) && text.len() < 6, "{name}: {text}");
    }
}

/// Of each way to write a character one that no other way would find.
#[test]
fn every_way_to_write_a_character_is_read() {
    let of_windows: String = "tok-ünïcödé-ß"
        .bytes()
        .map(|byte| match byte {
            0x9f => 'Ÿ',
            0x93 => '“',
            byte => char::from(byte),
        })
        .collect();
    for (value, text) in [
        ("tok-ünïcödé-ß", of_windows.as_str()),
        ("s3cr3t-token", "s3cr3t=\n-token"),
        ("s3cr3t-token", "s3cr3t%u002dtoken"),
        ("s3cr3t-token", "s3cr3t\\U0000002dtoken"),
        ("s3cr3t\"-token", "s3cr3t&quot-token"),
        ("s3cr3t&-token", "s3cr3t&amp-token"),
        ("s3cr3t\u{b}token", "s3cr3t\\vtoken"),
        ("s3cr3t\u{7}token", "s3cr3t\\atoken"),
        ("s3cr3t\u{8}token", "s3cr3t\\btoken"),
        ("s3cr3t\u{c}token", "s3cr3t\\ftoken"),
        ("s3cr3t\rtoken", "s3cr3t\\rtoken"),
        ("s3cr3t\ttoken", "s3cr3t\\ttoken"),
    ] {
        let mut scrubbed = format!("before {text} after");
        Scrub::new(&[Secret::new(value)]).text(&mut scrubbed);
        assert_eq!(scrubbed, "before *** after", "{value:?}: {text:?}");
    }
}

#[test]
fn of_base64_the_characters_shared_with_its_neighbours_go_too() {
    let scrub = Scrub::new(&[Secret::new("S3CR3T-token")]);
    for (before, after) in [("u", "v"), ("us", "vw"), ("use", "vwx"), ("user", "vwxy")] {
        let mut text = BASE64_STANDARD_NO_PAD.encode(format!("{before}S3CR3T-token{after}"));
        scrub.text(&mut text);
        // In bits: a character has six of them.
        let (start, end) = (before.len() * 8, (before.len() + 12) * 8);
        let all = (end + after.len() * 8).div_ceil(6);
        let (first, rest) = text.split_once(MASK).unwrap();
        let most = (start / 6, all - end.div_ceil(6));
        assert!(first.len() <= most.0 && rest.len() <= most.1, "{before} {after}: {text}");
    }
}

#[test]
fn short_pieces_of_base64_stand_in_ordinary_texts_and_stay() {
    let mut text = BASE64_STANDARD_NO_PAD.encode("abce");
    Scrub::new(&[Secret::new("abcd")]).text(&mut text);
    assert_eq!(text, BASE64_STANDARD_NO_PAD.encode("abce"));
}

#[test]
fn an_error_says_nothing_of_the_value() {
    let mut error = CallError::permanent(&format!("code {VALUE}"), format!("a message with {VALUE} in it"));
    scrub().error(&mut error);
    assert_eq!((error.code.as_str(), error.message.as_str()), ("code ***", "a message with *** in it"));
}

#[test]
fn bytes_are_scrubbed_before_they_are_decoded() {
    let latin: Vec<u8> = format!("a {VALUE} b").chars().map(|c| c as u8).collect();
    assert_eq!(scrub().bytes(&latin).as_ref(), b"a *** b");
    // Shorter than the value itself.
    let alone: Vec<u8> = VALUE.chars().map(|c| c as u8).collect();
    assert_eq!(scrub().bytes(&alone).as_ref(), b"***");
    let wide: Vec<u8> = VALUE.encode_utf16().flat_map(u16::to_be_bytes).collect();
    assert!(scrub().bytes(&wide).len() < 6);
}

#[test]
fn only_escapes_are_blind_to_case() {
    let scrub = Scrub::new(&[Secret::new("AbCdEf")]);
    for other in ["abcdef", "ABCDEF", "AbCdE", "AbCdEx", "&#65;bcdef", "hello world", "%41bcdef"] {
        let mut text = other.to_owned();
        scrub.text(&mut text);
        assert_eq!(text, other);
    }
}

#[test]
fn keys_numbers_and_nested_texts_are_scrubbed_and_others_kept() {
    let scrub = Scrub::new([&Secret::new("12345678"), &Secret::new("abc")]);
    let mut value = json!({"k12345678": [1, true, 12345678, {"x": "a12345678b"}], "abc": "abc"});
    scrub.value(&mut value);
    assert_eq!(value, json!({"k***": [1, true, "***", {"x": "a***b"}], "abc": "abc"}));
}

#[test]
fn a_value_inside_another_does_not_break_it_up() {
    let scrub = Scrub::new([&Secret::new("inner"), &Secret::new("the inner one")]);
    let mut text = "x the inner one, inner y".to_owned();
    scrub.text(&mut text);
    assert_eq!(text, "x ***, *** y");
}

#[test]
fn pieces_hide_what_stands_across_them() {
    for (name, text) in spelled(VALUE) {
        let whole = format!("So it is {text}, I think.");
        let mut expected = whole.clone();
        scrub().text(&mut expected);
        let mut pieces = scrub().pieces();
        let mut shown = String::new();
        for c in whole.chars() {
            shown.push_str(&pieces.push(&c.to_string()));
            assert!(!shown.contains(VALUE), "{name}");
        }
        shown.push_str(&pieces.finish());
        assert!(shown.contains(MASK) && shown.len() <= expected.len() + 8, "{name}: {shown} {expected}");
    }
    let mut pieces = scrub().pieces();
    assert_eq!(pieces.push("nothing of it. "), "nothing of it. ");
}

#[test]
fn work_is_linear_in_the_text() {
    let secrets: Vec<Secret> =
        (0..20).map(|i| Secret::new(format!("{i}-{}{VALUE}", "a".repeat(i * 3)))).collect();
    let scrub = Scrub::new(&secrets);
    for unit in [
        "a",
        "%25",
        "\\",
        "&amp;",
        "=",
        "%2525252525",
        "lorem ipsum &quot;dolor&quot; %20 \\u00e9 ",
        "0-S3CR3T/",
        "\u{0}",
        "é",
    ] {
        let text = unit.repeat((256 << 10) / unit.len());
        let began = std::time::Instant::now();
        let mut scrubbed = text.clone();
        scrub.text(&mut scrubbed);
        let took = began.elapsed();
        assert!(took.as_secs() < 20, "{unit}: {took:?}");
    }
}
