//! What is counted, and what comes of it when it is too much.

use super::*;
use serde_json::json;

/// Units that are counted while something is evaluated.
fn used<T>(run: impl FnOnce(&Meter<'_>) -> T) -> u64 {
    let meter = Meter::default();
    let _ = run(&meter);
    meter.used()
}

#[test]
fn a_value_is_paid_by_its_values_keys_and_bytes() {
    for (value, units) in [
        (json!(1), 0),
        (json!(vec![0; 399]), 100),
        (json!("x".repeat(6_400)), 100),
        (json!({"k".repeat(6_400): 1}), 100),
        (json!((0..200).map(|n| (format!("{n:03}"), json!(1))).collect::<Map<_, _>>()), 100 + 600 / 64),
    ] {
        assert_eq!(meter::entry(&value), units);
    }
}

#[test]
fn whatever_is_evaluated_pays_for_what_it_sees_gives_and_compiles() {
    let context = json!({"a": vec![0; 39_996], "b": "x".repeat(16_000)});
    let seen = meter::entry(&context);
    assert!(seen > 10_000);
    for units in [
        used(|meter| evaluate_under(meter, "1", &context)),
        used(|meter| holds_under(meter, "1", &context)),
        used(|meter| render_under(meter, &json!("x"), &context)),
        used(|meter| render_text_under(meter, "x", &context)),
    ] {
        assert!(units >= seen, "{units}");
    }
    // What is passed on is paid on its way out, what is made as well.
    let small = json!({"b": "x".repeat(16_000)});
    let entered = meter::entry(&small);
    for units in [
        used(|meter| evaluate_under(meter, "b", &small)),
        used(|meter| render_under(meter, &json!("{{ b }}"), &small)),
        used(|meter| render_text_under(meter, "{{ b }}", &small)),
        used(|meter| evaluate_under(meter, "b ~ ''", &small)),
        used(|meter| render_text_under(meter, "{{ b ~ '' }}", &small)),
    ] {
        assert!(units >= entered + 1_000, "{units}");
    }
    let long = format!("1{}", " ".repeat(16_000));
    assert!(used(|meter| holds_under(meter, &long, &json!({}))) >= 1_000);
}

#[test]
fn what_fails_is_counted_as_if_it_had_worked_for_long() {
    let context = json!({"t": "x".repeat(100_000)});
    assert!(used(|meter| evaluate_under(meter, "1 / 0", &context)) >= 100_000);
    let large = "{% for i in range(20) %}{{ t }}{% endfor %}";
    assert!(used(|meter| render_text_under(meter, large, &context)) >= 100_000, "the text is too large");
    assert!(matches!(render_text(large, &context), Err(Error::Limit(_))));
    let endless = "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}";
    assert!(used(|meter| render_text_under(meter, endless, &context)) >= FUEL);
}

#[test]
fn an_allowance_ends_what_needs_more_and_nothing_begins_after_it() {
    let meter = Meter::up_to(5_000);
    let empty = json!({});
    assert_eq!(evaluate_under(&meter, "range(1000) | sum", &empty), Ok(json!(499_500)));
    assert!(!meter.is_over());
    assert!(matches!(evaluate_under(&meter, "range(90000) | sum", &empty), Err(Error::Limit(_))));
    assert!(meter.is_over() && meter.used() < 10_000, "{}", meter.used());
    assert_eq!(
        evaluate_under(&meter, "1", &empty),
        Err(Error::Limit("there is no more work allowed here".into()))
    );
    let brake = Brake::default();
    let meter = Meter::new(Some(&brake));
    brake.ease();
    assert_eq!(evaluate_under(&meter, "1", &empty), Ok(json!(1)), "what has begun may end");
    brake.stop();
    let stopped = Err(Error::Limit("the expression takes too long".into()));
    assert_eq!(evaluate_under(&meter, "1", &empty), stopped);
    assert_eq!(Fuel::new(10).under(&meter).take(1).map(|()| json!(1)), stopped);
}

#[test]
fn a_series_shares_its_fuel_also_with_what_failed() {
    let context = Context::new(&json!({})).expect("a context");
    let sum = Expression::new("range(1000) | sum").expect("an expression");
    let mut fuel = Fuel::new(5_000);
    let ends: Vec<bool> = (0..6).map(|_| sum.evaluate(&context, &mut fuel).is_ok()).collect();
    assert!(ends[0] && !ends[5], "{ends:?}");
    let wrong = Expression::new("1 / 0").expect("an expression");
    let mut fuel = Fuel::new(150_000);
    assert!(wrong.evaluate(&context, &mut fuel).is_err() && wrong.evaluate(&context, &mut fuel).is_err());
    assert!(matches!(fuel.take(1), Err(Error::Limit(_))));
    assert!(matches!(Fuel::new(5).take(6), Err(Error::Limit(_))));
}

/// Each byte, each find and each item is handled by itself.
#[test]
fn filters_that_work_long_on_each_byte_or_item_pay_for_that() {
    let context = json!({"t": "x".repeat(80_000), "at": "2027-01-01T00:00:00Z"});
    for source in ["t | title | length", "t | replace('y', 'z') | length"] {
        assert!(used(|meter| evaluate_under(meter, source, &context)) >= 10_000 + 80_000 / 64, "{source}");
    }
    let grows = "('x' * 1000) | replace('x', 'y' * 640) | length";
    assert!(used(|meter| evaluate_under(meter, grows, &json!({}))) >= 1_000 * 639 / 64);
    let date = |times: usize| {
        let seen = json!({"at": "2027-01-01T00:00:00Z", "p": "%Y-%m-%d".repeat(times)});
        used(|meter| evaluate_under(meter, "at | date(p)", &seen))
    };
    assert!(date(30) >= date(0) + 30 * 10 / 8 - 1);
}
