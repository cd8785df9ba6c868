#[allow(
    clippy::missing_errors_doc,
    clippy::needless_pass_by_value,
    clippy::unused_async
)]
pub async fn known(call: Incoming, next: Next<'_>) -> Outcome {
    next.run(call).await
}
#[allow(
    non_camel_case_types,
    missing_debug_implementations,
    missing_copy_implementations
)]
pub struct known {}
#[automatically_derived]
impl ::micro::__private::Interceptor for known {
    fn descriptor(&self) -> ::micro::__private::InterceptorDescriptor {
        <Self as ::micro::__private::Declared>::DESCRIPTOR
    }
    fn intercept<'a>(
        &'a self,
        call: ::micro::__private::Incoming,
        next: ::micro::__private::Next<'a>,
    ) -> ::micro::__private::BoxFuture<'a, ::micro::__private::Outcome> {
        ::micro::__private::boxed(
            known(
                <::micro::__private::Here>::call(call),
                <::micro::__private::Here>::next(next),
            ),
        )
    }
}
#[automatically_derived]
impl ::micro::__private::Declared for known {
    const DESCRIPTOR: ::micro::__private::InterceptorDescriptor = ::micro::__private::InterceptorDescriptor {
        name: "known",
        phase: ::micro::__private::Phase::Authorize,
        provides: &["Tenant"],
        requires: &["Principal"],
    };
    const INSTANCE: &'static dyn ::micro::__private::Interceptor = &Self {};
}
