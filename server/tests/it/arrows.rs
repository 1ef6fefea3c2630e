//! The rooms and their arrows, as ARCHITECTURE.md draws them: which module names which, read from the syntax trees of all
//! sources, with the paths inside expressions and macros; and that no file names another one in a circle.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};
use syn::visit::{self, Visit};

/// Modules without a room: every room of the server may name them, and they name only each other.
const FLOOR: &[&str] = &["clock", "headers", "limits", "lock", "map"];

/// Each room of the server, with the rooms it may name.
const ROOMS: &[(&str, &[&str])] = &[
    ("net", &[]),
    ("engine", &[]),
    ("hub", &["engine"]),
    ("session", &["engine", "hub"]),
    ("transport", &["engine", "hub", "net", "session"]),
    ("pages", &["engine", "hub"]),
    ("http", &["engine", "hub", "net", "pages", "session", "transport"]),
    ("machine", &["engine", "hub"]),
    ("config", &["engine", "http"]),
    ("cli", &["config", "engine"]),
];

/// What a place must not name: what a room must not know.
const UNKNOWN: &[(&str, &[&str])] = &[
    ("app/src", &["tokio", "axum", "rusqlite", "hyper", "server", "frontend"]),
    ("app/src/wire", &["leptos", "web_sys"]),
    ("server/src/net", &["axum", "rusqlite", "leptos", "app"]),
    ("server/src/engine", &["axum", "hyper", "http", "leptos", "clap"]),
    ("server/src/hub", &["axum", "hyper", "http", "rusqlite", "leptos"]),
    ("server/src/session", &["axum", "hyper", "http", "rusqlite", "leptos"]),
    ("server/src/transport", &["hyper", "rusqlite", "leptos"]),
    ("server/src/pages", &["hyper", "rusqlite"]),
    ("server/src/http", &["rusqlite", "leptos", "clap"]),
    ("server/src/cli", &["axum", "hyper", "rusqlite", "leptos"]),
    ("frontend/src/machine", &["web_sys", "js_sys", "gloo_net", "wasm_bindgen", "leptos"]),
];

/// A module's path inside its crate; empty for the root.
type Module = Vec<String>;

/// One source file.
struct Source {
    file: PathBuf,
    module: Module,
    /// The modules it declares.
    children: BTreeSet<String>,
    /// Every path it names, with `crate`, `self` and `super` resolved to the root: `["crate", …]`, or of another crate.
    paths: Vec<Vec<String>>,
    /// Names that it makes available under its own path, with where they come from.
    reexports: BTreeMap<String, Vec<String>>,
}

/// The sources of a crate, by module.
struct Sources(BTreeMap<Module, Source>);

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

impl Sources {
    fn read(folder: &str) -> Self {
        let mut found = BTreeMap::new();
        let folder = root().join(folder);
        read_folder(&folder, &folder, &mut found);
        assert!(!found.is_empty(), "{} has sources", folder.display());
        Self(found)
    }

    /// The module in whose file an item of this crate is defined: re-exports are followed.
    fn file_of(&self, path: &[String]) -> Module {
        let (mut path, mut steps) = (path.to_vec(), 0);
        loop {
            let inside = &path[1..];
            let deepest = (0..=inside.len()).rev().find(|length| self.0.contains_key(&inside[..*length]));
            let module = inside[..deepest.expect("the root is a module")].to_vec();
            let origin = inside.get(module.len()).and_then(|name| self.0[&module].reexports.get(name));
            steps += 1;
            match origin {
                Some(origin) if origin[0] == "crate" && steps < 10 => {
                    path = origin.iter().chain(&inside[module.len() + 1..]).cloned().collect();
                }
                _ => return module,
            }
        }
    }

    /// The other files that a file names, but for those above and below it in the tree of modules.
    fn named_by(&self, source: &Source) -> BTreeSet<Module> {
        let ours = source.paths.iter().filter(|path| path[0] == "crate");
        let related = |other: &Module| other.starts_with(&source.module) || source.module.starts_with(other);
        ours.map(|path| self.file_of(path)).filter(|other| !related(other)).collect()
    }

    /// A circle of files, if there is one.
    fn circle(&self) -> Option<Vec<Module>> {
        let names: BTreeMap<_, _> = self.0.iter().map(|(module, source)| (module, self.named_by(source))).collect();
        let mut done = BTreeSet::new();
        self.0.keys().find_map(|module| circle_from(module, &names, &mut Vec::new(), &mut done))
    }
}

/// Looks for a circle by depth first search; `way` leads to the module.
fn circle_from(
    module: &Module,
    names: &BTreeMap<&Module, BTreeSet<Module>>,
    way: &mut Vec<Module>,
    done: &mut BTreeSet<Module>,
) -> Option<Vec<Module>> {
    if let Some(at) = way.iter().position(|known| known == module) {
        return Some(way[at..].to_vec());
    }
    if done.contains(module) {
        return None;
    }
    way.push(module.clone());
    let found = names[module].iter().find_map(|next| circle_from(next, names, way, done));
    way.pop();
    done.insert(module.clone());
    found
}

fn read_folder(root: &Path, folder: &Path, found: &mut BTreeMap<Module, Source>) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            read_folder(root, &path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") && !path.ends_with("main.rs") {
            let source = read_file(root, path);
            found.insert(source.module.clone(), source);
        }
    }
}

fn read_file(root: &Path, file: PathBuf) -> Source {
    let inside = file.strip_prefix(root).unwrap().with_extension("");
    let mut module: Module = inside.iter().map(|part| part.to_str().unwrap().to_owned()).collect();
    if ["mod", "lib"].contains(&module.last().unwrap().as_str()) {
        module.pop();
    }
    let text = fs::read_to_string(&file).unwrap();
    let tree = syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    parse(file, module, &tree)
}

fn parse(file: PathBuf, module: Module, tree: &syn::File) -> Source {
    let source = Source { file, module, children: BTreeSet::new(), paths: Vec::new(), reexports: BTreeMap::new() };
    let mut reader = Reader { source, inside: Vec::new() };
    for item in &tree.items {
        if let syn::Item::Mod(child) = item
            && child.content.is_none()
        {
            reader.source.children.insert(child.ident.to_string());
        }
    }
    reader.visit_file(tree);
    reader.source
}

/// Collects the paths of one file.
struct Reader {
    source: Source,
    /// Modules inside this file, around what is read.
    inside: Vec<String>,
}

impl Reader {
    /// A path from the root of the crate. `None` if it begins with a name that says nothing of where it is.
    fn absolute(&self, path: &[String]) -> Option<Vec<String>> {
        let mut base: Vec<String> = self.source.module.iter().chain(&self.inside).cloned().collect();
        let mut rest = path;
        match path.first()?.as_str() {
            "crate" => return Some(path.to_vec()),
            "self" => rest = &path[1..],
            "super" => {
                while rest.first().is_some_and(|part| part == "super") {
                    base.pop();
                    rest = &rest[1..];
                }
            }
            first if self.inside.is_empty() && self.source.children.contains(first) => {}
            _ => return Some(path.to_vec()),
        }
        Some(["crate".to_owned()].into_iter().chain(base).chain(rest.iter().cloned()).collect())
    }

    fn add(&mut self, path: &[String]) {
        self.source.paths.extend(self.absolute(path));
    }

    /// The paths of a `use`, each with the name it gets here.
    fn add_tree(&mut self, before: &[String], tree: &syn::UseTree, is_reexport: bool) {
        let with = |name: &syn::Ident| before.iter().cloned().chain([name.to_string()]).collect::<Vec<_>>();
        let (path, name) = match tree {
            syn::UseTree::Path(path) => return self.add_tree(&with(&path.ident), &path.tree, is_reexport),
            syn::UseTree::Group(group) => {
                return group.items.iter().for_each(|tree| self.add_tree(before, tree, is_reexport));
            }
            syn::UseTree::Glob(_) => return self.add(before),
            syn::UseTree::Name(name) if name.ident == "self" => (before.to_vec(), before.last().cloned()),
            syn::UseTree::Name(name) => (with(&name.ident), Some(name.ident.to_string())),
            syn::UseTree::Rename(rename) => (with(&rename.ident), Some(rename.rename.to_string())),
        };
        self.add(&path);
        if let (true, Some(name), Some(origin)) = (is_reexport, name, self.absolute(&path)) {
            self.source.reexports.insert(name, origin);
        }
    }
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        self.inside.push(item.ident.to_string());
        visit::visit_item_mod(self, item);
        self.inside.pop();
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        // Also a private `use` is a name that children may take from here.
        self.add_tree(&[], &item.tree, self.inside.is_empty());
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let parts: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        if parts.len() > 1 {
            self.add(&parts);
        }
        visit::visit_path(self, path);
    }

    /// A macro's input is not parsed: its paths are found in its text.
    fn visit_macro(&mut self, item: &'ast syn::Macro) {
        let text: String = item.tokens.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
        for word in text.replace(" :: ", "::").split(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')) {
            let parts: Vec<String> = word.split("::").map(str::to_owned).collect();
            if parts.len() > 1 && parts.iter().all(|part| !part.is_empty() && !part.contains(':')) {
                self.add(&parts);
            }
        }
        visit::visit_macro(self, item);
    }
}

#[test]
fn rooms_know_only_the_rooms_before_them() {
    let sources = Sources::read("server/src");
    let rooms: BTreeMap<_, _> = ROOMS.iter().copied().chain(FLOOR.iter().map(|place| (*place, &[][..]))).collect();
    for source in sources.0.values() {
        // The root wires them all.
        let Some(room) = source.module.first() else { continue };
        let allowed = rooms.get(room.as_str()).unwrap_or_else(|| panic!("{room} is a room; give it a line above"));
        for path in source.paths.iter().filter(|path| path[0] == "crate") {
            let Some(target) = path.get(1).filter(|target| sources.0.contains_key(&vec![(*target).clone()])) else {
                continue;
            };
            let may = target == room || FLOOR.contains(&target.as_str()) || allowed.contains(&target.as_str());
            assert!(may, "{} names crate::{target}; {room} may know {allowed:?}", source.file.display());
        }
    }
}

#[test]
fn the_wire_knows_nothing_else_of_the_app() {
    for source in
        Sources::read("app/src").0.values().filter(|source| source.module.first().is_some_and(|m| m == "wire"))
    {
        let outside = source.paths.iter().find(|path| path[0] == "crate" && path.get(1).is_some_and(|m| m != "wire"));
        assert_eq!(outside, None, "{}", source.file.display());
    }
}

#[test]
fn nobody_knows_what_is_not_theirs() {
    for (place, unknown) in UNKNOWN {
        for source in Sources::read(place).0.values() {
            for path in &source.paths {
                assert!(!unknown.contains(&path[0].as_str()), "{} names {path:?}", source.file.display());
            }
        }
    }
}

#[test]
fn no_file_names_another_in_a_circle() {
    for folder in ["server/src", "app/src", "frontend/src"] {
        let circle = Sources::read(folder)
            .circle()
            .map(|circle| circle.iter().map(|module| module.join("::")).collect::<Vec<_>>().join(" -> "));
        assert_eq!(circle, None, "in {folder}, each of these names the next, and the last the first");
    }
}

/// The sources of a crate that is written here.
fn written(files: &[(&str, &str)]) -> Sources {
    let parse = |(module, text): &(&str, &str)| {
        let module: Module = module.split("::").filter(|part| !part.is_empty()).map(str::to_owned).collect();
        (module.clone(), parse(PathBuf::from("written"), module, &syn::parse_file(text).unwrap()))
    };
    Sources(files.iter().map(parse).collect())
}

#[test]
fn the_reader_of_arrows_sees_them() {
    let sources = written(&[
        ("", "mod a; mod b;"),
        ("a", "use crate::{b::{C, D as E}, f}; fn g() { super::b::h(); i!(x, crate::b::j::<u8>()); axum::serve(); }"),
        ("b", ""),
    ]);
    let paths: BTreeSet<String> = sources.0[&vec!["a".to_owned()]].paths.iter().map(|path| path.join("::")).collect();
    for path in ["crate::b::C", "crate::b::D", "crate::f", "crate::b::h", "crate::b::j", "axum::serve"] {
        assert!(paths.contains(path), "{path} in {paths:?}");
    }
}

#[test]
fn the_reader_of_arrows_sees_circles() {
    let circle = |files: &[(&str, &str)]| written(files).circle().map(|circle| circle.len());
    let root = ("", "mod a; mod b; mod c;");
    let plain = [root, ("a", "use crate::b::B;"), ("b", "use crate::c::C;"), ("c", "")];
    assert_eq!(circle(&plain), None);
    assert_eq!(circle(&[plain[0], plain[1], plain[2], ("c", "fn c() { crate::a::a() }")]), Some(3));
    // Through a name that a parent gives on, and not through the parent alone.
    let parent = ("", "mod a; mod b; pub use b::B;");
    assert_eq!(circle(&[parent, ("a", "use super::B;"), ("b", "use super::a::A;")]), Some(2));
    assert_eq!(circle(&[parent, ("a", "use super::B;"), ("b", "")]), None);
}
