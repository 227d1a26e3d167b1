//! The input of the derive: a machine that is made of machines.

use std::collections::BTreeSet;

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{
    Attribute, Data, DeriveInput, Error, Field, Fields, Generics, Index, Member, Result, Type, Variant, Visibility,
    parse_quote, parse_quote_spanned,
};

use crate::names;
use crate::versions::Versions;

/// A struct or an enum whose parts are machines.
pub(crate) struct Machine {
    pub(crate) ident: Ident,
    pub(crate) visibility: Visibility,
    /// The generics, with all bounds that the generated items and impls need.
    pub(crate) generics: Generics,
    pub(crate) parts: Parts,
    pub(crate) versions: Option<Versions>,
}

/// The parts of a machine; at least one.
pub(crate) enum Parts {
    /// All at once: a struct's fields.
    Fields(Vec<Part>),
    /// One at a time: an enum's variants.
    Variants(Vec<Part>),
}

/// A field of a struct or a variant of an enum, which holds a machine.
pub(crate) struct Part {
    /// The name of the field or variant: `label`, `0`, or the enum's variant.
    pub(crate) member: Member,
    /// The variant for this part in the generated enums.
    pub(crate) variant: Ident,
    pub(crate) docs: Vec<Attribute>,
    pub(crate) visibility: Visibility,
    pub(crate) machine: Type,
}

impl Machine {
    /// Reads the item, or reports everything that is wrong with it.
    pub(crate) fn parse(input: DeriveInput) -> Result<Self> {
        let mut errors = Errors::default();
        if let Some(lifetime) = input.generics.lifetimes().next() {
            errors.push(lifetime, "a machine owns its data: it cannot have a lifetime");
        }
        let versions = errors.take(Versions::from_attributes(&input.attrs)).flatten();
        let parts = match &input.data {
            Data::Struct(data) => Parts::Fields(fields(&input.ident, &data.fields, &mut errors)),
            Data::Enum(data) => Parts::Variants(variants(&input.ident, data.variants.iter(), &mut errors)),
            Data::Union(data) => {
                errors.push(data.union_token, "a union cannot be a machine; write a struct or an enum");
                Parts::Fields(Vec::new())
            }
        };
        for part in parts.as_slice() {
            if mentions(part.machine.to_token_stream(), &input.ident) {
                errors.push(
                    &part.machine,
                    "a machine cannot hold itself, since its bytes could be nested deeper than any stack; \
                     keep all of them in one `Map<Id, ...>`, and let them name each other by `Id`",
                );
            }
        }
        errors.into_result()?;

        let generics = bounded(&input.ident, input.generics, &parts);
        Ok(Self { ident: input.ident, visibility: input.vis, generics, parts, versions })
    }

    /// Returns the machine's type, with its parameters.
    pub(crate) fn ty(&self) -> TokenStream {
        let ident = &self.ident;
        let (_, parameters, _) = self.generics.split_for_impl();
        quote!(#ident #parameters)
    }
}

impl Parts {
    pub(crate) fn as_slice(&self) -> &[Part] {
        match self {
            Self::Fields(parts) | Self::Variants(parts) => parts,
        }
    }
}

impl Part {
    /// Returns the word that people use for the kind of part.
    pub(crate) fn name(&self) -> String {
        match &self.member {
            Member::Named(ident) => ident.unraw().to_string(),
            Member::Unnamed(index) => index.index.to_string(),
        }
    }

    /// Returns the part's `Transition` or `Conflict`. An error about it points at the part's type.
    pub(crate) fn associated(&self, name: &str) -> TokenStream {
        let machine = &self.machine;
        let name = Ident::new(name, machine.span());
        quote_spanned!(machine.span()=> <#machine as ::reapply_guest::StateMachine>::#name)
    }
}

/// A collection of errors, so that an author sees all of them at once.
#[derive(Default)]
struct Errors(Option<Error>);

impl Errors {
    fn push(&mut self, place: impl ToTokens, text: &str) {
        self.add(Error::new_spanned(place, text));
    }

    fn take<T>(&mut self, result: Result<T>) -> Option<T> {
        result.map_err(|error| self.add(error)).ok()
    }

    fn add(&mut self, error: Error) {
        match &mut self.0 {
            Some(all) => all.combine(error),
            None => self.0 = Some(error),
        }
    }

    fn into_result(self) -> Result<()> {
        self.0.map_or(Ok(()), Err)
    }
}

fn fields(machine: &Ident, fields: &Fields, errors: &mut Errors) -> Vec<Part> {
    if fields.is_empty() {
        errors.push(machine, "a machine without fields has nothing to change; give it a field that is a machine");
    }
    let parts: Vec<_> = fields.iter().enumerate().map(|(at, field)| part_of_field(at, field)).collect();
    for (at, part) in parts.iter().enumerate() {
        if let Some(other) = parts[..at].iter().find(|other| other.variant == part.variant) {
            let (name, other, variant) = (part.name(), other.name(), &part.variant);
            let text = format!("the fields `{other}` and `{name}` would both be the variant `{variant}`; rename one");
            errors.push(&part.member, &text);
        }
    }
    parts
}

fn part_of_field(at: usize, field: &Field) -> Part {
    let (member, variant) = match &field.ident {
        Some(ident) => (Member::Named(ident.clone()), names::variant_of_field(ident)),
        None => {
            let index = Index { index: at as u32, span: field.ty.span() };
            (Member::Unnamed(index), Ident::new(&format!("Field{at}"), field.ty.span()))
        }
    };
    Part { member, variant, docs: docs(&field.attrs), visibility: field.vis.clone(), machine: field.ty.clone() }
}

fn variants<'a>(machine: &Ident, variants: impl Iterator<Item = &'a Variant>, errors: &mut Errors) -> Vec<Part> {
    let parts: Vec<_> = variants.filter_map(|variant| errors.take(part_of_variant(variant))).collect();
    if parts.is_empty() && errors.0.is_none() {
        errors.push(machine, "a machine without variants has no state; give it a variant that holds a machine");
    }
    parts
}

fn part_of_variant(variant: &Variant) -> Result<Part> {
    let ident = &variant.ident;
    let machine = match &variant.fields {
        Fields::Unnamed(fields) if fields.unnamed.len() == 1 => fields.unnamed[0].ty.clone(),
        Fields::Unit => {
            let text = format!("each variant holds one machine; for one that never changes: `{ident}(Constant<()>)`");
            return Err(Error::new_spanned(variant, text));
        }
        Fields::Unnamed(fields) => {
            let text = format!(
                "each variant holds one machine, and `{ident}` has {} fields; move them to a struct that derives \
                 StateMachine, and write `{ident}(ThatStruct)`",
                fields.unnamed.len()
            );
            return Err(Error::new_spanned(fields, text));
        }
        Fields::Named(fields) => {
            let text = format!(
                "each variant holds one machine, without a name; move these fields to a struct that derives \
                 StateMachine, and write `{ident}(ThatStruct)`"
            );
            return Err(Error::new_spanned(fields, text));
        }
    };
    if ident == BECOME || ident == IS_NOT {
        let text = format!("`{ident}` is a name that the generated enum needs for itself; rename this variant");
        return Err(Error::new_spanned(ident, text));
    }
    Ok(Part {
        member: Member::Named(ident.clone()),
        variant: ident.clone(),
        docs: docs(&variant.attrs),
        visibility: Visibility::Inherited,
        machine,
    })
}

/// The transition of an enum that replaces the state, whatever its variant.
pub(crate) const BECOME: &str = "Become";

/// The conflict of an enum that is another variant than the transition wants.
pub(crate) const IS_NOT: &str = "IsNot";

fn docs(attributes: &[Attribute]) -> Vec<Attribute> {
    attributes.iter().filter(|attribute| attribute.path().is_ident("doc")).cloned().collect()
}

/// Adds the necessary bounds, so that the author of `struct Pair<A, B>` may leave all of them out. The bound that each part is a
/// machine is added even for types without parameters: inside the expansion it then counts as true, and a part that is not
/// a machine causes one error instead of one for each use.
fn bounded(ident: &Ident, mut generics: Generics, parts: &Parts) -> Generics {
    let machine = {
        let (_, parameters, _) = generics.split_for_impl();
        quote_spanned!(ident.span()=> #ident #parameters)
    };
    let parameters: Vec<_> = generics.type_params().map(|parameter| parameter.ident.clone()).collect();
    let predicates = &mut generics.make_where_clause().predicates;
    let mut said = BTreeSet::new();
    for Part { machine, .. } in parts.as_slice() {
        if !said.insert(machine.to_token_stream().to_string()) {
            continue;
        }
        predicates.push(parse_quote_spanned!(machine.span()=> #machine: ::reapply_guest::StateMachine));
    }
    for parameter in &parameters {
        predicates.push(parse_quote!(#parameter: ::reapply_guest::__private::schemars::JsonSchema));
    }
    if !parameters.is_empty() {
        predicates.push(parse_quote!(#machine: ::reapply_guest::__private::MachineData));
    }
    if let Parts::Variants(_) = parts {
        let bounds = quote_spanned!(ident.span()=> ::core::fmt::Debug + ::core::cmp::PartialEq);
        predicates.push(parse_quote_spanned!(ident.span()=> #machine: #bounds));
    }
    generics
}

/// Returns whether the type mentions `machine`, by name or as `Self`. After a `::`, the same name means another type.
fn mentions(ty: TokenStream, machine: &Ident) -> bool {
    let mut after_colon = false;
    ty.into_iter().any(|token| {
        let found = match &token {
            TokenTree::Ident(word) => !after_colon && (word == machine || word == "Self"),
            TokenTree::Group(group) => mentions(group.stream(), machine),
            TokenTree::Punct(_) | TokenTree::Literal(_) => false,
        };
        after_colon = matches!(&token, TokenTree::Punct(punct) if punct.as_char() == ':');
        found
    })
}

/// Returns the identifier of a variable of the expansion, hidden from the author's code.
pub(crate) fn local(name: &str) -> Ident {
    Ident::new(name, Span::mixed_site())
}
