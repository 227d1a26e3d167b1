//! `#[machine(state_version = 3, migrate_from = [V1, V2])]`: the version that a machine writes, and the types of the
//! versions before.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::spanned::Spanned;
use syn::{Attribute, Error, Ident, ImplItem, Item, ItemImpl, LitInt, Result, Token, Type, bracketed, token};

/// The arguments of the attribute.
pub(crate) struct Versions {
    state_version: u32,
    /// The types of the earlier versions; version n is at n - 1.
    earlier: Vec<Type>,
}

impl Versions {
    /// Reads the helper attribute of a derive, if there is one.
    pub(crate) fn from_attributes(attributes: &[Attribute]) -> Result<Option<Self>> {
        let mut ours = attributes.iter().filter(|attribute| attribute.path().is_ident("machine"));
        let Some(attribute) = ours.next() else { return Ok(None) };
        if let Some(second) = ours.next() {
            return Err(Error::new_spanned(second, "a second `#[machine(...)]`; combine the two"));
        }
        attribute.parse_args().map(Some)
    }

    /// Returns the version that is written.
    pub(crate) fn state_version(&self) -> u32 {
        self.state_version
    }

    /// Returns `STATE_VERSION` and `restore`, for the implementation of either trait.
    fn items(&self) -> TokenStream {
        let state_version = self.state_version;
        let restore = self.restore();
        quote! {
            const STATE_VERSION: u32 = #state_version;

            #restore
        }
    }

    /// Returns `restore`, for the implementation of either trait.
    pub(crate) fn restore(&self) -> TokenStream {
        let Self { state_version, earlier } = self;
        let numbers = 1u32..;
        let reads = earlier.iter().zip(numbers).map(|(ty, number)| {
            quote_spanned!(ty.span()=> #number => ::reapply_guest::__private::migrate::<#ty, Self>(snapshot, #number))
        });
        quote! {
            fn restore(snapshot: &[u8], state_version: u32) -> ::core::result::Result<Self, ::std::string::String> {
                match state_version {
                    #(#reads,)*
                    _ => ::reapply_guest::__private::restore_newest(snapshot, state_version, #state_version),
                }
            }
        }
    }
}

impl Parse for Versions {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let mut state_version = None;
        let mut migrate_from = None;
        while !input.is_empty() {
            let key = input.call(Ident::parse_any)?;
            input.parse::<Token![=]>()?;
            let repeated = match key.to_string().as_str() {
                STATE_VERSION => state_version.replace(parse_version(input)?).is_some(),
                MIGRATE_FROM => migrate_from.replace(parse_earlier(input)?).is_some(),
                _ => return Err(Error::new_spanned(&key, format!("`{key}` is unknown here; {USAGE}"))),
            };
            if repeated {
                return Err(Error::new_spanned(&key, format!("`{key}` is set twice")));
            }
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        let Some((state_version, place)) = state_version else {
            let place = migrate_from.map_or(input.span(), |(_, place)| place);
            return Err(Error::new(place, format!("`state_version` is missing; {USAGE}")));
        };
        let (earlier, place) = migrate_from.unwrap_or((Vec::new(), place));
        check_complete(state_version, &earlier, place)?;
        Ok(Self { state_version, earlier })
    }
}

/// Expands `#[machine(...)]` on an implementation of either trait. The item stays even if there are errors, so that these are the
/// only errors.
pub(crate) fn expand_on_impl(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let expanded = syn::parse2::<Item>(item.clone())
        .and_then(implementation)
        .and_then(|implementation| with_versions(implementation, &syn::parse2(arguments)?));
    expanded.unwrap_or_else(|error| {
        let error = error.into_compile_error();
        quote!(#error #item)
    })
}

const STATE_VERSION: &str = "state_version";
const MIGRATE_FROM: &str = "migrate_from";
const USAGE: &str = "write `#[machine(state_version = 3, migrate_from = [V1, V2])]`";

fn parse_version(input: ParseStream<'_>) -> Result<(u32, Span)> {
    let literal: LitInt = input.parse().map_err(|error| {
        Error::new(
            error.span(),
            "`state_version` must be a number literal: it determines the number of types to migrate from",
        )
    })?;
    match literal.base10_parse()? {
        0 => Err(Error::new_spanned(literal, "versions begin at 1")),
        version => Ok((version, literal.span())),
    }
}

fn parse_earlier(input: ParseStream<'_>) -> Result<(Vec<Type>, Span)> {
    if !input.peek(token::Bracket) {
        let ty: Type = input.parse()?;
        let place = ty.span();
        return Ok((vec![ty], place));
    }
    let list;
    let brackets = bracketed!(list in input);
    let types = list.parse_terminated(Type::parse, Token![,])?;
    Ok((types.into_iter().collect(), brackets.span.join()))
}

/// Checks that every version before this one has its type, and no other has.
fn check_complete(state_version: u32, earlier: &[Type], place: Span) -> Result<()> {
    let needed = state_version as usize - 1;
    let here = earlier.len();
    if here > needed {
        let text = format!(
            "`migrate_from` has more types than there are versions before {state_version} ({here}, not {needed}); \
             raise `state_version` with each change of the state's encoding"
        );
        return Err(Error::new(place, text));
    }
    if here < needed {
        let first = here + 1;
        let missing =
            if first == needed { format!("version {first}") } else { format!("versions {first} to {needed}") };
        let text = format!(
            "no migration from {missing}; `migrate_from = [V1, V2]` lists the types that the state had in versions 1, \
             2 and so on, up to the one before {state_version}"
        );
        return Err(Error::new(place, text));
    }
    Ok(())
}

fn implementation(item: Item) -> Result<ItemImpl> {
    let place = match item {
        Item::Impl(implementation) => {
            let of = implementation.trait_.as_ref().and_then(|(_, path, _)| path.segments.last());
            if of.is_some_and(|last| last.ident == "StateMachine" || last.ident == "Program") {
                return Ok(implementation);
            }
            implementation.impl_token.span()
        }
        Item::Struct(item) => item.ident.span(),
        Item::Enum(item) => item.ident.span(),
        item => item.span(),
    };
    let text =
        "`#[machine(...)]` belongs below `#[derive(StateMachine)]`, or on an `impl` of `StateMachine` or `Program`";
    Err(Error::new(place, text))
}

fn with_versions(mut implementation: ItemImpl, versions: &Versions) -> Result<TokenStream> {
    for item in &implementation.items {
        let ident = match item {
            ImplItem::Const(item) if item.ident == "STATE_VERSION" => &item.ident,
            ImplItem::Fn(item) if item.sig.ident == "restore" => &item.sig.ident,
            _ => continue,
        };
        let text = format!("`#[machine(...)]` writes `{ident}`; remove one of the two");
        return Err(Error::new_spanned(ident, text));
    }
    implementation.items.push(ImplItem::Verbatim(versions.items()));
    Ok(implementation.into_token_stream())
}
