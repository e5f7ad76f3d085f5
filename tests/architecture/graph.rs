//! Who depends on whom, from `cargo metadata`.
//!
//! The manifests decide which crate can name which; a `use` that the sources avoid today cannot
//! compile tomorrow when the dependency is not there. It must not know the sources.

use std::process::Command;

use serde_json::Value;

use crate::source::root;

const CORE: &str = "vigie-core";
const FACADE: &str = "vigie";

/// Dependencies that come with their default features, and why.
const WITH_DEFAULTS: &[(&str, &str)] = &[
    ("regex", "users write the patterns: Unicode classes and every optimisation belong to it"),
    ("regex-syntax", "reads the same patterns as regex"),
    ("assert_cmd", "tests only"),
    ("insta", "tests only"),
    ("tempfile", "tests only"),
];

/// Crates that one package alone may depend on, in its product code.
const OWNED: &[(&str, &str)] = &[
    ("hyper", CORE),
    ("hyper-util", CORE),
    ("libloading", CORE),
    ("prometheus", CORE),
    ("granit-parser", CORE),
    ("reqwest", "vigie-webhook"),
    ("lettre", "vigie-email"),
    ("bollard", "vigie-docker"),
    ("zbus", "vigie-host"),
    ("clap", FACADE),
    ("anyhow", FACADE),
];

/// A workspace member and what it declares.
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) manifest: String,
    pub(crate) dependencies: Vec<Dependency>,
}

/// One line of a `[dependencies]` table.
pub(crate) struct Dependency {
    pub(crate) name: String,
    /// Not a development or build dependency.
    pub(crate) product: bool,
    pub(crate) default_features: bool,
    /// Where it lies, for one of ours.
    pub(crate) path: Option<String>,
    /// Where it is fetched from, for one of others.
    pub(crate) source: Option<String>,
}

/// What `cargo metadata` says of this workspace.
pub(crate) fn packages() -> Vec<Package> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--no-deps", "--offline"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    metadata["packages"].as_array().unwrap().iter().map(package).collect()
}

fn package(json: &Value) -> Package {
    let text = |json: &Value| json.as_str().map(str::to_owned);
    let dependencies = json["dependencies"].as_array().unwrap().iter().map(|json| Dependency {
        name: text(&json["name"]).unwrap(),
        product: json["kind"].is_null(),
        default_features: json["uses_default_features"] == true,
        path: text(&json["path"]),
        source: text(&json["source"]),
    });
    Package {
        name: text(&json["name"]).unwrap(),
        manifest: text(&json["manifest_path"]).unwrap(),
        dependencies: dependencies.collect(),
    }
}

/// A line for every dependency that should not be.
pub(crate) fn broken(packages: &[Package]) -> Vec<String> {
    let ours: Vec<&str> = packages.iter().map(|package| package.name.as_str()).collect();
    let mut lines = Vec::new();
    for package in packages {
        for dependency in &package.dependencies {
            let reasons = [
                layering(package, dependency, &ours),
                ownership(package, dependency),
                defaults(dependency),
                origin(dependency),
            ];
            let line = |reason| format!("{} -> {}: {reason}", package.name, dependency.name);
            lines.extend(reasons.into_iter().flatten().map(line));
        }
    }
    lines
}

fn layering(package: &Package, dependency: &Dependency, ours: &[&str]) -> Option<String> {
    let wanted = match package.name.as_str() {
        CORE => "core depends on no other crate of the workspace",
        _ => "of the workspace only core may be named here; the facade alone names plugins",
    };
    let free = package.name == FACADE || !dependency.product;
    let fine = free || !ours.contains(&dependency.name.as_str()) || dependency.name == CORE;
    (!fine).then(|| wanted.to_owned())
}

fn ownership(package: &Package, dependency: &Dependency) -> Option<String> {
    let (_, owner) = OWNED.iter().find(|(name, _)| *name == dependency.name)?;
    (dependency.product && package.name != *owner).then(|| format!("belongs to {owner} alone"))
}

fn defaults(dependency: &Dependency) -> Option<String> {
    let listed = WITH_DEFAULTS.iter().any(|(name, _)| *name == dependency.name);
    // Our own crates have no default features but core, which has them for those who embed it.
    let ours = dependency.path.is_some() && dependency.name != CORE;
    let fine = !dependency.default_features || listed || ours;
    (!fine).then(|| "takes default features; name what is needed instead".to_owned())
}

fn origin(dependency: &Dependency) -> Option<String> {
    let inside = match (&dependency.path, &dependency.source) {
        (Some(path), _) => path.starts_with(&*root().to_string_lossy()),
        (None, Some(source)) => source.starts_with("registry+"),
        (None, None) => false,
    };
    (!inside).then(|| "comes from outside the repository and the registry".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(package: &str, dependency: &str) -> Package {
        let ours = dependency.starts_with("vigie");
        let dependency = Dependency {
            name: dependency.to_owned(),
            product: true,
            default_features: false,
            path: ours.then(|| root().join("x").to_string_lossy().into_owned()),
            source: (!ours).then(|| "registry+https://example.org".to_owned()),
        };
        Package {
            name: package.to_owned(),
            manifest: String::new(),
            dependencies: vec![dependency],
        }
    }

    fn lines(package: Package) -> Vec<String> {
        let mut all: Vec<Package> =
            ["vigie", "vigie-host", "vigie-docker", "vigie-core"].map(bare).into();
        all.push(package);
        broken(&all)
    }

    fn bare(name: &str) -> Package {
        Package { name: name.to_owned(), manifest: String::new(), dependencies: Vec::new() }
    }

    #[test]
    fn a_forbidden_edge_is_named() {
        for (package, dependency) in [
            ("vigie-core", "vigie-host"),
            ("vigie-host", "vigie-docker"),
            ("vigie-webhook", "hyper"),
            ("vigie-docker", "reqwest"),
        ] {
            let lines = lines(made(package, dependency));
            assert_eq!(lines.len(), 1, "{package} -> {dependency}: {lines:?}");
        }
    }

    #[test]
    fn the_edges_of_the_plan_are_fine() {
        for (package, dependency) in
            [("vigie", "vigie-host"), ("vigie-host", "vigie-core"), ("vigie-core", "hyper")]
        {
            assert_eq!(lines(made(package, dependency)), [""; 0]);
        }
    }

    #[test]
    fn default_features_and_strange_origins_are_named() {
        let mut package = made("vigie-host", "libc");
        package.dependencies[0].default_features = true;
        package.dependencies[0].source = Some("git+https://example.org".to_owned());
        assert_eq!(lines(package).len(), 2);
    }
}
