//! Routes: what the constants of a generated client say about a handler.

use std::fmt;
use std::marker::PhantomData;

use bytes::Bytes;

use crate::call::Kind;
use crate::call::Target;
use crate::codec::args::{ArgsCodec, Names};
use crate::codec::{Decode, Encode, Encoding};
use crate::schema::Contract;
use crate::status::Result;

/// A handler as its callers see it: the types of the request, the reply and the fault, and whether it may
/// run twice ([`Idempotent`] or [`Once`]).
pub struct Route<Req, Rep, E, R> {
    /// The service.
    pub service: &'static str,
    /// The handler.
    pub method: &'static str,
    /// Which sides stream.
    pub kind: Kind,
    request: Encoder<Req>,
    reply: Decode<Rep>,
    idempotent: bool,
    contract: Contract,
    types: PhantomData<fn() -> (E, R)>,
}

/// How a request is encoded: by itself, or as a map of named arguments.
pub enum Encoder<Req> {
    /// One value.
    One(Encode<Req>),
    /// Several, by name.
    Named(Names, fn(Names, Encoding, &Req) -> Result<Bytes>),
}

/// The handler may run twice.
#[derive(Debug)]
pub enum Idempotent {}

/// The handler may run once.
#[derive(Debug)]
pub enum Once {}

/// Whether a handler may run twice: [`Idempotent`] or [`Once`].
pub trait Repeatability {
    /// The bit of the contract.
    const IDEMPOTENT: bool;
}

impl Repeatability for Idempotent {
    const IDEMPOTENT: bool = true;
}

impl Repeatability for Once {
    const IDEMPOTENT: bool = false;
}

/// A handler whose calls may be repeated.
#[diagnostic::on_unimplemented(
    message = "this handler is not idempotent, so its calls cannot be retried, hedged or sent as 0-RTT data",
    label = "needs a handler marked `#[handler(idempotent)]`",
    note = "the server may run such a call more than once; mark the handler `#[handler(idempotent)]` only if that is safe"
)]
pub trait RepeatSafe: Repeatability {}

impl RepeatSafe for Idempotent {}

impl<Req, Rep, E, R: Repeatability> Route<Req, Rep, E, R> {
    /// The route of a handler; generated code alone knows that the types are right.
    pub const fn new(
        service: &'static str,
        method: &'static str,
        kind: Kind,
        request: Encoder<Req>,
        reply: Decode<Rep>,
        contract: Contract,
    ) -> Self {
        let (idempotent, types) = (R::IDEMPOTENT, PhantomData);
        Self { service, method, kind, request, reply, idempotent, contract, types }
    }
}

impl<Req, Rep, E, R> Route<Req, Rep, E, R> {
    pub(super) fn target(&self) -> Target {
        let mut target = Target::new(self.service, self.method);
        target.kind = self.kind;
        target.idempotent = self.idempotent;
        target.contract = Some(self.contract);
        target
    }

    pub(super) fn encode(&self, encoding: Encoding, request: &Req) -> Result<Bytes> {
        match self.request {
            Encoder::One(encode) => encode(encoding, request),
            Encoder::Named(names, encode) => encode(names, encoding, request),
        }
    }

    pub(super) fn decoder(&self) -> Decode<Rep> {
        self.reply
    }
}

impl<Req> Encoder<Req> {
    /// The encoder of named arguments.
    pub const fn named(names: Names, codec: ArgsCodec<Req>) -> Self {
        let ArgsCodec { encode, decode: _ } = codec;
        Self::Named(names, encode)
    }
}

impl<Req> Clone for Encoder<Req> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<Req> Copy for Encoder<Req> {}

impl<Req, Rep, E, R> Clone for Route<Req, Rep, E, R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<Req, Rep, E, R> Copy for Route<Req, Rep, E, R> {}

impl<Req, Rep, E, R> fmt::Debug for Route<Req, Rep, E, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Route({}.{})", self.service, self.method)
    }
}
