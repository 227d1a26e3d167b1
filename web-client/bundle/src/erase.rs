//! Turns TypeScript into JavaScript by erasing its types: each becomes spaces, so that everything else keeps its line and its column.
//!
//! ```text
//!  at(seq: number): Moment<View> { return this.#past!.at(seq) as Moment<View>; }
//!  at(seq        )               { return this.#past .at(seq)                ; }
//! ```
//!
//! Only syntax that can be erased is known here. The result is parsed as JavaScript, so any other syntax of TypeScript (an `enum`, a parameter
//! that is a property, an overload) is refused, and so is a type whose removal would join two statements.

use std::ops::Range;

use anyhow::{Result, bail, ensure};
use oxc_allocator::{Allocator, Vec as ArenaVec};
use oxc_ast::ast::{
    Class, ClassElement, Declaration, FormalParameter, ImportOrExportKind, MethodDefinition, Program,
    PropertyDefinition, Statement, TSAsExpression, TSNonNullExpression, TSSatisfiesExpression, TSTypeAnnotation,
    TSTypeParameterDeclaration, TSTypeParameterInstantiation, VariableDeclarator,
};
use oxc_ast_visit::{Visit, walk};
use oxc_diagnostics::Diagnostics;
use oxc_parser::Parser;
use oxc_span::{GetSpan, SourceType};

/// Words before a member of a class that only the compiler reads.
const MODIFIERS: [&str; 5] = ["private", "protected", "public", "readonly", "override"];

/// Returns a module of TypeScript as JavaScript.
///
/// # Errors
///
/// The source is not TypeScript, or some of its syntax cannot be erased. The error shows the place.
pub fn erase(source: &str) -> Result<String> {
    let allocator = Allocator::default();
    let program = parse(&allocator, source, SourceType::ts())?;
    let mut types = Types { source, ranges: Vec::new(), statements: 0 };
    types.visit_program(&program);
    let erased = blank(source, types.ranges);
    let javascript = match parse(&allocator, &erased, SourceType::mjs()) {
        Ok(javascript) => javascript,
        Err(error) => {
            bail!("only types that can be erased are allowed, and this is not JavaScript without them: {error}")
        }
    };
    let mut statements = Statements(0);
    statements.visit_program(&javascript);
    ensure!(
        statements.0 == types.statements,
        "without its types, the module has {} statements and members instead of {}: end each with a semicolon",
        statements.0,
        types.statements
    );
    Ok(erased)
}

/// Parses a module.
pub(crate) fn parse<'a>(allocator: &'a Allocator, source: &'a str, kind: SourceType) -> Result<Program<'a>> {
    let parsed = Parser::new(allocator, source, kind).parse();
    fail_on(parsed.diagnostics, source)?;
    Ok(parsed.program)
}

/// Fails if there are diagnostics, with all of them and the lines that they are about.
pub(crate) fn fail_on(diagnostics: Diagnostics, source: &str) -> Result<()> {
    let told =
        diagnostics.into_vec().into_iter().map(|diagnostic| diagnostic.render_with_source_code(source.to_owned()));
    let told = told.collect::<Vec<_>>().join("\n");
    ensure!(told.is_empty(), "{told}");
    Ok(())
}

/// Replaces ranges of a text by spaces of the same width, but leaves none at the end of a line.
fn blank(source: &str, mut ranges: Vec<Range<usize>>) -> String {
    ranges.sort_by_key(|range| range.start);
    let mut text = String::with_capacity(source.len());
    let mut ranges = ranges.into_iter().peekable();
    let mut end = 0;
    let mut is_erased = false;
    for (at, character) in source.char_indices() {
        while let Some(range) = ranges.next_if(|range| range.start <= at) {
            end = end.max(range.end);
        }
        if character == '\n' {
            if is_erased {
                text.truncate(text.trim_end_matches(' ').len());
            }
            text.push('\n');
            is_erased = at < end;
        } else if at < end {
            text.extend(std::iter::repeat_n(' ', character.len_utf16()));
            is_erased = true;
        } else {
            text.push(character);
            is_erased &= character == ' ';
        }
    }
    text
}

/// A visitor that finds the syntax that only the compiler needs.
struct Types<'s> {
    source: &'s str,
    ranges: Vec<Range<usize>>,
    /// Statements and members of classes that stay.
    statements: usize,
}

impl Types<'_> {
    fn erase(&mut self, from: u32, to: u32) {
        self.ranges.push(from as usize..to as usize);
    }

    /// Erases a mark, as in `name?: string`, that follows `from`, with only spaces between.
    fn erase_mark(&mut self, from: u32, mark: char) {
        let rest = &self.source[from as usize..];
        let trimmed = rest.trim_start();
        if trimmed.starts_with(mark) {
            let at = from as usize + rest.len() - trimmed.len();
            self.ranges.push(at..at + mark.len_utf8());
        }
    }

    /// Erases the words between `from` and `to` that say who may use a member, and how.
    fn erase_modifiers(&mut self, from: u32, to: u32) {
        let words = &self.source[from as usize..to as usize];
        for word in words.split_whitespace().filter(|word| MODIFIERS.contains(word)) {
            let at = from as usize + (word.as_ptr() as usize - words.as_ptr() as usize);
            self.ranges.push(at..at + word.len());
        }
    }
}

impl<'a> Visit<'a> for Types<'_> {
    fn visit_statements(&mut self, statements: &ArenaVec<'a, Statement<'a>>) {
        for statement in statements {
            if is_type(statement) {
                self.erase(statement.span().start, statement.span().end);
            } else {
                self.statements += 1;
                self.visit_statement(statement);
            }
        }
    }

    fn visit_class(&mut self, class: &Class<'a>) {
        if !class.implements.is_empty() {
            let name = class.id.as_ref().map_or(class.span.start, |id| id.span.end);
            let parameters = class.type_parameters.as_ref().map_or(name, |parameters| parameters.span.end);
            let heritage = class.heritage.as_ref().map_or(parameters, |heritage| {
                heritage.type_arguments.as_ref().map_or(heritage.expression.span().end, |arguments| arguments.span.end)
            });
            self.erase(heritage, class.body.span.start);
        }
        walk::walk_class(self, class);
    }

    fn visit_ts_class_implements_list(&mut self, _: &ArenaVec<'a, oxc_ast::ast::TSClassImplements<'a>>) {}

    fn visit_class_elements(&mut self, elements: &ArenaVec<'a, ClassElement<'a>>) {
        for element in elements {
            match element {
                ClassElement::PropertyDefinition(property) if property.declare => {
                    self.erase(property.span.start, property.span.end);
                }
                ClassElement::TSIndexSignature(signature) => self.erase(signature.span.start, signature.span.end),
                _ => {
                    self.statements += 1;
                    self.visit_class_element(element);
                }
            }
        }
    }

    fn visit_property_definition(&mut self, property: &PropertyDefinition<'a>) {
        self.erase_modifiers(property.span.start, property.key.span().start);
        if property.optional || property.definite {
            self.erase_mark(property.key.span().end, if property.optional { '?' } else { '!' });
        }
        walk::walk_property_definition(self, property);
    }

    fn visit_method_definition(&mut self, method: &MethodDefinition<'a>) {
        self.erase_modifiers(method.span.start, method.key.span().start);
        walk::walk_method_definition(self, method);
    }

    fn visit_formal_parameter(&mut self, parameter: &FormalParameter<'a>) {
        if parameter.optional {
            self.erase_mark(parameter.pattern.span().end, '?');
        }
        walk::walk_formal_parameter(self, parameter);
    }

    fn visit_variable_declarator(&mut self, variable: &VariableDeclarator<'a>) {
        if variable.definite {
            self.erase_mark(variable.id.span().end, '!');
        }
        walk::walk_variable_declarator(self, variable);
    }

    fn visit_ts_type_annotation(&mut self, annotation: &TSTypeAnnotation<'a>) {
        self.erase(annotation.span.start, annotation.span.end);
    }

    fn visit_ts_type_parameter_declaration(&mut self, parameters: &TSTypeParameterDeclaration<'a>) {
        self.erase(parameters.span.start, parameters.span.end);
    }

    fn visit_ts_type_parameter_instantiation(&mut self, arguments: &TSTypeParameterInstantiation<'a>) {
        self.erase(arguments.span.start, arguments.span.end);
    }

    fn visit_ts_as_expression(&mut self, it: &TSAsExpression<'a>) {
        self.erase(it.expression.span().end, it.span.end);
        self.visit_expression(&it.expression);
    }

    fn visit_ts_satisfies_expression(&mut self, it: &TSSatisfiesExpression<'a>) {
        self.erase(it.expression.span().end, it.span.end);
        self.visit_expression(&it.expression);
    }

    fn visit_ts_non_null_expression(&mut self, it: &TSNonNullExpression<'a>) {
        self.erase(it.expression.span().end, it.span.end);
        self.visit_expression(&it.expression);
    }
}

/// Returns whether nothing of a statement is left without its types.
fn is_type(statement: &Statement<'_>) -> bool {
    match statement {
        Statement::TSTypeAliasDeclaration(_)
        | Statement::TSInterfaceDeclaration(_)
        | Statement::TSGlobalDeclaration(_) => true,
        Statement::ImportDeclaration(import) => import.import_kind == ImportOrExportKind::Type,
        Statement::ExportNamedDeclaration(export) => export.export_kind == ImportOrExportKind::Type,
        Statement::ExportFromDeclaration(export) => export.export_kind == ImportOrExportKind::Type,
        Statement::ExportDeclaration(export) => {
            matches!(
                export.declaration,
                Declaration::TSTypeAliasDeclaration(_) | Declaration::TSInterfaceDeclaration(_)
            )
        }
        _ => false,
    }
}

/// Counts the statements and the members of classes.
struct Statements(usize);

impl<'a> Visit<'a> for Statements {
    fn visit_statements(&mut self, statements: &ArenaVec<'a, Statement<'a>>) {
        self.0 += statements.len();
        walk::walk_statements(self, statements);
    }

    fn visit_class_elements(&mut self, elements: &ArenaVec<'a, ClassElement<'a>>) {
        self.0 += elements.len();
        walk::walk_class_elements(self, elements);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_become_spaces_and_all_else_keeps_its_place() {
        let source = "\
import type { Log } from \"./log.js\";
export interface Named { name: string }
type Key<T> = keyof T;
export class Room<View = any> extends Base<View> implements Named, Other {
  declare base: Log;
  [name: string]: unknown;
  private static readonly ü: Map<string, Log>;
  override name?: string = \"name\";
  at(seq: number, log?: Log): Moment<View> | undefined {
    return this.#past!.at<View>(seq as unknown as 1) satisfies {
      a: 1;
    };
  }
  #all = async <T>(first: T, ...rest: T[]): Promise<T[]> => [first, ...rest];
}
let later!: (a: string) => void;
export { type } from \"./type.js\";
";
        let erased = "


export class Room             extends Base                               {


          static          ü                  ;
           name          = \"name\";
  at(seq        , log      )                           {
    return this.#past .at      (seq                )

     ;
  }
  #all = async    (first   , ...rest     )               => [first, ...rest];
}
let later                      ;
export { type } from \"./type.js\";
";
        assert_eq!(erase(source).unwrap(), erased);
    }

    #[test]
    fn strings_and_templates_stay_as_they_are() {
        let source =
            "const text: string = `a as b   \n  ${one as string}  \n: number`; // x: number\nconst é = \"a!: b\";\n";
        assert_eq!(
            erase(source).unwrap(),
            source.replace(": string ", "         ").replace(" as string}", "          }")
        );
    }

    #[test]
    fn syntax_that_cannot_be_erased_is_refused() {
        for source in [
            "enum Kind { One }",
            "namespace Kind { export const one = 1; }",
            "class One { constructor(private one: number) {} }",
            "abstract class One {}",
            "function one(a: string): void;\nfunction one(a: unknown) {}",
            "function one(this: Window) {}",
            "import { type One, two } from \"./one.js\";",
            "import one = require(\"one\");",
            "const one = <string>two;",
            "const one = (a: string):\n  string => a;",
            "export = one;",
        ] {
            assert!(erase(source).is_err(), "{source}");
        }
    }

    #[test]
    fn a_type_that_parts_two_statements_is_refused() {
        let error = erase("const one = two\ntype Three = 3\n(four)").unwrap_err().to_string();
        assert!(error.contains("semicolon"), "{error}");
        assert!(erase("class One {\n  one = two\n  declare three: 3\n  [four] = 4;\n}").is_err());
        assert!(erase("const one = two;\ntype Three = 3\n(four)").is_ok());
    }

    #[test]
    fn an_error_shows_its_line() {
        let error = erase("const one = 1;\nconst two: = 2;\n").unwrap_err().to_string();
        assert!(error.contains("const two: = 2;"), "{error}");
    }
}
