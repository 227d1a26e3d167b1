//! Files and functions are short enough to be read at once.

use reapply_tidy::workspace;

/// Lines of one file.
const FILE_LINES_MAX: usize = 500;

/// Lines of one function, from its name to its closing brace.
const FUNCTION_LINES_MAX: usize = 70;

#[test]
fn no_file_is_too_long() {
    let is_source = |path: &std::path::Path| {
        path.extension().is_some_and(|extension| ["rs", "js", "ts"].iter().any(|known| extension == *known))
    };
    let mut long = Vec::new();
    for file in workspace::files(&workspace::root(), &is_source) {
        let lines = std::fs::read_to_string(&file).unwrap().lines().count();
        if lines > FILE_LINES_MAX {
            long.push(format!("{} has {lines} lines", file.display()));
        }
    }
    assert!(long.is_empty(), "no file may have more than {FILE_LINES_MAX} lines: split by idea\n{}", long.join("\n"));
}

#[test]
fn no_function_is_too_long() {
    let mut long = Vec::new();
    for file in
        workspace::files(&workspace::root(), &|path| path.extension().is_some_and(|extension| extension == "rs"))
    {
        let text = std::fs::read_to_string(&file).unwrap();
        for (name, line, lines) in functions(&text) {
            if lines > FUNCTION_LINES_MAX {
                long.push(format!("{}:{line}: `{name}` has {lines} lines", file.display()));
            }
        }
    }
    assert!(long.is_empty(), "no function may have more than {FUNCTION_LINES_MAX} lines\n{}", long.join("\n"));
}

/// The name, the first line and the number of lines of each function. The code is formatted, so a function ends with the first brace at the
/// depth at which it begins.
fn functions(text: &str) -> Vec<(&str, usize, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut functions = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let depth = line.len() - line.trim_start().len();
        let Some(name) = function_name(line.trim_start()) else { continue };
        let is_end = |line: &&str| line.len() == depth + 1 && line.ends_with('}') && line.trim_start().len() == 1;
        let header_end = lines[index..].iter().find(|line| line.ends_with(['{', '}', ';']));
        if header_end.is_some_and(|line| line.ends_with('{'))
            && let Some(length) = lines[index..].iter().position(is_end)
        {
            functions.push((name, index + 1, length + 1));
        }
    }
    functions
}

fn function_name(line: &str) -> Option<&str> {
    let qualifiers = ["pub", "pub(crate)", "pub(super)", "const", "async", "unsafe", "extern", "\"C\""];
    let mut words = line.split(' ').skip_while(|word| qualifiers.contains(word));
    let name = words.next().filter(|word| *word == "fn").and_then(|_| words.next())?;
    name.split(['(', '<']).next()
}

#[test]
fn functions_are_found_and_measured() {
    let text = "impl A {\n    pub(crate) async fn first<T>(\n        a: T,\n    ) {\n        if a {\n        }\n    }\n    fn short() {}\n    fn declared();\n}\n";
    assert_eq!(functions(text), [("first", 2, 6)]);
}
