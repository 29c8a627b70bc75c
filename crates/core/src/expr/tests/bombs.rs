//! Sources that ask for far too much. Each must end soon, by an error or a small result; a stack overflow would
//! abort the whole test binary. Test threads have 2 MiB of stack, as tokio's workers do.

use super::*;
use serde_json::json;
use std::time::{Duration, Instant};

/// About 20 ms in an optimized build; these tests run unoptimized, on machines that do other things, too.
const SOON: Duration = Duration::from_secs(2);

fn context() -> Value {
    json!({"input": {"n": 7, "list": (0..1000).collect::<Vec<_>>(), "text": "x".repeat(10_000)}})
}

fn ends_soon(source: &str, run: impl FnOnce(&Value) -> Result<usize, Error>) -> Result<usize, Error> {
    let context = context();
    let start = Instant::now();
    let result = run(&context);
    let (took, short) = (start.elapsed(), source.chars().take(100).collect::<String>());
    assert!(took < SOON, "{took:?}: {short}");
    result
}

fn expression(source: &str) -> Result<usize, Error> {
    ends_soon(source, |context| {
        check_expression(source)?;
        evaluate(source, context).map(|v| crate::value::json_len(&v))
    })
}

fn template(source: &str) -> Result<usize, Error> {
    ends_soon(source, |context| {
        check_template(&json!(source))?;
        render_text(source, context).map(|t| t.len())
    })
}

#[test]
fn what_asks_for_too_much_hits_a_limit() {
    for source in [
        "'a' * 10**9",
        "'a' * 60000000",
        "'a' * 2000000",
        "'%1000000000d'|format(1)",
        "'%.1000000000f'|format(1.0)",
        "'x'|indent(1000000000)",
        "('x\n' * 10000)|indent(100000)",
        "('a' * 100000)|replace('a', 'b' * 100000)",
        "('a' * 100000)|replace('', 'b' * 100000)",
        "('a,' * 500000)|split(',')|join('x' * 10000)",
        "input.list|map('string')|join(input.text)",
        "('a' * 1000000)|list|length",
        "input.list|batch(10**12, 0)|list",
        "input.list|slice(10**12)|list",
        "range(100000)|list + range(100000)|list",
        "('[' * 70 ~ ']' * 70)|fromjson",
    ] {
        assert!(matches!(expression(source), Err(Error::Limit(_))), "{source}: {:?}", expression(source));
    }
    for source in [
        "{% for a in range(100000) %}{% for b in range(100000) %}x{% endfor %}{% endfor %}",
        "{% for a in range(100000) %}{% set x = 'y' * 100000 %}{% endfor %}",
        "{% for a in range(100000) %}{{ 'y' * 100000 }}{% endfor %}",
        "{% for a in range(100000) %}{{ 'y' * 100 }}{% endfor %}",
        "{% for a in range(100000) %}{% if input == input %}{% endif %}{% endfor %}",
        "{% for a in range(100000) %}{% if a in input.list %}{% endif %}{% endfor %}",
        "{% for a in range(100000) %}{% set x = input ~ input %}{% endfor %}",
        "{% for a in range(100000) %}{% if loop.changed(input) %}{% endif %}{% endfor %}",
        "{% for a in [1] recursive %}{{ loop([1]) }}{% endfor %}",
        "{% for a in [1] recursive %}{{ loop([1]) }}{{ loop([1]) }}{% endfor %}",
    ] {
        assert!(matches!(template(source), Err(Error::Limit(_))), "{source}: {:?}", template(source));
    }
}

#[test]
fn a_list_is_not_multiplied() {
    for source in [
        "[0] * 10**9",
        "[0] * 99999999",
        "2 * input.list",
        "([0] * 99999999)|length",
        "([0] * 99999999) == ([0] * 99999999)",
        "1 in ([0] * 99999999)",
        "([0] * 99999999)|string|length",
        "[[input.list] * 1000] * 1000",
        "(input.list or 1) * 99999999",
    ] {
        let expected = Err(Error::Evaluation("lists and objects can't be multiplied".into()));
        if source.contains("10**9") {
            assert!(expression(source).is_err());
        } else {
            assert_eq!(expression(source), expected, "{source}");
        }
    }
}

#[test]
fn what_is_not_there_is_refused() {
    for source in [
        "{% include 'x' %}",
        "{% import 'x' as y %}",
        "{% extends 'x' %}",
        "{% macro a() %}{{ a() }}{% endmacro %}{{ a() }}",
        "{% filter upper %}x{% endfilter %}",
        "{% autoescape 'html' %}x{% endautoescape %}",
        "{{ 1|pprint }}",
        "{% set not = [1] %}{{ 1 }}",
        "{% with x = 1, and = [1] %}{% endwith %}",
        "{% for not in [1] %}{% endfor %}",
        "{{ 1 is nothing }}",
    ] {
        assert!(matches!(template(source), Err(Error::Syntax(_))), "{source}: {:?}", template(source));
    }
    let namespace =
        "{% set ns = namespace(a=[]) %}{% for i in range(100000) %}{% set ns.a = [ns.a] %}{% endfor %}";
    assert!(template(namespace).is_err());
    for source in ["10**10**10", "9**9**9", "range(10**9)", "'1e999'|fromjson", "debug()"] {
        assert!(
            matches!(expression(source), Err(Error::Evaluation(_))),
            "{source}: {:?}",
            expression(source)
        );
    }
}

#[test]
fn what_only_looks_big_is_small() {
    for source in [
        "1.5|round(1000000000)",
        "1|round(-1000000000)",
        "input.list|batch(10**12)|list",
        "input.list|tojson(indent=1000000000)|length",
        "('a' * 1000000)|upper|lower|title|length",
        "range(100000)|map('string')|join(',')|length",
    ] {
        assert!(expression(source).is_ok_and(|len| len < 10_000), "{source}: {:?}", expression(source));
    }
}

#[test]
fn depth_ends_in_an_error_and_not_in_the_stack() {
    let wrap = |open: &str, mid: &str, close: &str, n| format!("{}{mid}{}", open.repeat(n), close.repeat(n));
    for n in [140, 490, 50_000] {
        for (open, mid, close) in [
            ("[", "1", "]"),
            ("(", "1", ")"),
            ("{'a':", "1", "}"),
            ("not ", "1", ""),
            ("-", "1", ""),
            ("", "input", ".a"),
            ("", "input", "[0]"),
            ("", "1", "|e"),
            ("", "1", "~1"),
            ("", "2", "**1"),
            ("", "1", " if 1 else 1"),
            ("", "1", " is odd"),
            ("", "1", "()"),
            ("", "1", " in 1"),
            ("", "1", " and 1"),
            ("", "[1]", "|batch(1)"),
            ("", "[1]", "|zip|list"),
        ] {
            let _ = expression(&wrap(open, mid, close, n));
        }
        for (open, close) in [
            ("{% if 1 %}", "{% endif %}"),
            ("{% for x in [1] %}", "{% endfor %}"),
            ("{% with x = 1 %}", "{% endwith %}"),
            ("{% set x %}", "{% endset %}"),
        ] {
            let _ = template(&wrap(open, "x", close, n));
        }
    }
}

/// Values that name one list twice at each level: small to make, endless to look at.
#[test]
fn a_value_pays_for_what_it_looks_like() {
    let double = "{% set x = [x, x] %}{% set y = [y, y] %}".repeat(50);
    for look in
        ["x", "x|string", "x|join", "x == y", "[x, y]|unique", "x in y", "{x: 1}", "x ~ y", "x is eq(y)"]
    {
        let source = format!("{{% set x = 1 %}}{{% set y = 1 %}}{double}{{{{ {look} }}}}");
        assert!(matches!(template(&source), Err(Error::Limit(_))), "{look}");
    }
    for (start, step) in [
        ("[1]", "x + x"),
        ("'a'", "x ~ x"),
        ("[1]", "x|chain(x)"),
        ("1", "[x]"),
        ("[1]", "x|batch(1)|list"),
        ("[1]", "x|zip(x)|list"),
    ] {
        let source = format!("{{% set x = {start} %}}{}{{{{ x|length }}}}", "{% set x = STEP %}".repeat(70));
        let result = template(&source.replace("STEP", step));
        assert!(matches!(result, Err(Error::Limit(_))), "{step}: {result:?}");
    }
    for step in ["x[:]", "x|reverse", "x + [1]", "x|chain([1])", "x|map('string')"] {
        let source = format!("{{% set x = [1] %}}{}{{{{ x|length }}}}", "{% set x = STEP %}".repeat(200));
        assert!(template(&source.replace("STEP", step)).is_ok(), "{step}");
    }
}
