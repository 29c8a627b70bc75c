//! Sources that ask for far too much. Each must end soon, by an error or a small result; a stack overflow would
//! abort the whole test binary. Test threads have 2 MiB of stack, as tokio's workers do.

use super::*;
use serde_json::json;
use std::{
    sync::LazyLock,
    time::{Duration, Instant},
};

/// Time on a processor, so that it matters little what else the machine does. Promised are 50 ms, of an optimized build
/// on an idle core; a neighbour on the same core may double it.
const SOON: Duration = Duration::from_millis(if cfg!(debug_assertions) { 2_000 } else { 100 });

/// Returns how long this thread was on a processor so far.
fn clock() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    match stat.split(' ').next().and_then(|ns| ns.parse().ok()) {
        Some(ns) => Duration::from_nanos(ns),
        None => START.elapsed(),
    }
}

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

fn context() -> Value {
    json!({"input": {"n": 7, "list": (0..1000).collect::<Vec<_>>(), "text": "x".repeat(10_000)}})
}

fn ends_soon(source: &str, run: impl FnOnce(&Value) -> Result<usize, Error>) -> Result<usize, Error> {
    let context = context();
    let start = clock();
    let result = run(&context);
    let (took, short) = (clock().saturating_sub(start), source.chars().take(100).collect::<String>());
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

#[test]
fn sources_are_bounded_before_they_are_compiled() {
    let limit = |result: Result<Reads, Error>| match result {
        Err(Error::Limit(message)) => message,
        other => panic!("{other:?}"),
    };
    let long = |n: usize| format!("'{}'", "x".repeat(n));
    assert!(check_expression(&long((64 << 10) - 2)).is_ok());
    assert!(limit(check_expression(&long((64 << 10) - 1))).contains("longer than 65536 bytes"));
    let text = |n: usize| json!("x".repeat(n));
    assert!(check_template(&text(1 << 20)).is_ok());
    assert!(limit(check_template(&text((1 << 20) + 1))).contains("longer than 1048576 bytes"));
    let filters = |n: usize| json!(format!("{{{{ a{} }}}}", "|e".repeat(n)));
    assert!(check_template(&filters(400)).is_ok());
    assert!(limit(check_template(&filters(500))).contains("more than 1000 tokens"));
    let tags = |n: usize| json!("{{ a }}".repeat(n));
    assert!(check_template(&tags(4_000)).is_ok());
    assert!(limit(check_template(&tags(4_001))).contains("more than 4000 tokens"));
}

#[test]
fn what_goes_in_and_comes_out_is_bounded_in_depth_and_entries() {
    let deep = |n: usize| (0..n).fold(json!(1), |inner, _| json!([inner]));
    let seen = |value: Value| evaluate("[a][0] | length", &json!({"a": value}));
    assert_eq!(seen(deep(60)), Ok(json!(1)));
    assert!(matches!(seen(deep(65)), Err(Error::Limit(_))));
    let fields = |from: usize, to: usize| -> Value {
        (from..to).map(|n| (format!("{n:x}"), json!([]))).collect::<serde_json::Map<_, _>>().into()
    };
    assert_eq!(seen(fields(0, 100_000)), Ok(json!(100_000)));
    assert!(
        matches!(seen(fields(0, 100_001)), Err(Error::Limit(message)) if message.contains("100001 entries"))
    );
    let shape = (0..70).fold(json!("x"), |inner, _| json!([inner]));
    assert!(matches!(render(&shape, &json!({})), Err(Error::Limit(_))), "the template itself");
    // Each of the two is small enough.
    let texts = json!({"a": "{{ t | upper }}", "b": "{{ t | lower }}"});
    let made = render(&texts, &json!({"t": "x".repeat(600 << 10)}));
    assert!(matches!(&made, Err(Error::Limit(_))), "together");
    let two = json!({"a": fields(0, 50_001), "b": fields(50_001, 100_002)});
    let joined = evaluate("a | chain(b)", &two);
    assert!(matches!(&joined, Err(Error::Limit(message)) if message.contains("entries")), "{joined:?}");
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

/// Everything that works on a text or a list, on a large one, as often as the fuel lasts.
#[test]
fn no_filter_is_slower_than_its_fuel_says() {
    let texts = [
        "upper",
        "lower",
        "title",
        "capitalize",
        "trim",
        "escape",
        "string",
        "length",
        "first",
        "lines|length",
        "list|length",
        "reverse",
        "replace('x', 'y')",
        "replace('xx', 'y')",
        "split('x')|length",
        "indent(2)",
        "tojson",
        "int(default=0)",
        "float(default=0)",
        "format",
        "unique|length",
        "sort|length",
        "bool",
    ];
    let lists = [
        "length",
        "first",
        "last",
        "min",
        "max",
        "sum",
        "reverse|length",
        "sort|length",
        "sort(reverse=true)|length",
        "unique|length",
        "join(',')",
        "map('string')|list|length",
        "map('abs')|list|length",
        "select('odd')|list|length",
        "reject('odd')|list|length",
        "batch(2)|length",
        "slice(3)|length",
        "zip|length",
        "tojson",
        "string",
        "list|length",
        "groupby('x')|length",
        "chain|length",
        "tojson|fromjson|length",
        "select('gt', 5)|list|length",
    ];
    let mut worst = Vec::new();
    for (operand, filters) in [("input.text", &texts[..]), ("input.list", &lists[..])] {
        for filter in filters {
            let source =
                format!("{{% for a in range(100000) %}}{{% set x = {operand}|{filter} %}}{{% endfor %}}");
            let context = context();
            let start = clock();
            let _ = render_text(&source, &context);
            worst.push((clock().saturating_sub(start), source));
        }
    }
    for source in [
        "{% for a in range(100000) %}{% set x = 1 %}{% endfor %}",
        "{% for a in range(100000) %}{% if a > 1 and a < 5 or a == 7 %}{% endif %}{% endfor %}",
        "{% for a in range(100000) %}{% if a is odd %}{% endif %}{% endfor %}",
        "{% for a in range(100000) %}{% set x = [a, a, a] %}{% endfor %}",
        "{% for a in range(100000) %}{% set x = {'a': a, 'b': a} %}{% endfor %}",
        "{% for a in range(100000) %}{% set x = a ~ a %}{% endfor %}",
        "{% for a in range(100000) %}{% set x = input.n * a + 1 %}{% endfor %}",
        "{% for a in range(100000) %}{% set x = input.text[1:] %}{% endfor %}",
        "{% for a in range(100000) %}{% set x = input.list[1:] %}{% endfor %}",
        "{% for a in range(100000) %}{% set x = input.text ~ input.text %}{% endfor %}",
        "{% for a in range(100000) %}{% if input.text == input.text %}{% endif %}{% endfor %}",
        "{% for a in range(100000) %}{% if 'y' in input.text %}{% endif %}{% endfor %}",
        "{% for a in range(100000) %}{{ a }}{% endfor %}",
        "{% for a in range(100000) %}{% for b in input.list %}{% endfor %}{% endfor %}",
        "{% for a in range(100000) %}{% for b in input.text %}{% endfor %}{% endfor %}",
        "{% for a in range(100000) %}{% with b = a %}{% endwith %}{% endfor %}",
        "{% for a in range(100000) %}{% set x %}abc{% endset %}{% endfor %}",
    ] {
        let context = context();
        let start = clock();
        let _ = render_text(source, &context);
        worst.push((clock().saturating_sub(start), source.to_owned()));
    }
    let (took, source) = worst.into_iter().max().expect("some");
    eprintln!("the slowest: {took:?} {source}");
    assert!(took < SOON, "{took:?}: {source}");
}
