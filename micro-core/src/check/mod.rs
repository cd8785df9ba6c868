//! Checks that the compiler runs, of what only all items together can show; the start runs them again.
//!
//! Every entry is `#[track_caller]`: rustc then reports a failure at the call that the macros anchored at
//! the user's own token, and shows no frames of this module.

use crate::handler::Registration;
use crate::interceptor::{Applied, InterceptorDescriptor};
use crate::schema::{Field, Shape, Type};
use crate::service::{MethodDescriptor, ServiceDescriptor};

mod app;
mod text;

pub use app::{Survey, findings, unheard};

pub use crate::topic::matches;
use text::{Text, contains, is_near, same};

/// The index of the handler with this name.
///
/// In a constant, a name that no handler has does not compile:
/// `const HELLO: u16 = route(descriptor, "hello");`
///
/// # Panics
/// When the service has no such handler.
#[track_caller]
pub const fn route(service: &ServiceDescriptor, name: &str) -> u16 {
    let index = method_index(service, name);
    if index == NONE {
        let text = Text::new().then("service ").name(service.name).then(" has no handler ");
        known(text.name(name), service.methods, name).fail()
    }
    index
}

/// Stands for "no such handler": no service has that many.
const NONE: u16 = u16::MAX;

/// The index of a handler, where a `cfg` may have moved it.
pub const fn method_index(service: &ServiceDescriptor, name: &str) -> u16 {
    let mut i = 0;
    while i < service.methods.len() {
        if same(service.methods[i].name, name) {
            return i as u16;
        }
        i += 1;
    }
    NONE
}

/// The index of a subscription, likewise.
pub const fn subscription_index(service: &ServiceDescriptor, handler: &str) -> u16 {
    let mut i = 0;
    while i < service.subscriptions.len() {
        if same(service.subscriptions[i].handler, handler) {
            return i as u16;
        }
        i += 1;
    }
    NONE
}

/// Entry points of the checks that generated code makes. Associated functions, so that a call can begin
/// with `<` and end with `)`: those marks carry the user's location, and no identifier does.
#[derive(Debug)]
pub struct At;

impl At {
    /// A pattern matches the topic of the event that the subscriber takes.
    #[track_caller]
    pub const fn topic(handler: &str, pattern: &str, topic: &str, event: &str) {
        if matches(pattern, topic) {
            return;
        }
        Text::new()
            .then("pattern ")
            .name(pattern)
            .then(" of subscriber ")
            .name(handler)
            .then(" never matches ")
            .name(topic)
            .then(", the topic of ")
            .name(event)
            .then("\n  help: write `#[subscribe]` alone to take the topic from ")
            .name(event)
            .fail()
    }

    /// The return type is no alias of `Result`, which would travel as a value.
    #[track_caller]
    pub const fn not_result(is_result: bool, handler: &str) {
        if !is_result {
            return;
        }
        Text::new()
            .then("handler ")
            .name(handler)
            .then(" returns an alias of `Result`, which the attribute cannot see through")
            .then("\n  help: write `Result<T, E>`, or name the alias `Result`")
            .fail()
    }

    /// A name in an HTTP path is a field of the request; of a plain value, its own name.
    #[track_caller]
    pub const fn path_parameter(
        handler: &str,
        parameter: &str,
        parameters: usize,
        argument: &str,
        shown: &str,
        request: &Type,
    ) {
        let text = Text::new().then("path parameter `{").then(parameter).then("}` of handler ");
        let text = text.name(handler);
        match request.shape {
            Shape::Struct(fields) => path_field(text, parameter, shown, fields),
            Shape::Bool | Shape::Enum(_) | Shape::Float | Shape::Int { .. } | Shape::String => {
                if parameters != 1 {
                    let text = text.then(" is one of several, but the handler takes one ");
                    text.name(shown).then("\n  help: take one argument for each").fail()
                }
                if !same(parameter, argument) {
                    let text = text.then(" is not its argument ").name(argument);
                    text.then("\n  help: write `{").then(argument).then("}`").fail()
                }
            }
            Shape::List(_) | Shape::Tuple(_) | Shape::Unit => {
                text.then(" cannot be found in ").name(shown).then(", which has no fields").fail()
            }
            // Not known until it runs.
            Shape::Any | Shape::Map(_) | Shape::Option(_) => {}
        }
    }

    /// What an interceptor needs is there when it runs, and the list reads in the order of running.
    #[track_caller]
    pub const fn interceptor(service: &str, list: &[Applied], expects: &[&str], index: usize) {
        let this = list[index].descriptor;
        let mut i = 0;
        while i < index {
            let earlier = list[i].descriptor;
            if earlier.phase as u8 > this.phase as u8 {
                let text = phased(Text::new(), this).then(" runs before ");
                phased(text, earlier)
                    .then(" whatever the order here\n  help: list ")
                    .name(this.name)
                    .then(" first, so that the list reads as it runs")
                    .fail()
            }
            i += 1;
        }
        let mut i = 0;
        while i < this.requires.len() {
            let tag = this.requires[i];
            if !contains(expects, tag) && !provided(list, index, tag) {
                unprovided(service, list, index, tag).fail()
            }
            i += 1;
        }
    }

    /// A handler that a filter names is one of the contract's.
    #[track_caller]
    pub const fn filter(contract: &ServiceDescriptor, word: &str, handler: &str) {
        if method_index(contract, handler) != NONE {
            return;
        }
        let text = Text::new().then("`").then(word).then("(").then(handler).then(")`: contract ");
        let text = text.name(contract.name).then(" has no handler ").name(handler);
        known(text, contract.methods, handler).fail()
    }

    /// The service at `index` gets along with those before it, and hears what somebody emits.
    #[track_caller]
    pub const fn app(
        survey: &Survey,
        list: &[&ServiceDescriptor],
        external: &[&str],
        index: usize,
    ) {
        if let Some(text) = app::clash(survey, list, index) {
            text.fail()
        }
        if let Some(text) = app::unheard_at(list, external, index) {
            text.fail()
        }
    }

    /// The registration of the server of a contract.
    #[track_caller]
    pub const fn served(
        registration: Option<Registration>,
        ty: &str,
        contract: &str,
    ) -> Registration {
        if let Some(registration) = registration {
            return registration;
        }
        let text = Text::new().name(ty).then(" implements ").name(contract);
        let text = text.then(" without `#[service]`\n  help: write `#[service] impl ");
        text.then(contract).then(" for ").then(ty).then("`").fail()
    }
}

/// Appends what was probably meant, or all that is there.
const fn known(text: Text, methods: &[MethodDescriptor], name: &str) -> Text {
    let mut i = 0;
    while i < methods.len() {
        if is_near(name, methods[i].name) {
            return text.then("\n  help: did you mean ").name(methods[i].name).then("?");
        }
        i += 1;
    }
    let mut text = text.then("\n  help: it has");
    let mut i = 0;
    while i < methods.len() {
        text = text.then(if i == 0 { " " } else { ", " }).name(methods[i].name);
        i += 1;
    }
    text
}

#[track_caller]
const fn path_field(text: Text, parameter: &str, shown: &str, fields: &[Field]) {
    let text = text.then(" is not a field of ").name(shown);
    let mut near = "";
    let mut i = 0;
    while i < fields.len() {
        if same(fields[i].name, parameter) {
            return;
        }
        if near.is_empty() && is_near(parameter, fields[i].name) {
            near = fields[i].name;
        }
        i += 1;
    }
    if !near.is_empty() {
        text.then("\n  help: did you mean `{").then(near).then("}`?").fail()
    }
    let mut text = text.then("\n  help: it has");
    let mut i = 0;
    while i < fields.len() {
        text = text.then(if i == 0 { " " } else { ", " }).name(fields[i].name);
        i += 1;
    }
    text.fail()
}

const fn phased(text: Text, this: InterceptorDescriptor) -> Text {
    text.name(this.name).then(" (phase ").then(this.phase.name()).then(")")
}

/// Whether something that runs before `index` provides the tag.
const fn provided(list: &[Applied], index: usize, tag: &str) -> bool {
    let this = list[index].descriptor.phase as u8;
    let mut i = 0;
    while i < list.len() {
        let other = list[i].descriptor;
        let before = (other.phase as u8) < this || (other.phase as u8 == this && i < index);
        if before && contains(other.provides, tag) {
            return true;
        }
        i += 1;
    }
    false
}

const fn unprovided(service: &str, list: &[Applied], index: usize, tag: &str) -> Text {
    let this = list[index].descriptor;
    let text = Text::new().then("interceptor ").name(this.name).then(" of ").name(service);
    let text = text.then(" needs ").name(tag).then(", which no earlier interceptor provides");
    let mut i = 0;
    while i < list.len() {
        let other = list[i].descriptor;
        if i != index && contains(other.provides, tag) {
            let text = phased(text.then("\n  help: "), other).then(" provides it, but runs after ");
            return phased(text, this);
        }
        i += 1;
    }
    text.then("\n  help: list one that does before it, or write `expects(")
        .then(tag)
        .then(")` if the app's own interceptors do")
}

#[cfg(test)]
mod tests;
