//! `vigie check`: every file a user writes, before vigie reads it.
//!
//! The same code reads the file as at the start, so what passes here starts. It must not know what
//! a key means.

use std::path::Path;
use std::process::ExitCode;

use clap::ArgMatches;
use vigie::{Catalogue, Error, Vigie};

use super::terminal::{Style, print, stdout_colour};

pub(crate) fn run(matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    let Some((kind, matches)) = matches.subcommand() else { return Ok(ExitCode::FAILURE) };
    let check = match kind {
        "alertmanager" => vigie::check_alertmanager_file,
        "web-config" => vigie::check_web_config_file,
        _ => check_config,
    };
    let colour = stdout_colour();
    let mut code = ExitCode::SUCCESS;
    let mut text = String::new();
    for file in matches.get_many::<String>("files").into_iter().flatten() {
        match check(Path::new(file)) {
            Ok(()) => text.push_str(&format!("{file}: {}\n", Style::Green.paint("ok", colour))),
            Err(error) => {
                code = ExitCode::FAILURE;
                let word = Style::Red.paint("refused", colour);
                text.push_str(&format!("{file}: {word}\n  {error}\n"));
            }
        }
    }
    print(text.as_bytes())?;
    Ok(code)
}

fn check_config(path: &Path) -> Result<(), Error> {
    let mut catalogue = Catalogue::bundled();
    for file in vigie::plugin_files(&vigie::read_config(path)?)? {
        catalogue.load(&file)?;
    }
    Vigie::builder().catalogue(catalogue).config_file(path).check()
}
