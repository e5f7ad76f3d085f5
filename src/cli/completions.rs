//! `vigie completions`: scripts for the shells.
//!
//! Made from the same command as the parser, so they know every flag. It must not know any shell.

use std::process::ExitCode;

use clap::ArgMatches;
use vigie::Catalogue;

use super::command::command;
use super::terminal::print;

pub(crate) fn run(matches: &ArgMatches, catalogue: &Catalogue) -> anyhow::Result<ExitCode> {
    let shell = matches.get_one::<clap_complete::Shell>("shell").copied();
    let mut script = Vec::new();
    if let Some(shell) = shell {
        clap_complete::generate(shell, &mut command(catalogue), "vigie", &mut script);
    }
    print(&script)?;
    Ok(ExitCode::SUCCESS)
}
