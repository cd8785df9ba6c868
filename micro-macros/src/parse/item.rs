//! The item under `#[service]`. Signatures are parsed, bodies stay token groups: a body that is only half
//! typed must not break the macro, or the editor stops completing in it.

use proc_macro2::{Group, Span, TokenStream, TokenTree};
use quote::ToTokens;
use syn::parse::discouraged::Speculative;
use syn::parse::{Parse, ParseStream};
use syn::{
    Attribute, Error, Generics, Ident, ImplItem, Item, LitStr, Path, Result, Signature, Token,
    TraitItem, Type, Visibility, braced, token,
};

use super::types;

/// An impl block, a trait, or a module with its content.
pub(crate) struct Block {
    /// Its attributes, without `#[service]`.
    pub(crate) attrs: Vec<Attribute>,
    /// What stands before the braces.
    pub(crate) head: Head,
    /// What stands between them.
    pub(crate) pieces: Vec<Piece>,
    /// `impl`, `trait` or `mod`, for errors about the whole.
    pub(crate) keyword: Span,
}

/// What stands before the braces.
pub(crate) enum Head {
    /// `impl Contract for Type` or `impl Type`
    Impl {
        /// `<T: Bound>` and `where`
        generics: Box<Generics>,
        /// The trait, if there is one.
        contract: Option<Path>,
        /// The type.
        ty: Box<Type>,
    },
    /// `trait Contract`
    Trait {
        /// Its visibility.
        vis: Visibility,
        /// Its name.
        ident: Ident,
        /// `<T>` and `where`
        generics: Box<Generics>,
        /// What follows the colon.
        supertraits: TokenStream,
    },
    /// `mod name`
    Module {
        /// Its visibility.
        vis: Visibility,
        /// Its name.
        ident: Ident,
    },
}

/// One item of a block.
pub(crate) enum Piece {
    /// A function, which may be a handler.
    Function(Box<Function>),
    /// Anything else; goes through as it is.
    Other(TokenStream),
}

/// A function with an opaque body.
pub(crate) struct Function {
    /// Its attributes.
    pub(crate) attrs: Vec<Attribute>,
    /// Its visibility.
    pub(crate) vis: Visibility,
    /// Its signature.
    pub(crate) sig: Signature,
    /// The group in braces, or a semicolon.
    pub(crate) body: TokenStream,
    /// Whether it leaves the block, for an impl block of its own.
    pub(crate) moved: bool,
}

const NOT_AN_ITEM: &str = "`#[service]` goes on an `impl` block (a service), a `trait` (a contract that \
                           clients and servers share) or a `mod { .. }` of functions";

impl Parse for Block {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let attrs = input.call(Attribute::parse_outer)?;
        let ahead = input.fork();
        let vis: Visibility = ahead.parse()?;
        let keyword = ahead.span();
        let head = if ahead.peek(Token![impl]) {
            parse_impl(input)?
        } else if ahead.peek(Token![trait]) {
            input.advance_to(&ahead);
            parse_trait(vis, input)?
        } else if ahead.peek(Token![mod]) {
            input.advance_to(&ahead);
            parse_module(vis, input)?
        } else {
            return Err(Error::new(keyword, NOT_AN_ITEM));
        };
        let content;
        braced!(content in input);
        let mut pieces = Vec::new();
        if matches!(head, Head::Module { .. }) {
            let inner = content.call(Attribute::parse_inner)?;
            pieces.extend(inner.iter().map(|attr| Piece::Other(attr.to_token_stream())));
        }
        while !content.is_empty() {
            pieces.push(Piece::parse(&head, &content)?);
        }
        Ok(Self { attrs, head, pieces, keyword })
    }
}

fn parse_impl(input: ParseStream<'_>) -> Result<Head> {
    input.parse::<Visibility>()?;
    input.parse::<Token![impl]>()?;
    let mut generics = if input.peek(Token![<]) { input.parse()? } else { Generics::default() };
    let first: Type = input.parse()?;
    let (contract, ty) = if input.parse::<Option<Token![for]>>()?.is_some() {
        match types::peel(&first) {
            Type::Path(path) => (Some(path.path.clone()), input.parse()?),
            other => return Err(Error::new_spanned(other, "expected the path of a contract")),
        }
    } else {
        (None, first)
    };
    generics.where_clause = input.parse()?;
    Ok(Head::Impl { generics: Box::new(generics), contract, ty: Box::new(ty) })
}

fn parse_trait(vis: Visibility, input: ParseStream<'_>) -> Result<Head> {
    input.parse::<Token![trait]>()?;
    let ident = input.parse()?;
    let mut generics: Generics = input.parse()?;
    let mut supertraits = TokenStream::new();
    if input.parse::<Option<Token![:]>>()?.is_some() {
        while !input.is_empty() && !input.peek(token::Brace) && !input.peek(Token![where]) {
            supertraits.extend([input.parse::<TokenTree>()?]);
        }
    }
    generics.where_clause = input.parse()?;
    Ok(Head::Trait { vis, ident, generics: Box::new(generics), supertraits })
}

fn parse_module(vis: Visibility, input: ParseStream<'_>) -> Result<Head> {
    input.parse::<Token![mod]>()?;
    let ident: Ident = input.parse()?;
    if input.peek(Token![;]) {
        let text = format!(
            "`#[service]` needs to see the functions: write `mod {ident} {{ .. }}` here, or put the \
             attribute on an `impl` block inside of the file"
        );
        return Err(Error::new(ident.span(), text));
    }
    Ok(Head::Module { vis, ident })
}

impl Piece {
    fn parse(head: &Head, input: ParseStream<'_>) -> Result<Self> {
        if Function::is_next(input) {
            return Ok(Self::Function(Box::new(input.parse()?)));
        }
        let tokens = match head {
            Head::Impl { .. } => input.parse::<ImplItem>()?.to_token_stream(),
            Head::Module { .. } => input.parse::<Item>()?.to_token_stream(),
            Head::Trait { .. } => input.parse::<TraitItem>()?.to_token_stream(),
        };
        Ok(Self::Other(tokens))
    }
}

impl Function {
    /// Whether attributes, a visibility and qualifiers lead to `fn`.
    fn is_next(input: ParseStream<'_>) -> bool {
        let ahead = input.fork();
        let skipped =
            ahead.call(Attribute::parse_outer).is_ok() && ahead.parse::<Visibility>().is_ok();
        while ahead.peek(Token![const])
            || ahead.peek(Token![async])
            || ahead.peek(Token![unsafe])
            || ahead.peek(Token![extern])
        {
            if ahead.parse::<TokenTree>().is_err() || ahead.parse::<Option<LitStr>>().is_err() {
                return false;
            }
        }
        skipped && ahead.peek(Token![fn])
    }
}

impl Parse for Function {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let attrs = input.call(Attribute::parse_outer)?;
        let (vis, sig) = (input.parse()?, input.parse()?);
        let body = match input.parse::<Option<Token![;]>>()? {
            Some(semicolon) => semicolon.to_token_stream(),
            None if input.peek(token::Brace) => input.parse::<Group>()?.to_token_stream(),
            None => return Err(input.error("expected the body of the function")),
        };
        Ok(Self { attrs, vis, sig, body, moved: false })
    }
}

impl Function {
    /// Whether it has a body.
    pub(crate) fn has_body(&self) -> bool {
        self.body.clone().into_iter().any(|token| matches!(token, TokenTree::Group(_)))
    }
}

impl ToTokens for Function {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        let Self { attrs, vis, sig, body, moved: _ } = self;
        attrs.iter().for_each(|attr| attr.to_tokens(tokens));
        vis.to_tokens(tokens);
        sig.to_tokens(tokens);
        body.to_tokens(tokens);
    }
}

impl ToTokens for Piece {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        match self {
            Self::Function(function) => function.to_tokens(tokens),
            Self::Other(other) => other.to_tokens(tokens),
        }
    }
}
