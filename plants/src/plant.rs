//! One plant: a fault as a text that is found in the sources and another one that takes its place.

use std::fs;
use std::path::{Path, PathBuf};

/// A fault to be planted.
///
/// ```text
/// A client with a session can be forgotten.    the sentence says what it breaks
/// in sync/src                                  the folder whose files are searched
/// seeds 1000                                   the simulator alone must find it within so many seeds; may be left out
/// find                                         lines that stand once in the folder, however they are indented
///     ...
/// put                                          lines that take their place; more pairs may follow
///     ...
/// ```
#[derive(Debug)]
pub(crate) struct Plant {
    pub(crate) name: String,
    pub(crate) breaks: String,
    folder: PathBuf,
    pub(crate) seeds: Option<u64>,
    edits: Vec<Edit>,
}

#[derive(Debug, Default)]
struct Edit {
    find: Vec<String>,
    put: Vec<String>,
}

/// A file as the plant leaves it.
pub(crate) struct Planted {
    pub(crate) file: PathBuf,
    pub(crate) before: String,
    pub(crate) after: String,
}

impl Plant {
    /// All plants of the tree, in the order of their names.
    pub(crate) fn all(root: &Path) -> Result<Vec<Self>, String> {
        let folder = root.join("plants/faults");
        let mut files = files_below(&folder, "plant")?;
        files.sort();
        files.iter().map(|file| Self::read(file)).collect()
    }

    fn read(file: &Path) -> Result<Self, String> {
        let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let text = fs::read_to_string(file).map_err(|error| format!("{name}: {error}"))?;
        Self::parse(&name, &text).map_err(|why| format!("{name}: {why}"))
    }

    fn parse(name: &str, text: &str) -> Result<Self, String> {
        let mut lines = text.lines();
        let breaks = lines.next().ok_or("it is empty")?.to_owned();
        let (mut folder, mut seeds, mut edits) = (None, None, Vec::<Edit>::new());
        let mut is_finding = false;
        for line in lines {
            match (line, edits.last_mut()) {
                ("find", _) => {
                    edits.push(Edit::default());
                    is_finding = true;
                }
                ("put", Some(_)) => is_finding = false,
                (line, Some(edit)) if is_finding => edit.find.push(line.trim().to_owned()),
                (line, Some(edit)) => edit.put.push(line.to_owned()),
                (line, None) => match line.split_once(' ') {
                    Some(("in", path)) => folder = Some(PathBuf::from(path)),
                    Some(("seeds", count)) => {
                        seeds = Some(count.parse().map_err(|_| format!("{count} is not a number of seeds"))?);
                    }
                    _ => return Err(format!("not understood: {line}")),
                },
            }
        }
        if edits.is_empty() || edits.iter().any(|edit| edit.find.is_empty()) {
            return Err("there is nothing to find".to_owned());
        }
        let folder = folder.ok_or("no line says in which folder")?;
        Ok(Self { name: name.to_owned(), breaks, folder, seeds, edits })
    }

    /// Applies the plant to the tree at `root`, without writing anything.
    pub(crate) fn apply(&self, root: &Path) -> Result<Vec<Planted>, String> {
        let mut planted: Vec<Planted> = Vec::new();
        for edit in &self.edits {
            let (file, place) = self.place(root, edit, &planted)?;
            let known = planted.iter().position(|planted| planted.file == file);
            let index = match known {
                Some(index) => index,
                None => {
                    let before = read(&file)?;
                    planted.push(Planted { file, after: before.clone(), before });
                    planted.len() - 1
                }
            };
            let lines: Vec<&str> = planted[index].after.lines().collect();
            let put = edit.put.iter().map(String::as_str);
            let after: Vec<&str> = lines[..place]
                .iter()
                .copied()
                .chain(put)
                .chain(lines[place + edit.find.len()..].iter().copied())
                .collect();
            planted[index].after = after.join("\n") + "\n";
        }
        Ok(planted)
    }

    /// The one file and line where an edit finds its text.
    fn place(&self, root: &Path, edit: &Edit, planted: &[Planted]) -> Result<(PathBuf, usize), String> {
        let mut places = Vec::new();
        for file in files_below(&root.join(&self.folder), "rs")? {
            let changed = planted.iter().find(|planted| planted.file == file);
            let text = changed.map_or_else(|| read(&file), |planted| Ok(planted.after.clone()))?;
            let lines: Vec<&str> = text.lines().map(str::trim).collect();
            let found = lines.windows(edit.find.len()).enumerate().filter(|(_, window)| *window == edit.find);
            places.extend(found.map(|(line, _)| (file.clone(), line)));
        }
        match places.len() {
            1 => Ok(places.remove(0)),
            count => {
                Err(format!("{}: it stands {count} times in {}: {}", self.name, self.folder.display(), edit.find[0]))
            }
        }
    }
}

fn read(file: &Path) -> Result<String, String> {
    fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))
}

/// The files with this extension in a folder and those in it.
fn files_below(folder: &Path, extension: &str) -> Result<Vec<PathBuf>, String> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        for entry in entries {
            let path = entry.map_err(|error| format!("{}: {error}", folder.display()))?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|found| found == extension) {
                files.push(path);
            }
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The repository.
    fn root() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
    }

    #[test]
    fn every_plant_applies_and_changes_something() {
        let plants = Plant::all(&root()).unwrap();
        assert!(plants.len() >= 40, "there are {} plants", plants.len());
        let failed: Vec<String> = plants.iter().filter_map(|plant| plant.apply(&root()).err()).collect();
        assert!(failed.is_empty(), "these plants have to be brought up to date:\n{}", failed.join("\n"));
        for plant in plants {
            let planted = plant.apply(&root()).unwrap();
            assert!(planted.iter().all(|planted| planted.before != planted.after), "{} changes nothing", plant.name);
        }
    }

    #[test]
    fn a_plant_that_is_not_understood_says_why() {
        let error = |text: &str| Plant::parse("x", text).unwrap_err();
        assert_eq!(error(""), "it is empty");
        assert_eq!(error("It breaks."), "there is nothing to find");
        assert_eq!(error("It breaks.\nfind\na\nput\nb"), "no line says in which folder");
        assert_eq!(error("It breaks.\nin sync/src\nseeds many"), "many is not a number of seeds");
        assert_eq!(error("It breaks.\nelsewhere"), "not understood: elsewhere");
        let nowhere = Plant::parse("x", "It breaks.\nin plants/src\nfind\nno such line at all\nput\n").unwrap();
        assert!(nowhere.apply(&root()).err().unwrap().contains("stands 0 times"));
    }
}
