use super::*;
use crate::service::{Access, HttpBinding, Kind, Location, SubscriptionDescriptor};

const LOCATION: Location = Location { krate: "app", file: "src/main.rs", line: 7 };

const fn service(name: &'static str, methods: &'static [MethodDescriptor]) -> ServiceDescriptor {
    ServiceDescriptor {
        name,
        version: 1,
        type_name: "Type",
        docs: "",
        methods,
        subscriptions: &[],
        emits: &[],
        interceptors: &[],
        location: LOCATION,
    }
}

const fn method(name: &'static str, path: &'static str) -> MethodDescriptor {
    MethodDescriptor {
        name,
        kind: Kind::Unary,
        idempotent: true,
        access: Access::Public,
        http: Some(HttpBinding { verb: "GET", path }),
        timeout: None,
        docs: "",
        request: crate::schema::ANY,
        reply: crate::schema::ANY,
        location: LOCATION,
    }
}

const A: ServiceDescriptor = service("a", &[method("x", "/v1/{id}"), method("y", "/v1/{id}/y")]);
const B: ServiceDescriptor = service("b", &[method("x", "/v1/{name}/y"), method("z", "/v2/{id}")]);
const C: ServiceDescriptor = service("c", &[method("x", "/v1/{name}/z"), method("y", "/v1")]);

#[test]
fn services_that_get_along_have_no_findings() {
    assert_eq!(findings(&[&A, &C]), Vec::<String>::new());
    let list = [&A, &C];
    let survey = Survey::of(&list);
    assert!((0..2).all(|i| app::clash(&survey, &list, i).is_none()));
}

#[test]
fn equal_names_and_routes_are_found_by_compiler_and_start_alike() {
    for list in [[&A, &A], [&A, &B]] {
        let survey = Survey::of(&list);
        let compiled = app::clash(&survey, &list, 1).expect("a clash");
        assert!(findings(&list).iter().any(|found| found == compiled.as_str()));
    }
    let found = findings(&[&A, &B]);
    assert_eq!(found.len(), 1);
    assert!(found[0].contains("`GET /v1/{id}/y` of `a.y` (src/main.rs:7)"), "{found:?}");
    let v2 = ServiceDescriptor { version: 2, methods: &[], ..A };
    assert_eq!(findings(&[&A, &v2]), Vec::<String>::new());
}

#[test]
fn more_routes_than_slots_are_left_to_the_start() {
    static MANY: [MethodDescriptor; 5000] = [method("x", "/same"); 5000];
    let all = service("all", &MANY);
    let _ = Survey::of(&[&all]);
    assert_eq!(findings(&[&all]).len(), 4999);
}

const ON: SubscriptionDescriptor = SubscriptionDescriptor {
    handler: "on",
    pattern: "orders.*",
    topic: "orders.created",
    group: None,
    broadcast: false,
    event: crate::schema::ANY,
    location: LOCATION,
};

#[test]
fn a_subscription_is_unheard_only_where_services_say_what_they_emit() {
    let listener = ServiceDescriptor { subscriptions: &[ON], ..A };
    let emits = |topics: &'static [&'static str]| ServiceDescriptor { emits: topics, ..C };
    assert_eq!(unheard(&[&listener, &C]).len(), 0);
    assert_eq!(unheard(&[&listener, &emits(&["orders.created"])]).len(), 0);
    let found = unheard(&[&listener, &emits(&["order.created"])]);
    assert!(found[0].contains("a similar topic is emitted: `order.created`"), "{found:?}");
    let other = emits(&["payments.taken"]);
    assert!(app::unheard_at(&[&listener, &other], &["orders.>"], 0).is_none());
    assert!(app::unheard_at(&[&listener, &other], &["carts.>"], 0).is_some());
}

#[test]
fn a_route_is_found_by_name() {
    assert_eq!(route(&A, "y"), 1);
    assert_eq!(method_index(&A, "nothing"), u16::MAX);
}

#[test]
#[should_panic(expected = "has no handler `q`\n  help: it has `x`, `y`")]
fn a_route_that_is_not_there_names_those_that_are() {
    route(&A, "q");
}
