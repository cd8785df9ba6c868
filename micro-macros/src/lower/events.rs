//! `#[subscribe]`: the event that a function receives, and under which topics.

use syn::ReturnType;

use super::handler::fallible;
use super::{Scope, attributes, signature};
use crate::diag::{Diag, suggest};
use crate::event::topic_problem;
use crate::model::{Role, Subscription};
use crate::parse::args::Args;
use crate::parse::item::Function;
use crate::parse::types;

const KEYS: &[&str] = &["group", "broadcast"];

/// Reads one subscription; none if its function cannot receive an event.
pub(super) fn read(
    function: &Function,
    args: Args,
    scope: &Scope,
    diag: &mut Diag,
) -> Option<Subscription> {
    let sig = &function.sig;
    let name = &sig.ident;
    let receiver = signature::read("subscriber", sig, true, scope, diag);
    let (params, usable) = signature::params("subscriber", sig, scope, diag);
    let (mut group, mut broadcast) = (None, false);
    for arg in &args.entries {
        match arg.key.to_string().as_str() {
            "group" => group = arg.string(diag),
            "broadcast" => broadcast = arg.flag(diag),
            key => {
                let text =
                    format!("unknown option `{key}` in `#[subscribe]`; {}", suggest(key, KEYS));
                diag.at(arg.key.span(), text);
            }
        }
    }
    if let (Some(group), true) = (&group, broadcast) {
        let text = "`group` shares the messages among instances, `broadcast` gives each instance all: \
                    keep one";
        diag.at(group.span(), text);
    }
    let pattern = args.lead;
    if let Some(pattern) = &pattern
        && let Some(problem) = topic_problem(&pattern.value(), true)
    {
        diag.at(pattern.span(), format!("the pattern `{}` {problem}", pattern.value()));
    }
    let fallible = match &sig.output {
        ReturnType::Default => None,
        ReturnType::Type(_, ty) if types::is_unit(ty) => None,
        ReturnType::Type(_, ty) if is_result_of_nothing(ty) => Some(fallible((**ty).clone())),
        ReturnType::Type(_, ty) => {
            let text = "a subscriber returns nothing or `Result<()>`: nobody waits for a reply, and an \
                        error asks for redelivery";
            diag.on(ty, text);
            None
        }
    };
    let mut events = params.iter().filter(|param| param.role != Role::Context);
    let event = match (events.next(), events.next()) {
        (Some(event), None) if event.role == Role::Wire => event.ty.clone(),
        (Some(event), None) | (Some(_), Some(event)) => {
            let text = format!("subscriber `{name}` receives one event and nothing else by value");
            diag.at(event.name.span(), text);
            return None;
        }
        (None, _) => {
            if usable {
                let text =
                    format!("subscriber `{name}` takes the event by value: `event: OrderCreated`");
                diag.at(name.span(), text);
            }
            return None;
        }
    };
    let receiver = receiver.filter(|_| usable)?;
    let cfgs = attributes(&function.attrs, &["cfg"]);
    let ident = name.clone();
    Some(Subscription { ident, pattern, group, broadcast, event, receiver, params, fallible, cfgs })
}

fn is_result_of_nothing(ty: &syn::Type) -> bool {
    types::arguments(ty, "Result").is_some_and(|args| args.first().is_none_or(types::is_unit))
}
