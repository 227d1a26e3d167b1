//! The names of generated items.

use proc_macro2::Ident;
use quote::format_ident;
use syn::Member;
use syn::ext::IdentExt;

/// Returns the variant for a field: `due_date` becomes `DueDate`. It keeps the field's span.
pub(crate) fn variant_of_field(field: &Ident) -> Ident {
    let mut name = String::new();
    for word in field.unraw().to_string().split('_') {
        let mut letters = word.chars();
        name.extend(letters.next().into_iter().flat_map(char::to_uppercase));
        name.extend(letters);
    }
    // The rest of `_1` cannot begin a name, and `self_` would become the one word that `r#` cannot escape.
    if name.chars().next().is_none_or(char::is_numeric) {
        name.insert_str(0, "Field");
    }
    if name == "Self" {
        name.push('_');
    }
    Ident::new(&name, field.span())
}

/// Returns the function that makes a transition of a field: `map_due_date`, or `map_0` in a tuple.
pub(crate) fn map_of_field(field: &Member) -> Ident {
    match field {
        Member::Named(ident) => format_ident!("map_{}", ident),
        Member::Unnamed(index) => format_ident!("map_{}", index.index),
    }
}

/// Returns `TodoTransition` for `Todo` and `Transition`. It keeps the span of `machine`.
pub(crate) fn of_machine(machine: &Ident, suffix: &str) -> Ident {
    format_ident!("{}{suffix}", machine.unraw(), span = machine.span())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variants_are_named_as_rust_names_variants() {
        for (field, variant) in [
            ("label", "Label"),
            ("due_date", "DueDate"),
            ("_hidden", "Hidden"),
            ("r#type", "Type"),
            ("self_", "Self_"),
            ("x2_y", "X2Y"),
            ("_1", "Field1"),
            ("__", "Field"),
            ("straße", "Straße"),
            ("élan", "Élan"),
        ] {
            let field: Ident = syn::parse_str(field).unwrap();
            assert_eq!(variant_of_field(&field).to_string(), variant);
        }
    }
}
