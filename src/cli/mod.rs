//! The command line: one file per subcommand.
//!
//! What a flag means is declared where it is used; here words become [`vigie`]'s settings and
//! results become text. It must not know what a collector or a notifier does.

mod check;
mod collect;
mod command;
mod completions;
mod explain;
mod log;
#[cfg(feature = "accesslog")]
mod progress;
mod serve;
#[cfg(feature = "accesslog")]
mod sla;
mod storage;
mod terminal;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::ArgMatches;
use vigie::{Builder, Catalogue, Vigie};

/// Runs the program.
pub(crate) fn run() -> ExitCode {
    // One provider for the whole graph; a second call would only say that there is one.
    drop(rustls::crypto::ring::default_provider().install_default());
    let arguments: Vec<OsString> = std::env::args_os().collect();
    match dispatch(&arguments) {
        Ok(code) => code,
        Err(error) => {
            terminal::error(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn dispatch(arguments: &[OsString]) -> anyhow::Result<ExitCode> {
    let catalogue = catalogue(arguments)?;
    let mut matches = match command::command(&catalogue).try_get_matches_from(arguments) {
        Ok(matches) => matches,
        Err(error) => {
            // Help and version are answers, anything else is a mistake: clap knows which.
            drop(error.print());
            return Ok(ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2)));
        }
    };
    let stays = matches.subcommand_name().is_none_or(|name| name == "serve");
    log::install(&matches, stays)?;
    let (name, matches) =
        matches.remove_subcommand().unwrap_or_else(|| ("serve".to_owned(), matches));
    match name.as_str() {
        "serve" => {
            let start = settings(&matches, catalogue);
            // A quarter of a megabyte that nobody reads again, for as long as the node is up.
            drop(matches);
            serve::run(start)
        }
        "collect" => collect::run(&matches, settings(&matches, catalogue)),
        "check" => check::run(&matches),
        #[cfg(feature = "accesslog")]
        "sla" => sla::run(&matches),
        "completions" => completions::run(&matches, &catalogue),
        other => anyhow::bail!("no such command: {other}"),
    }
}

/// What `serve` and `collect` were given.
struct Start {
    builder: Builder,
}

fn settings(matches: &ArgMatches, catalogue: Catalogue) -> Start {
    let given = command::given(matches, &catalogue);
    let mut builder = Vigie::builder().catalogue(catalogue).flags(given);
    if let Some(path) = matches.get_one::<String>("config.file") {
        builder = builder.config_file(path);
    }
    Start { builder }
}

/// The bundled plugins and those of `--plugin` and the file's section `plugins`, which bring flags
/// of their own and so have to be loaded before the command line can be understood.
fn catalogue(arguments: &[OsString]) -> anyhow::Result<Catalogue> {
    let mut files: Vec<PathBuf> = values_of(arguments, "plugin").map(PathBuf::from).collect();
    if let Some(path) = values_of(arguments, "config.file").last() {
        files.extend(vigie::plugin_files(&vigie::read_config(Path::new(&path))?)?);
    }
    let mut catalogue = Catalogue::bundled();
    files.iter().try_for_each(|file| catalogue.load(file))?;
    Ok(catalogue)
}

/// The values of `--name VALUE` and `--name=VALUE`, before the real parsing.
fn values_of<'a>(
    arguments: &'a [OsString],
    name: &'static str,
) -> impl Iterator<Item = OsString> + 'a {
    let known = arguments.iter().enumerate().filter_map(|(at, word)| Some((at, word.to_str()?)));
    known.filter_map(move |(at, word)| {
        let rest = word.strip_prefix("--")?.strip_prefix(name)?;
        match rest.strip_prefix('=') {
            Some(value) => Some(value.into()),
            None if rest.is_empty() => arguments.get(at + 1).cloned(),
            None => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plugins_are_found_before_the_parsing() {
        let words =
            ["vigie", "--plugin", "a.so", "serve", "--plugin=b.so", "--plugins", "--plugin"];
        let words: Vec<OsString> = words.iter().map(OsString::from).collect();
        let found: Vec<OsString> = values_of(&words, "plugin").collect();
        assert_eq!(found, ["a.so", "b.so"]);
    }
}
