//! The access rule of a handler. Where other interceptors have to run before it, it is one that stands where
//! `authorize` begins.

use std::sync::Arc;

use super::{Interceptor, InterceptorDescriptor, Next, Phase};
use crate::call::{BoxFuture, Incoming, Outcome};
use crate::context::Context;
use crate::service::Access;
use crate::status::{Executed, Result, Status};

/// The name of the rule among interceptors.
pub(crate) const NAME: &str = "access";

/// The check of a rule, or none where everybody in the trust domain may call.
pub(crate) fn of(access: Access) -> Option<Arc<dyn Interceptor>> {
    match access {
        // The transport refuses who cannot prove to be of the domain.
        Access::Domain | Access::Public => None,
        access => Some(Arc::new(Rule(access))),
    }
}

struct Rule(Access);

impl Interceptor for Rule {
    fn descriptor(&self) -> InterceptorDescriptor {
        InterceptorDescriptor { name: NAME, phase: Phase::Authorize, provides: &[], requires: &[] }
    }

    fn intercept<'a>(&'a self, call: Incoming, next: Next<'a>) -> BoxFuture<'a, Outcome> {
        match check(self.0, &call.context) {
            Ok(()) => next.run(call),
            Err(status) => Box::pin(async move { Err(status.with_executed(Executed::No)) }),
        }
    }
}

/// Whether a rule lets a call in.
///
/// # Errors
/// `Unauthenticated` or `PermissionDenied`.
pub(crate) fn check(access: Access, context: &Context) -> Result<()> {
    let principal =
        || context.principal().ok_or_else(|| Status::unauthenticated("the call has no principal"));
    match access {
        Access::Domain | Access::Public => Ok(()),
        Access::Authenticated => principal().map(drop),
        Access::Roles(roles) => {
            if principal()?.roles.iter().any(|role| roles.contains(&role.as_str())) {
                return Ok(());
            }
            Err(Status::permission_denied("the caller does not have the role that this needs"))
        }
        Access::Services(services) => match &context.peer().service {
            Some(service) if services.contains(&service.as_str()) => Ok(()),
            _ => Err(Status::permission_denied("the calling service may not call this")),
        },
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::context::{Peer, Principal};
    use crate::status::Code;

    #[test]
    fn each_rule_lets_in_only_whom_it_names() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let _guard = runtime.as_ref().expect("runtime").enter();
        let nobody = Context::new(Duration::from_secs(1));
        let mut buyer = nobody.clone();
        buyer.set_principal(Principal { name: "ann".into(), roles: vec!["buyer".into()] });
        let mut orders = nobody.clone();
        orders.set_peer(Arc::new(Peer { service: Some("orders".into()), ..Peer::default() }));

        let code = |access, context| check(access, context).err().map(|s: Status| s.code());
        assert_eq!(code(Access::Domain, &nobody), None);
        assert_eq!(code(Access::Public, &nobody), None);
        assert_eq!(code(Access::Authenticated, &nobody), Some(Code::Unauthenticated));
        assert_eq!(code(Access::Authenticated, &buyer), None);
        assert_eq!(code(Access::Roles(&["buyer"]), &nobody), Some(Code::Unauthenticated));
        assert_eq!(code(Access::Roles(&["buyer"]), &buyer), None);
        assert_eq!(code(Access::Roles(&["admin"]), &buyer), Some(Code::PermissionDenied));
        assert_eq!(code(Access::Services(&["orders"]), &orders), None);
        assert_eq!(code(Access::Services(&["orders"]), &nobody), Some(Code::PermissionDenied));
        assert_eq!(code(Access::Services(&["payments"]), &orders), Some(Code::PermissionDenied));
    }
}
