//! What stands in an attribute's parentheses: `key`, `key = value`, `key(..)`, in any order.
//!
//! A bad entry is reported and skipped, so that the others are still checked.

use proc_macro2::{Ident, TokenStream, TokenTree};
use syn::ext::IdentExt;
use syn::parse::{ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::{Attribute, Expr, ExprLit, Lit, LitStr, Meta, Path, Token, Type, parenthesized, token};

use crate::diag::{Diag, suggest};

/// The entries of one attribute.
#[derive(Default)]
pub(crate) struct Args {
    /// A leading string: the topic in `#[event("orders.created")]`.
    pub(crate) lead: Option<LitStr>,
    /// The rest, in order.
    pub(crate) entries: Vec<Arg>,
}

/// One entry.
pub(crate) struct Arg {
    /// Its name.
    pub(crate) key: Ident,
    /// What follows the name.
    pub(crate) value: Value,
}

/// What follows an entry's name.
pub(crate) enum Value {
    /// Nothing.
    Flag,
    /// `= expr`
    Expr(Expr),
    /// `(..)`
    List(TokenStream),
}

impl Args {
    /// Parses the tokens between the parentheses.
    pub(crate) fn parse(tokens: TokenStream, diag: &mut Diag) -> Self {
        let mut args = Self::default();
        let parsed = (|input: ParseStream<'_>| args.fill(input, diag)).parse2(tokens);
        diag.take(parsed);
        args
    }

    /// Parses the arguments of an attribute that is still in place.
    pub(crate) fn of(attribute: &Attribute, diag: &mut Diag) -> Self {
        match &attribute.meta {
            Meta::Path(_) => Self::default(),
            Meta::List(list) => Self::parse(list.tokens.clone(), diag),
            Meta::NameValue(pair) => {
                diag.on(&pair.value, "options stand in parentheses");
                Self::default()
            }
        }
    }

    fn fill(&mut self, input: ParseStream<'_>, diag: &mut Diag) -> syn::Result<()> {
        if input.peek(LitStr) {
            self.lead = Some(input.parse()?);
            comma(input, diag)?;
        }
        while !input.is_empty() {
            if let Some(arg) = diag.take(Arg::parse(input)) {
                self.entries.push(arg);
            } else {
                skip_entry(input)?;
            }
            comma(input, diag)?;
        }
        Ok(())
    }
}

fn comma(input: ParseStream<'_>, diag: &mut Diag) -> syn::Result<()> {
    if !input.is_empty() && !input.peek(Token![,]) {
        diag.push(input.error("expected `,`"));
        skip_entry(input)?;
    }
    input.parse::<Option<Token![,]>>().map(drop)
}

fn skip_entry(input: ParseStream<'_>) -> syn::Result<()> {
    while !input.is_empty() && !input.peek(Token![,]) {
        input.parse::<TokenTree>()?;
    }
    Ok(())
}

impl Arg {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let key = input.call(Ident::parse_any)?;
        let value = if input.peek(Token![=]) {
            input.parse::<Token![=]>()?;
            Value::Expr(input.parse()?)
        } else if input.peek(token::Paren) {
            let content;
            parenthesized!(content in input);
            Value::List(content.parse()?)
        } else {
            Value::Flag
        };
        Ok(Self { key, value })
    }

    /// A word alone.
    pub(crate) fn flag(&self, diag: &mut Diag) -> bool {
        let is_flag = matches!(self.value, Value::Flag);
        if !is_flag {
            diag.at(self.key.span(), format!("`{}` takes no value", self.key));
        }
        is_flag
    }

    /// `key = ".."`
    pub(crate) fn string(&self, diag: &mut Diag) -> Option<LitStr> {
        let text = match &self.value {
            Value::Expr(expr) => string_literal(expr),
            _ => None,
        };
        if text.is_none() {
            diag.at(self.key.span(), format!("`{0}` takes a string: `{0} = \"..\"`", self.key));
        }
        text
    }

    /// `key = 2`
    pub(crate) fn number(&self, diag: &mut Diag) -> Option<u32> {
        if let Value::Expr(Expr::Lit(ExprLit { lit: Lit::Int(number), .. })) = &self.value {
            return diag.take(number.base10_parse());
        }
        diag.at(self.key.span(), format!("`{0}` takes a number: `{0} = 2`", self.key));
        None
    }

    /// `key = name`
    pub(crate) fn word(&self, example: &str, diag: &mut Diag) -> Option<Ident> {
        if let Value::Expr(Expr::Path(path)) = &self.value
            && let Some(word) = path.path.get_ident()
        {
            return Some(word.clone());
        }
        diag.at(self.key.span(), format!("`{0}` takes a name: `{0} = {example}`", self.key));
        None
    }

    /// `key = some::path`
    pub(crate) fn path(&self, diag: &mut Diag) -> Option<Path> {
        if let Value::Expr(Expr::Path(path)) = &self.value {
            return Some(path.path.clone());
        }
        diag.at(
            self.key.span(),
            format!("`{0}` takes a path: `{0} = ::platform::micro`", self.key),
        );
        None
    }

    /// `key = ["a", "b"]` or `key("a", "b")`, with at least one.
    pub(crate) fn strings(&self, example: &str, diag: &mut Diag) -> Vec<LitStr> {
        let texts: Option<Vec<LitStr>> = match &self.value {
            Value::Flag => None,
            Value::Expr(Expr::Array(array)) => array.elems.iter().map(string_literal).collect(),
            Value::Expr(expr) => string_literal(expr).map(|text| vec![text]),
            Value::List(tokens) => terminated::<LitStr>(tokens.clone()).ok(),
        };
        let texts = texts.unwrap_or_default();
        if texts.is_empty() {
            diag.at(self.key.span(), format!("`{}` takes strings: `{example}`", self.key));
        }
        texts
    }

    /// `key(Name, Name)`
    pub(crate) fn names(&self, example: &str, diag: &mut Diag) -> Vec<Ident> {
        match &self.value {
            Value::List(tokens) => diag.take(terminated(tokens.clone())).unwrap_or_default(),
            _ => self.not_a_list(example, diag),
        }
    }

    /// `key(Type, Type)`
    pub(crate) fn types(&self, example: &str, diag: &mut Diag) -> Vec<Type> {
        match &self.value {
            Value::List(tokens) => diag.take(terminated(tokens.clone())).unwrap_or_default(),
            _ => self.not_a_list(example, diag),
        }
    }

    /// Reports that a list was expected.
    pub(crate) fn not_a_list<T>(&self, example: &str, diag: &mut Diag) -> Vec<T> {
        diag.at(self.key.span(), format!("`{}` takes a list: `{example}`", self.key));
        Vec::new()
    }

    /// Reports an entry that the attribute does not know.
    pub(crate) fn unknown(&self, attribute: &str, known: &[&str], diag: &mut Diag) {
        let key = self.key.to_string();
        let hint = suggest(&key, known);
        diag.at(self.key.span(), format!("unknown option `{key}` in `#[{attribute}]`; {hint}"));
    }
}

fn string_literal(expr: &Expr) -> Option<LitStr> {
    match expr {
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(text.clone()),
        _ => None,
    }
}

fn terminated<T: syn::parse::Parse>(tokens: TokenStream) -> syn::Result<Vec<T>> {
    let list = Punctuated::<T, Token![,]>::parse_terminated.parse2(tokens)?;
    Ok(list.into_iter().collect())
}
