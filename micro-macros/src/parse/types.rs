//! Questions about types, answered from their tokens alone.

use proc_macro2::{Group, Ident, Span, TokenStream, TokenTree};
use quote::ToTokens;
use syn::{GenericArgument, GenericParam, Generics, Path, PathArguments, Type, TypeParamBound};

/// The type inside of the invisible groups that `macro_rules!` leaves, and of parentheses.
pub(crate) fn peel(ty: &Type) -> &Type {
    match ty {
        Type::Group(group) => peel(&group.elem),
        Type::Paren(paren) => peel(&paren.elem),
        ty => ty,
    }
}

/// The name of a path: `Result` of `micro::Result<T>`.
pub(crate) fn last(path: &Path) -> Option<&Ident> {
    path.segments.last().map(|segment| &segment.ident)
}

/// Whether the type is a path that ends in `name`.
pub(crate) fn is_named(ty: &Type, name: &str) -> bool {
    matches!(peel(ty), Type::Path(path) if last(&path.path).is_some_and(|last| last == name))
}

/// The type arguments of a path that ends in `name`; none when it is another type.
pub(crate) fn arguments(ty: &Type, name: &str) -> Option<Vec<Type>> {
    let Type::Path(path) = peel(ty) else { return None };
    let segment = path.path.segments.last().filter(|segment| segment.ident == name)?;
    let PathArguments::AngleBracketed(list) = &segment.arguments else { return Some(Vec::new()) };
    let types = list.args.iter().filter_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty.clone()),
        _ => None,
    });
    Some(types.collect())
}

/// The same path with another first type argument: `Result<()>` of `Result<T>`.
pub(crate) fn with_argument(ty: &Type, argument: Type) -> Type {
    let mut ty = peel(ty).clone();
    if let Type::Path(path) = &mut ty
        && let Some(segment) = path.path.segments.last_mut()
        && let PathArguments::AngleBracketed(list) = &mut segment.arguments
        && let Some(GenericArgument::Type(first)) =
            list.args.iter_mut().find(|argument| matches!(argument, GenericArgument::Type(_)))
    {
        *first = argument;
    }
    ty
}

/// `T` of `impl Stream<Item = T>`.
pub(crate) fn stream_item(ty: &Type) -> Option<Type> {
    let Type::ImplTrait(bounds) = peel(ty) else { return None };
    bounds.bounds.iter().find_map(|bound| {
        let TypeParamBound::Trait(bound) = bound else { return None };
        let segment = bound.path.segments.last().filter(|segment| segment.ident == "Stream")?;
        let PathArguments::AngleBracketed(list) = &segment.arguments else { return None };
        list.args.iter().find_map(|argument| match argument {
            GenericArgument::AssocType(item) if item.ident == "Item" => Some(item.ty.clone()),
            _ => None,
        })
    })
}

/// Whether the type is `()`.
pub(crate) fn is_unit(ty: &Type) -> bool {
    matches!(peel(ty), Type::Tuple(tuple) if tuple.elems.is_empty())
}

/// The tokens with another type for `Self`, so that a signature also reads right outside of its impl.
pub(crate) fn replace_self(tokens: TokenStream, with: &TokenStream) -> TokenStream {
    let replace = |token| match token {
        TokenTree::Ident(word) if word == "Self" => with.clone(),
        TokenTree::Group(group) => {
            let mut replaced = Group::new(group.delimiter(), replace_self(group.stream(), with));
            replaced.set_span(group.span());
            TokenTree::from(replaced).into()
        }
        token => token.into(),
    };
    tokens.into_iter().flat_map(replace).collect()
}

/// The first of `words` that the tokens mention.
pub(crate) fn mentions(tokens: TokenStream, words: &[String]) -> Option<Ident> {
    tokens.into_iter().find_map(|token| match token {
        TokenTree::Ident(word) if words.iter().any(|name| word == name) => Some(word),
        TokenTree::Group(group) => mentions(group.stream(), words),
        _ => None,
    })
}

/// The names of type and constant parameters.
pub(crate) fn parameters(generics: &Generics) -> Vec<String> {
    let name = |parameter: &GenericParam| match parameter {
        GenericParam::Const(parameter) => Some(parameter.ident.to_string()),
        GenericParam::Type(parameter) => Some(parameter.ident.to_string()),
        GenericParam::Lifetime(_) => None,
    };
    generics.params.iter().filter_map(name).collect()
}

/// Where the type borrows from something that is not `'static`.
pub(crate) fn borrowed(tokens: TokenStream) -> Option<Span> {
    let mut tick: Option<Span> = None;
    for token in tokens {
        match (tick.take(), token) {
            (Some(at), TokenTree::Ident(name)) if name != "static" => return Some(at),
            (_, TokenTree::Punct(mark)) if mark.as_char() == '\'' => tick = Some(mark.span()),
            (_, TokenTree::Punct(mark)) if mark.as_char() == '&' => return Some(mark.span()),
            (_, TokenTree::Group(group)) => {
                if let Some(at) = borrowed(group.stream()) {
                    return Some(at);
                }
            }
            _ => {}
        }
    }
    None
}

/// The name of an identifier without `r#`.
pub(crate) fn unraw(ident: &Ident) -> String {
    ident.to_string().trim_start_matches("r#").to_owned()
}

/// The type as the user reads it: `Vec<u8>`, not `Vec < u8 >`.
pub(crate) fn text(ty: &impl ToTokens) -> String {
    let text = ty.to_token_stream().to_string();
    let text = text.replace(" < ", "<").replace(" <", "<").replace(" > ", "> ").replace(" >", ">");
    text.replace(" :: ", "::").replace(":: ", "::").replace(" ,", ",").replace("& ", "&")
}
