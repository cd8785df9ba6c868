//! `#[handler]`, `#[subscribe]` and `#[init]` where no `#[service]` reads them. They are attributes of
//! their own only for the sake of this message.

use proc_macro2::{Span, TokenStream};

use crate::diag::Diag;
use crate::parse::item::Function;

/// Reports the misplaced attribute; the item stays as it is.
pub(crate) fn misplaced(word: &str, item: TokenStream, diag: &mut Diag) -> TokenStream {
    let text = match syn::parse2::<Function>(item.clone()) {
        Ok(function) if function.sig.receiver().is_some() => format!(
            "`#[{word}]` works only inside an `impl` marked `#[service]`\n  \
             help: add `#[service]` above the `impl` that contains `{}`",
            function.sig.ident
        ),
        Ok(function) if word == "init" => format!(
            "`#[init]` works only inside an `impl` marked `#[service]`\n  \
             help: add `#[service]` above the `impl` of what `{}` makes",
            function.sig.ident
        ),
        Ok(function) => format!(
            "`#[{word}]` works only inside an `impl`, `trait` or `mod` marked `#[service]`\n  \
             help: a service without a struct is a module: `#[service] mod greeter {{ #[{word}] pub \
             async fn {}(..) {{ .. }} }}`",
            function.sig.ident
        ),
        Err(_) => format!("`#[{word}]` goes on a function inside of a `#[service]`"),
    };
    diag.at(Span::call_site(), text);
    item
}
