//! Enums with all the traits that a transition or a conflict needs.
//!
//! The impls are written out instead of derived, since the standard derives ask of every type parameter what only the fields
//! need.

use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};
use syn::ext::IdentExt;
use syn::{Index, Member};

use crate::input::{Machine, Part, local};

/// An enum to generate beside a machine.
pub(crate) struct Enum<'a> {
    pub(crate) machine: &'a Machine,
    pub(crate) ident: Ident,
    pub(crate) doc: String,
    pub(crate) variants: Vec<EnumVariant>,
    /// Whether the enum is read as well as written.
    pub(crate) deserialize: bool,
}

/// A variant of the enum.
pub(crate) struct EnumVariant {
    ident: Ident,
    docs: TokenStream,
    fields: Vec<(Member, TokenStream)>,
}

impl EnumVariant {
    /// Returns `Label(payload)` for a part, with the part's own docs.
    pub(crate) fn of_part(part: &Part, payload: TokenStream, doc: &str) -> Self {
        let docs = &part.docs;
        let docs = if docs.is_empty() { quote!(#[doc = #doc]) } else { quote!(#(#docs)*) };
        Self { ident: part.variant.clone(), docs, fields: unnamed(payload) }
    }

    /// Returns a variant that stands for no part.
    pub(crate) fn new(ident: Ident, doc: &str, fields: Vec<(Member, TokenStream)>) -> Self {
        Self { ident, docs: quote!(#[doc = #doc]), fields }
    }

    fn definition(&self) -> TokenStream {
        let Self { ident, docs, fields, .. } = self;
        let fields: Vec<_> = fields.iter().map(|(member, ty)| (field_ident(member), ty)).collect();
        let types = fields.iter().map(|(_, ty)| ty);
        match fields.iter().map(|(ident, _)| ident.as_ref()).collect::<Option<Vec<_>>>() {
            Some(idents) => quote!(#docs #ident { #(#[allow(missing_docs)] #idents: #types),* }),
            None => quote!(#docs #ident(#(#types),*)),
        }
    }

    /// Returns `Self::Label { 0: a0 }`, which binds the fields to `a0`, `a1`, ..., whether they have names or not.
    fn pattern(&self, prefix: &str) -> (TokenStream, Vec<Ident>) {
        let Self { ident, fields, .. } = self;
        let locals: Vec<_> = (0..fields.len()).map(|at| local(&format!("{prefix}{at}"))).collect();
        let members = fields.iter().map(|(member, _)| member);
        (quote!(Self::#ident { #(#members: #locals),* }), locals)
    }

    fn clone_arm(&self) -> TokenStream {
        let (pattern, locals) = self.pattern("a");
        let ident = &self.ident;
        let members = self.fields.iter().map(|(member, _)| member);
        quote!(#pattern => Self::#ident { #(#members: ::core::clone::Clone::clone(#locals)),* })
    }

    fn eq_arm(&self) -> TokenStream {
        let (left, lefts) = self.pattern("a");
        let (right, rights) = self.pattern("b");
        quote!((#left, #right) => true #(&& ::core::cmp::PartialEq::eq(#lefts, #rights))*)
    }

    fn debug_arm(&self, formatter: &Ident) -> TokenStream {
        let (pattern, locals) = self.pattern("a");
        let name = self.ident.unraw().to_string();
        let names: Option<Vec<_>> =
            self.fields.iter().map(|(member, _)| Some(field_ident(member)?.to_string())).collect();
        match names {
            Some(names) => quote! {
                #pattern => {
                    ::core::fmt::Formatter::debug_struct(#formatter, #name) #(.field(#names, #locals))* .finish()
                }
            },
            None => quote! {
                #pattern => ::core::fmt::Formatter::debug_tuple(#formatter, #name) #(.field(#locals))* .finish()
            },
        }
    }
}

impl Enum<'_> {
    /// Returns the definition and its traits.
    pub(crate) fn expand(&self) -> TokenStream {
        let Self { machine, ident, doc, variants, deserialize } = self;
        let visibility = &machine.visibility;
        let (declared, where_clause) = (&machine.generics, &machine.generics.where_clause);
        let deserialize = deserialize.then(|| quote!(::reapply_guest::__private::serde::Deserialize,));
        let definitions = variants.iter().map(EnumVariant::definition);
        let schema_name = self.schema_name();
        let traits = self.traits();
        quote! {
            #[doc = #doc]
            #[allow(dead_code, non_camel_case_types, private_bounds, private_interfaces)]
            #[derive(
                ::reapply_guest::__private::serde::Serialize,
                #deserialize
                ::reapply_guest::__private::schemars::JsonSchema,
            )]
            #[serde(crate = "::reapply_guest::__private::serde", bound = "")]
            #[schemars(crate = "::reapply_guest::__private::schemars" #schema_name)]
            #visibility enum #ident #declared #where_clause {
                #(#definitions,)*
            }

            #traits
        }
    }

    fn traits(&self) -> TokenStream {
        let Self { machine, ident, variants, .. } = self;
        let (declared, parameters, where_clause) = machine.generics.split_for_impl();
        let (other, formatter) = (local("other"), local("formatter"));
        let clones = variants.iter().map(EnumVariant::clone_arm);
        let equals = variants.iter().map(EnumVariant::eq_arm);
        let debugs = variants.iter().map(|variant| variant.debug_arm(&formatter));
        quote! {
            #[automatically_derived]
            impl #declared ::core::clone::Clone for #ident #parameters #where_clause {
                #[allow(unreachable_patterns)]
                fn clone(&self) -> Self {
                    match self { #(#clones,)* }
                }
            }

            #[automatically_derived]
            impl #declared ::core::cmp::PartialEq for #ident #parameters #where_clause {
                #[allow(unreachable_patterns)]
                fn eq(&self, #other: &Self) -> bool {
                    match (self, #other) { #(#equals,)* _ => false }
                }
            }

            #[automatically_derived]
            impl #declared ::core::fmt::Debug for #ident #parameters #where_clause {
                #[allow(unreachable_patterns)]
                fn fmt(&self, #formatter: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                    match self { #(#debugs,)* }
                }
            }
        }
    }

    /// Returns the schema's name, which includes the type parameters, as schemars' own generic types do.
    fn schema_name(&self) -> Option<TokenStream> {
        let types = self.machine.generics.type_params().map(|parameter| &parameter.ident);
        let consts = self.machine.generics.const_params().map(|parameter| &parameter.ident);
        let parameters: Vec<_> = types.chain(consts).map(|parameter| format!("{{{parameter}}}")).collect();
        if parameters.is_empty() {
            return None;
        }
        let name = format!("{}_of_{}", self.ident, parameters.join("_and_"));
        Some(quote!(, rename = #name))
    }
}

fn field_ident(member: &Member) -> Option<Ident> {
    match member {
        Member::Named(ident) => Some(ident.clone()),
        Member::Unnamed(_) => None,
    }
}

/// The one unnamed field of a variant.
pub(crate) fn unnamed(payload: TokenStream) -> Vec<(Member, TokenStream)> {
    vec![(Member::Unnamed(Index::from(0)), payload)]
}

/// A variant's field with a name.
pub(crate) fn named(name: &str, ty: TokenStream) -> (Member, TokenStream) {
    (Member::Named(format_ident!("{name}")), ty)
}
