//! Typed faults: errors of a contract, which arrive at the client as the type that the handler returned.

use std::fmt;

use crate::codec::{self, Encoding, Wire};
use crate::status::{Code, Executed, FaultBody, Result, Status};

/// What may stand as `E` in a handler's `Result<T, E>`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the error of a handler",
    label = "neither `micro::Status` nor a `#[fault]`",
    note = "a handler returns `micro::Result<T>`, or `Result<T, E>` where `E` is marked `#[fault]`"
)]
pub trait HandlerError: Sized + Send + 'static {
    /// What the client sees.
    type Remote: From<Status> + fmt::Debug + Send + 'static;
    /// The status that travels.
    fn into_status(self, encoding: Encoding) -> Status;
    /// What the client makes of it.
    fn from_status(status: Status) -> Self::Remote;
}

impl HandlerError for Status {
    type Remote = Self;

    fn into_status(self, _: Encoding) -> Status {
        self
    }

    fn from_status(status: Status) -> Self {
        status
    }
}

impl HandlerError for std::convert::Infallible {
    type Remote = Status;

    fn into_status(self, _: Encoding) -> Status {
        match self {}
    }

    fn from_status(status: Status) -> Status {
        status
    }
}

/// A handler that both answers with faults and passes statuses on with `?` returns
/// `Result<T, CallError<E>>`; its client sees the same as for `Result<T, E>`.
impl<E> HandlerError for CallError<E>
where
    E: HandlerError<Remote = Self> + fmt::Debug,
{
    type Remote = Self;

    fn into_status(self, encoding: Encoding) -> Status {
        match self {
            Self::Fault(fault) => fault.into_status(encoding),
            Self::Status(status) => status,
        }
    }

    fn from_status(status: Status) -> Self {
        E::from_status(status)
    }
}

/// What the client of a handler with typed faults gets.
#[derive(Debug)]
pub enum CallError<E> {
    /// The handler answered with this fault.
    Fault(E),
    /// Anything else: the network, a deadline, the framework.
    Status(Status),
}

impl<E> From<Status> for CallError<E> {
    fn from(status: Status) -> Self {
        Self::Status(status)
    }
}

/// Lets `?` pass a callee's fault on. What the callee meant by it is not for this handler's caller, so an
/// unhandled fault is `Internal`.
impl<E: fmt::Debug> From<CallError<E>> for Status {
    fn from(error: CallError<E>) -> Self {
        match error {
            CallError::Fault(fault) => {
                Self::internal("internal error").with_source(format!("unhandled fault: {fault:?}"))
            }
            CallError::Status(status) => status,
        }
    }
}

impl<E: fmt::Debug> fmt::Display for CallError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fault(fault) => write!(f, "{fault:?}"),
            Self::Status(status) => status.fmt(f),
        }
    }
}

/// The status of a fault: what `#[fault]` calls.
pub fn into_status<E: Wire>(name: &str, code: Code, fault: &E, encoding: Encoding) -> Status {
    match codec::encode(encoding, fault) {
        Err(status) => status,
        Ok(bytes) => Status::new(code, name).with_executed(Executed::Yes).with_fault(FaultBody {
            name: name.to_owned(),
            encoding: encoding as u8,
            bytes,
        }),
    }
}

/// The fault of a status, if it carries one of this type: what `#[fault]` calls.
pub fn from_status<E: Wire>(name: &str, status: Status) -> CallError<E> {
    let decoded = status.fault_body().filter(|body| body.name == name).and_then(|body| {
        let encoding = Encoding::from_number(body.encoding)?;
        codec::decode(encoding, &body.bytes).ok()
    });
    match decoded {
        Some(fault) => CallError::Fault(fault),
        None => CallError::Status(status),
    }
}

impl Status {
    /// The typed fault that this status carries, e.g. at the end of a stream.
    ///
    /// # Errors
    /// The status itself when it carries no fault of type `E`.
    pub fn into_fault<E: HandlerError<Remote = CallError<E>>>(self) -> Result<E, Self> {
        match E::from_status(self) {
            CallError::Fault(fault) => Ok(fault),
            CallError::Status(status) => Err(status),
        }
    }
}
