//! `#[derive(Schema)]`: the constant description of a type as it travels.
//!
//! It is a derive, so that `cfg` and `cfg_attr` are evaluated before it looks. Where serde's attributes
//! make a form that it cannot describe, it says "anything" rather than something wrong.

use proc_macro2::TokenStream;
use syn::{Data, DataEnum, DeriveInput, Fields, Generics, Type, Variant};

use self::case::Case;
use self::serde::Said;
use crate::diag::Diag;
use crate::parse::args::Args;
use crate::parse::{docs, types};

mod case;
mod serde;

/// Expands the derive.
pub(crate) fn derive(item: TokenStream, diag: &mut Diag) -> TokenStream {
    let Some(input) = diag.take(syn::parse2::<DeriveInput>(item)) else { return q!() };
    let private = private(&input, diag);
    let said = Said::read(&input.attrs);
    let writer = Writer { private: private.clone() };
    let described = match &input.data {
        _ if said.opaque => None,
        Data::Struct(data) => writer.of_struct(&data.fields, &said),
        Data::Enum(data) => writer.of_enum(data, &said).map(Described::Shape),
        Data::Union(_) => None,
    };
    let name = input.ident.to_string();
    let own = |id: TokenStream, shape: TokenStream| q!(&#private::schema::Type { name: #name, id: #id, shape: #private::schema::Shape::#shape });
    let some = q!(#private::Option::Some(#private::TypeId::of::<Self>()));
    let value = match described {
        None => own(q!(#private::Option::None), q!(Any)),
        Some(Described::Shape(shape)) => own(some, shape),
        Some(Described::Same(ty)) => q!(#private::Probe::<#ty>::TYPE),
    };
    let generics = bounded(&input.generics, &private);
    let (generics, arguments, bounds) = generics.split_for_impl();
    let ident = &input.ident;
    q! {
        const _: () = {
            #[allow(unused_imports)]
            use #private::NoSchema as _;
            #[automatically_derived]
            impl #generics #private::Schema for #ident #arguments #bounds {
                const TYPE: &'static #private::schema::Type = #value;
            }
        };
    }
}

/// How a type is described.
enum Described {
    /// By a shape of its own.
    Shape(TokenStream),
    /// As another type: serde writes a newtype as what it wraps.
    Same(Box<Type>),
}

fn private(input: &DeriveInput, diag: &mut Diag) -> TokenStream {
    let mut krate = q!(::micro);
    for attr in input.attrs.iter().filter(|attr| attr.path().is_ident("micro")) {
        let mut args = Args::of(attr, diag);
        krate = crate::lower::facade(&mut args, diag);
        for arg in &args.entries {
            arg.unknown("micro", &["crate"], diag);
        }
    }
    q!(#krate::__private)
}

fn bounded(generics: &Generics, private: &TokenStream) -> Generics {
    let mut generics = generics.clone();
    let bounds: Vec<syn::WherePredicate> = generics
        .type_params()
        .map(|param| {
            let ident = &param.ident;
            let bound = q!(#ident: #private::Schema + 'static);
            syn::parse_quote!(#bound)
        })
        .collect();
    if !bounds.is_empty() {
        generics.make_where_clause().predicates.extend(bounds);
    }
    generics
}

/// Writes descriptions. `None` stands for a form that cannot be described.
struct Writer {
    private: TokenStream,
}

impl Writer {
    fn of_struct(&self, fields: &Fields, said: &Said) -> Option<Described> {
        match fields {
            Fields::Unit => Some(Described::Shape(q!(Unit))),
            Fields::Unnamed(list) if list.unnamed.len() == 1 => self.newtype(&list.unnamed[0]),
            Fields::Named(list) if said.transparent => {
                let mut travelling = list.named.iter().filter(|f| !Said::read(&f.attrs).skip);
                match (travelling.next(), travelling.next()) {
                    (Some(field), None) => self.newtype(field),
                    _ => None,
                }
            }
            Fields::Unnamed(list) if !said.transparent => {
                let items = self.items(list.unnamed.iter())?;
                Some(Described::Shape(q!(Tuple(&[#items]))))
            }
            Fields::Unnamed(_) => None,
            Fields::Named(_) => {
                let fields = self.named(fields, said.rename_all, said.default)?;
                Some(Described::Shape(q!(Struct(&[#fields]))))
            }
        }
    }

    fn newtype(&self, field: &syn::Field) -> Option<Described> {
        let said = Said::read(&field.attrs);
        let plain = !said.opaque && !said.custom && !said.skip;
        plain.then(|| Described::Same(Box::new(field.ty.clone())))
    }

    fn of_enum(&self, data: &DataEnum, said: &Said) -> Option<TokenStream> {
        let mut variants = q!();
        for variant in &data.variants {
            variants.extend(self.variant(variant, said)?);
        }
        Some(q!(Enum(&[#variants])))
    }

    fn variant(&self, variant: &Variant, container: &Said) -> Option<TokenStream> {
        let said = Said::read(&variant.attrs);
        if said.opaque {
            return None;
        }
        if said.skip {
            return Some(q!());
        }
        let private = &self.private;
        let written = types::unraw(&variant.ident);
        let name = said.rename.clone().unwrap_or_else(|| match container.rename_all {
            Some(case) => case.variant(&written),
            None => written,
        });
        let content = match &variant.fields {
            Fields::Unit => q!(Unit),
            _ if said.custom => q!(Newtype(|| #private::schema::ANY)),
            Fields::Unnamed(list) if list.unnamed.len() == 1 => {
                let lazy = self.lazy(&list.unnamed[0])?;
                q!(Newtype(#lazy))
            }
            Fields::Unnamed(list) => {
                let items = self.items(list.unnamed.iter())?;
                q!(Tuple(&[#items]))
            }
            Fields::Named(_) => {
                let case = said.rename_all.or(container.rename_all_fields);
                let fields = self.named(&variant.fields, case, false)?;
                q!(Struct(&[#fields]))
            }
        };
        let docs = docs::text(&variant.attrs);
        Some(q! {
            #private::schema::Variant {
                name: #name,
                content: #private::schema::Content::#content,
                docs: #docs,
            },
        })
    }

    fn named(
        &self,
        fields: &Fields,
        case: Option<Case>,
        all_optional: bool,
    ) -> Option<TokenStream> {
        let private = &self.private;
        let mut entries = q!();
        for field in fields {
            let said = Said::read(&field.attrs);
            if said.skip {
                continue;
            }
            let written = field.ident.as_ref().map(types::unraw).unwrap_or_default();
            let name = said.rename.clone().unwrap_or_else(|| match case {
                Some(case) => case.field(&written),
                None => written,
            });
            let ty = self.lazy(field)?;
            // serde reads a missing `Option` as `None`, unless the field has a form of its own.
            let may_be_null = types::is_named(&field.ty, "Option") && !said.custom;
            let optional = all_optional || said.default || may_be_null;
            let docs = docs::text(&field.attrs);
            entries.extend(q! {
                #private::schema::Field { name: #name, ty: #ty, optional: #optional, docs: #docs },
            });
        }
        Some(entries)
    }

    fn items<'a>(&self, fields: impl Iterator<Item = &'a syn::Field>) -> Option<TokenStream> {
        let mut items = q!();
        for field in fields {
            if Said::read(&field.attrs).skip {
                return None;
            }
            let lazy = self.lazy(field)?;
            items.extend(q!(#lazy,));
        }
        Some(items)
    }

    /// A function, because a type may contain itself.
    fn lazy(&self, field: &syn::Field) -> Option<TokenStream> {
        let (private, ty) = (&self.private, &field.ty);
        let said = Said::read(&field.attrs);
        match () {
            () if said.opaque => None,
            () if said.custom => Some(q!(|| #private::schema::ANY)),
            () => Some(q!(|| #private::Probe::<#ty>::TYPE)),
        }
    }
}
