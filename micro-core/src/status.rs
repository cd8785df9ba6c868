//! Status: the one error that travels. Not a Rust error type on purpose, so that `?` can turn every
//! other error into one (see [`Status`]).

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use bytes::Bytes;

use crate::id::Id;

/// What a call, a handler or the framework answers with.
pub type Result<T, E = Status> = std::result::Result<T, E>;

/// Why a call failed: one of the 16 standard codes, a text that is safe to show to the caller, and a
/// correlation id under which the server's log holds the rest.
///
/// `?` on any other error makes a [`Code::Internal`]: its text stays on this side, in the log, and the
/// peer sees only the correlation id.
///
/// ```
/// use micro_core::{Code, Result, Status};
///
/// fn parse(text: &str) -> Result<u32> {
///     Ok(text.parse::<u32>()?) // ParseIntError -> Internal, its text is never sent
/// }
///
/// assert_eq!(parse("x").unwrap_err().code(), Code::Internal);
/// assert_eq!(Status::not_found("no such order").message(), "no such order");
/// ```
pub struct Status(Box<Inner>);

struct Inner {
    code: Code,
    message: String,
    correlation: Id,
    fault: Option<FaultBody>,
    retry_after: Option<Duration>,
    executed: Executed,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// The 16 codes that gRPC made standard, without `Ok`.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
#[repr(u8)]
pub enum Code {
    /// The caller went away.
    Cancelled = 1,
    /// An error of which nothing more is known.
    Unknown = 2,
    /// The request is wrong whatever the state of the service.
    InvalidArgument = 3,
    /// The deadline passed; the call may have run.
    DeadlineExceeded = 4,
    /// Something that the request names does not exist.
    NotFound = 5,
    /// Something that the request would make exists already.
    AlreadyExists = 6,
    /// The caller is known and may not do this.
    PermissionDenied = 7,
    /// A limit, quota or buffer is used up.
    ResourceExhausted = 8,
    /// The state of the service forbids the operation; repeating it will not help.
    FailedPrecondition = 9,
    /// A conflict with another operation; repeating the whole transaction may help.
    Aborted = 10,
    /// A value outside of the valid range.
    OutOfRange = 11,
    /// No such service or handler.
    Unimplemented = 12,
    /// A broken invariant or an unexpected error of the service.
    Internal = 13,
    /// The service cannot be reached or refuses work for the moment.
    Unavailable = 14,
    /// Data was lost or is corrupt.
    DataLoss = 15,
    /// The caller did not say who it is.
    Unauthenticated = 16,
}

/// Whether the handler ran, as far as this side can know.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Executed {
    /// The handler provably did not run: the call may go elsewhere.
    No,
    /// Nobody can tell: the connection was lost or the deadline passed in the middle.
    #[default]
    Maybe,
    /// The handler ran and answered this.
    Yes,
}

/// A typed fault in its encoded form.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FaultBody {
    /// Name of the fault type, for people and logs.
    pub name: String,
    /// Which codec encoded `bytes`, as on the wire.
    pub encoding: u8,
    /// The encoded value.
    pub bytes: Bytes,
}

impl Status {
    /// A status with a fresh correlation id. `message` is sent to the caller: keep secrets out of it.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            code,
            message: message.into(),
            correlation: Id::random(),
            fault: None,
            retry_after: None,
            executed: Executed::Maybe,
            source: None,
        }))
    }

    /// The code.
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// The text that the caller sees.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The id under which the server logged what it did not send.
    pub fn correlation(&self) -> Id {
        self.0.correlation
    }

    /// How long the peer asks to wait before the next attempt.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// Whether the handler ran.
    pub fn executed(&self) -> Executed {
        self.0.executed
    }

    /// The encoded typed fault, if the handler answered with one.
    pub fn fault_body(&self) -> Option<&FaultBody> {
        self.0.fault.as_ref()
    }

    /// The error behind this status. It never leaves this process.
    pub fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|e| e as _)
    }

    /// Whether the same call may be sent again without asking whether it is idempotent.
    ///
    /// True only when the handler provably did not run and the reason can pass.
    pub fn is_retryable(&self) -> bool {
        self.0.executed == Executed::No
            && matches!(self.0.code, Code::Unavailable | Code::ResourceExhausted)
    }

    /// Whether an idempotent call that got this may be sent again.
    pub fn is_transient(&self) -> bool {
        self.is_retryable() || matches!(self.0.code, Code::Unavailable)
    }

    /// Says how long the caller should wait before the next attempt.
    #[must_use]
    pub fn with_retry_after(mut self, wait: Duration) -> Self {
        self.0.retry_after = Some(wait);
        self
    }

    /// Says whether the handler ran.
    #[must_use]
    pub fn with_executed(mut self, executed: Executed) -> Self {
        self.0.executed = executed;
        self
    }

    /// Attaches an encoded typed fault.
    #[must_use]
    pub fn with_fault(mut self, fault: FaultBody) -> Self {
        self.0.fault = Some(fault);
        self
    }

    /// Attaches the cause, which stays in this process.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// The same status under the correlation id of the call that it ends.
    #[must_use]
    pub fn with_correlation(mut self, id: Id) -> Self {
        self.0.correlation = id;
        self
    }

    /// A status whose text is that of an error and its causes: for whoever starts a process, never for a
    /// peer.
    pub(crate) fn of_cause(code: Code, error: &(dyn StdError + 'static)) -> Self {
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            let why = cause.to_string();
            // Some errors repeat their cause in their own text, which has to stand alone in a log.
            if !text.ends_with(&why) {
                text.push_str(": ");
                text.push_str(&why);
            }
            source = cause.source();
        }
        Self::new(code, text)
    }

    /// This status as a standard error, for APIs that want one.
    pub fn into_error(self) -> StatusError {
        StatusError(self)
    }
}

macro_rules! constructors {
    ($($(#[$doc:meta])* $name:ident => $code:ident;)*) => {
        impl Status {
            $(
                $(#[$doc])*
                pub fn $name(message: impl Into<String>) -> Self {
                    Self::new(Code::$code, message)
                }
            )*
        }
    };
}

constructors! {
    /// [`Code::Aborted`]
    aborted => Aborted;
    /// [`Code::AlreadyExists`]
    already_exists => AlreadyExists;
    /// [`Code::Cancelled`]
    cancelled => Cancelled;
    /// [`Code::DataLoss`]
    data_loss => DataLoss;
    /// [`Code::DeadlineExceeded`]
    deadline_exceeded => DeadlineExceeded;
    /// [`Code::FailedPrecondition`]
    failed_precondition => FailedPrecondition;
    /// [`Code::Internal`]. The message is sent to the caller; prefer `?`, which keeps it here.
    internal => Internal;
    /// [`Code::InvalidArgument`]
    invalid_argument => InvalidArgument;
    /// [`Code::NotFound`]
    not_found => NotFound;
    /// [`Code::OutOfRange`]
    out_of_range => OutOfRange;
    /// [`Code::PermissionDenied`]
    permission_denied => PermissionDenied;
    /// [`Code::ResourceExhausted`]
    resource_exhausted => ResourceExhausted;
    /// [`Code::Unauthenticated`]
    unauthenticated => Unauthenticated;
    /// [`Code::Unavailable`]
    unavailable => Unavailable;
    /// [`Code::Unimplemented`]
    unimplemented => Unimplemented;
    /// [`Code::Unknown`]
    unknown => Unknown;
}

impl<E: StdError + Send + Sync + 'static> From<E> for Status {
    fn from(error: E) -> Self {
        Self::new(Code::Internal, "internal error").with_source(error)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.code, self.0.message)
    }
}

/// Shows what the caller may see and the chain of causes, since this is what `main` prints.
impl fmt::Debug for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")?;
        let mut source = self.source();
        while let Some(cause) = source {
            write!(f, "\n  caused by: {cause}")?;
            source = cause.source();
        }
        Ok(())
    }
}

impl Code {
    /// All codes, by number.
    pub const ALL: [Self; 16] = [
        Self::Cancelled,
        Self::Unknown,
        Self::InvalidArgument,
        Self::DeadlineExceeded,
        Self::NotFound,
        Self::AlreadyExists,
        Self::PermissionDenied,
        Self::ResourceExhausted,
        Self::FailedPrecondition,
        Self::Aborted,
        Self::OutOfRange,
        Self::Unimplemented,
        Self::Internal,
        Self::Unavailable,
        Self::DataLoss,
        Self::Unauthenticated,
    ];

    /// The code with this number; unknown numbers are [`Code::Unknown`], as a newer peer may send them.
    pub fn from_number(number: u8) -> Self {
        usize::from(number)
            .checked_sub(1)
            .and_then(|i| Self::ALL.get(i).copied())
            .unwrap_or(Self::Unknown)
    }

    /// The lower-case name, e.g. `invalid_argument`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cancelled => "cancelled",
            Self::Unknown => "unknown",
            Self::InvalidArgument => "invalid_argument",
            Self::DeadlineExceeded => "deadline_exceeded",
            Self::NotFound => "not_found",
            Self::AlreadyExists => "already_exists",
            Self::PermissionDenied => "permission_denied",
            Self::ResourceExhausted => "resource_exhausted",
            Self::FailedPrecondition => "failed_precondition",
            Self::Aborted => "aborted",
            Self::OutOfRange => "out_of_range",
            Self::Unimplemented => "unimplemented",
            Self::Internal => "internal",
            Self::Unavailable => "unavailable",
            Self::DataLoss => "data_loss",
            Self::Unauthenticated => "unauthenticated",
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A [`Status`] as a [`std::error::Error`].
#[derive(Debug)]
pub struct StatusError(Status);

impl StatusError {
    /// The status itself.
    pub fn into_status(self) -> Status {
        self.0
    }
}

impl fmt::Display for StatusError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl StdError for StatusError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_keep_their_numbers() {
        for (i, code) in Code::ALL.into_iter().enumerate() {
            assert_eq!(code as usize, i + 1);
            assert_eq!(Code::from_number(code as u8), code);
        }
        assert_eq!(Code::from_number(0), Code::Unknown);
        assert_eq!(Code::from_number(17), Code::Unknown);
    }

    #[test]
    fn question_mark_keeps_the_cause_and_hides_its_text() {
        let status = Status::from(std::io::Error::other("password=hunter2"));
        assert_eq!(status.code(), Code::Internal);
        assert!(!status.to_string().contains("hunter2"));
        assert!(status.source().expect("cause").to_string().contains("hunter2"));
    }

    #[test]
    fn a_chain_of_causes_says_each_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("{text}")]
        struct Outer {
            text: &'static str,
            source: std::io::Error,
        }
        for text in ["cannot open: no disk", "cannot open"] {
            let error = Outer { text, source: std::io::Error::other("no disk") };
            let status = Status::of_cause(Code::Unavailable, &error);
            assert_eq!(status.message(), "cannot open: no disk");
        }
    }

    #[test]
    fn nothing_is_retryable_unless_it_says_so() {
        assert!(!Status::unavailable("x").is_retryable());
        assert!(Status::unavailable("x").with_executed(Executed::No).is_retryable());
        assert!(!Status::internal("x").with_executed(Executed::No).is_retryable());
    }
}
