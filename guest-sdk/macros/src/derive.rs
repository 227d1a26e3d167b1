//! `#[derive(StateMachine)]`: the enums of transitions and conflicts, the functions that make transitions, and `apply`.

use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;

use crate::enums::{Enum, EnumVariant, named, unnamed};
use crate::input::{BECOME, IS_NOT, Machine, Part, Parts, local};
use crate::names;
use crate::versions::Versions;

/// Returns everything that the derive generates.
pub(crate) fn expand(machine: &Machine) -> TokenStream {
    let names = Names::of(machine);
    let (body, extras) = match &machine.parts {
        Parts::Fields(fields) => (apply_to_field(fields, &names), maps(machine, fields, &names)),
        Parts::Variants(variants) => (apply_to_variant(variants, &names), variant_enum(machine, variants, &names)),
    };
    let transition_enum = transition_enum(machine, &names).expand();
    let conflict_enum = conflict_enum(machine, &names).expand();
    let stored_bytes = stored_bytes(&machine.parts);
    let restore = machine.versions.as_ref().map(|versions| versions.restore());
    let state_version = state_version(machine);

    let Names { transition, conflict, .. } = &names;
    let ident = &machine.ident;
    let (declared, parameters, where_clause) = machine.generics.split_for_impl();
    let input = local("transition");
    quote! {
        #transition_enum
        #conflict_enum
        #extras

        #[automatically_derived]
        impl #declared ::reapply_guest::StateMachine for #ident #parameters #where_clause {
            type Transition = #transition #parameters;
            type Conflict = #conflict #parameters;

            const STATE_VERSION: u32 = #state_version;

            #restore

            #[allow(unreachable_patterns)]
            fn apply(&self, #input: &#transition #parameters) -> ::core::result::Result<Self, #conflict #parameters> {
                const { ::core::assert!(<Self as ::reapply_guest::StateMachine>::STATE_VERSION > 0) };
                #body
            }

            fn stored_bytes(&self) -> u64 {
                #stored_bytes
            }
        }
    }
}

/// Returns the version of the whole. It does not compile if a part has a version of its own.
fn state_version(machine: &Machine) -> TokenStream {
    let own = machine.versions.as_ref().map_or(1, Versions::state_version);
    let parts = machine.parts.as_slice().iter().map(version_around);
    quote!(#own #(* #parts)*)
}

fn version_around(part: &Part) -> TokenStream {
    let machine = &part.machine;
    quote_spanned!(machine.span()=> ::reapply_guest::__private::version_around::<#machine>())
}

/// The names of the generated enums.
struct Names {
    transition: Ident,
    conflict: Ident,
    /// The enum that names an enum's variants.
    variant: Ident,
}

impl Names {
    fn of(machine: &Machine) -> Self {
        let name = |suffix| names::of_machine(&machine.ident, suffix);
        Self { transition: name("Transition"), conflict: name("Conflict"), variant: name("Variant") }
    }
}

fn transition_enum<'a>(machine: &'a Machine, names: &Names) -> Enum<'a> {
    let mut variants: Vec<_> = machine.parts.as_slice().iter().map(|part| variant_of(part, "Transition")).collect();
    if let Parts::Variants(_) = machine.parts {
        let doc = "Be this from now on, whatever it is at the time.";
        variants.push(EnumVariant::new(Ident::new(BECOME, machine.ident.span()), doc, unnamed(machine.ty())));
    }
    let doc = format!("The transitions of `{}`.", machine.ident);
    Enum { machine, ident: names.transition.clone(), doc, variants, deserialize: true }
}

fn conflict_enum<'a>(machine: &'a Machine, names: &Names) -> Enum<'a> {
    let mut variants: Vec<_> = machine.parts.as_slice().iter().map(|part| variant_of(part, "Conflict")).collect();
    if let Parts::Variants(_) = machine.parts {
        let doc = "The transition is one of `wanted`, and the state `is` something else by now.";
        let variant = names.variant.to_token_stream();
        let fields = vec![named("wanted", variant.clone()), named("is", variant)];
        variants.push(EnumVariant::new(Ident::new(IS_NOT, machine.ident.span()), doc, fields));
    }
    let doc = format!("The conflicts of `{}`.", machine.ident);
    Enum { machine, ident: names.conflict.clone(), doc, variants, deserialize: false }
}

fn variant_of(part: &Part, associated: &str) -> EnumVariant {
    let doc = format!("A {} of `{}`.", associated.to_lowercase(), part.name());
    EnumVariant::of_part(part, part.associated(associated), &doc)
}

/// Moves the changed field, and clones the others.
fn apply_to_field(fields: &[Part], names: &Names) -> TokenStream {
    let Names { transition, conflict, .. } = names;
    let input = local("transition");
    let arms = fields.iter().map(|part| {
        let (member, variant) = (&part.member, &part.variant);
        let apply = apply_call(part, &quote!(&self.#member), &input);
        let others = fields.iter().map(|part| &part.member).filter(|other| *other != member);
        quote! {
            #transition::#variant(#input) => ::core::result::Result::Ok(Self {
                #member: ::core::result::Result::map_err(#apply, #conflict::#variant)?,
                #(#others: ::core::clone::Clone::clone(&self.#others),)*
            }),
        }
    });
    quote!(match #input { #(#arms)* })
}

fn apply_to_variant(variants: &[Part], names: &Names) -> TokenStream {
    let Names { transition, conflict, variant: kind } = names;
    let (input, state) = (local("transition"), local("state"));
    let arms = variants.iter().map(|part| {
        let variant = &part.variant;
        let apply = apply_call(part, &quote!(#state), &input);
        quote! {
            (Self::#variant(#state), #transition::#variant(#input)) => ::core::result::Result::map_err(
                ::core::result::Result::map(#apply, Self::#variant),
                #conflict::#variant,
            ),
            (_, #transition::#variant(_)) => ::core::result::Result::Err(#conflict::IsNot {
                wanted: #kind::#variant,
                is: <#kind as ::core::convert::From<&Self>>::from(self),
            }),
        }
    });
    quote! {
        match (self, #input) {
            (_, #transition::Become(#state)) => ::core::result::Result::Ok(::core::clone::Clone::clone(#state)),
            #(#arms)*
        }
    }
}

/// Returns the bytes of all fields, or of the current variant.
fn stored_bytes(parts: &Parts) -> TokenStream {
    let bytes = |part: &Part, state: &TokenStream| {
        let machine = &part.machine;
        quote_spanned!(machine.span()=> <#machine as ::reapply_guest::StateMachine>::stored_bytes(#state))
    };
    match parts {
        Parts::Fields(fields) => {
            let fields = fields.iter().map(|part| {
                let member = &part.member;
                bytes(part, &quote!(&self.#member))
            });
            quote!(0 #(+ #fields)*)
        }
        Parts::Variants(variants) => {
            let state = local("state");
            let arms = variants.iter().map(|part| {
                let variant = &part.variant;
                let bytes = bytes(part, &quote!(#state));
                quote!(Self::#variant(#state) => 1 + #bytes,)
            });
            quote!(match self { #(#arms)* })
        }
    }
}

fn apply_call(part: &Part, state: &TokenStream, input: &Ident) -> TokenStream {
    let machine = &part.machine;
    quote_spanned!(machine.span()=> <#machine as ::reapply_guest::StateMachine>::apply(#state, #input))
}

/// Returns `map_label` and the like: functions that turn a transition of a field into one of the whole.
fn maps(machine: &Machine, fields: &[Part], names: &Names) -> TokenStream {
    let ident = &machine.ident;
    let transition = &names.transition;
    let (declared, parameters, where_clause) = machine.generics.split_for_impl();
    let make = local("make");
    let maps = fields.iter().map(|part| {
        let Part { member, variant, visibility, machine, .. } = part;
        let map = names::map_of_field(member);
        let doc =
            format!("Returns the transition that `make` makes of `{}`, as a transition of the whole.", part.name());
        let payload = part.associated("Transition");
        quote! {
            #[doc = #doc]
            #[must_use]
            #visibility fn #map(
                &self,
                #make: impl ::core::ops::FnOnce(&#machine) -> #payload,
            ) -> #transition #parameters {
                #transition::#variant(#make(&self.#member))
            }
        }
    });
    quote! {
        #[automatically_derived]
        #[allow(dead_code, non_snake_case, private_bounds, private_interfaces)]
        impl #declared #ident #parameters #where_clause {
            #(#maps)*
        }
    }
}

/// Returns the enum of an enum's variants without their contents, for conflicts to name them.
fn variant_enum(machine: &Machine, variants: &[Part], names: &Names) -> TokenStream {
    let Machine { ident, visibility, .. } = machine;
    let kind = &names.variant;
    let (declared, parameters, where_clause) = machine.generics.split_for_impl();
    let doc = format!("The variants of `{ident}`.");
    let (docs, variants): (Vec<_>, Vec<_>) = variants
        .iter()
        .map(|part| {
            let (docs, doc) = (&part.docs, format!("The variant `{}`.", part.variant));
            (if docs.is_empty() { quote!(#[doc = #doc]) } else { quote!(#(#docs)*) }, &part.variant)
        })
        .unzip();
    let state = local("state");
    quote! {
        #[doc = #doc]
        #[derive(
            ::core::clone::Clone,
            ::core::marker::Copy,
            ::core::fmt::Debug,
            ::core::cmp::PartialEq,
            ::core::cmp::Eq,
            ::reapply_guest::__private::serde::Serialize,
            ::reapply_guest::__private::schemars::JsonSchema,
        )]
        #[serde(crate = "::reapply_guest::__private::serde")]
        #[schemars(crate = "::reapply_guest::__private::schemars")]
        #visibility enum #kind {
            #(#docs #variants,)*
        }

        #[automatically_derived]
        impl #declared ::core::convert::From<&#ident #parameters> for #kind #where_clause {
            fn from(#state: &#ident #parameters) -> Self {
                match #state { #(#ident::#variants(_) => Self::#variants,)* }
            }
        }
    }
}
