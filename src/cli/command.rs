//! The words vigie understands, made from the catalogue.
//!
//! No flag of a collector is spelled here: they come from the definitions, so that help, parser
//! and completions cannot disagree with the code. It must not know what a flag does.

use clap::{Arg, ArgAction, ArgMatches, Command, builder::PossibleValuesParser};
use vigie::core::config::{FlagDef, FlagKind};
use vigie::{Catalogue, Given};

const ABOUT: &str =
    "Sees a host, its containers and its access logs, holds service levels, routes alerts.";

const AFTER: &str = "\
Without a command vigie serves: metrics on :9100, alerts and their view on :9094.

Examples:
  vigie                                     everything, with no configuration
  vigie --accesslog.file /var/log/traefik/access.log
  vigie collect | promtool check metrics    one scrape, on stdout
  vigie collect --list                      what is on, and what it finds here
  vigie sla access.log                      service levels of a log, offline
  vigie check config vigie.yml              before a reload";

/// The whole command.
pub(crate) fn command(catalogue: &Catalogue) -> Command {
    let root = Command::new("vigie")
        .version(env!("CARGO_PKG_VERSION"))
        .about(ABOUT)
        .after_help(AFTER)
        .args_conflicts_with_subcommands(true)
        .subcommand_required(false)
        .args(log_args());
    with_settings(root, catalogue)
        .subcommand(with_settings(
            Command::new("serve")
                .about("Serve metrics and alerts until told to stop (the default)"),
            catalogue,
        ))
        .subcommand(with_settings(collect(), catalogue))
        .subcommand(check())
        .subcommands(cfg!(feature = "accesslog").then(sla))
        .subcommand(
            Command::new("completions").about("Print shell completions").arg(
                Arg::new("shell")
                    .required(true)
                    .value_name("SHELL")
                    .value_parser(clap::value_parser!(clap_complete::Shell)),
            ),
        )
}

fn log_args() -> [Arg; 2] {
    [
        Arg::new("log.level")
            .long("log.level")
            .global(true)
            .overrides_with("log.level")
            .value_name("LEVEL")
            .value_parser(PossibleValuesParser::new(["debug", "info", "warn", "error"]))
            .ignore_case(true)
            .default_value("info")
            .help("Only log messages of this level or above"),
        Arg::new("log.format")
            .long("log.format")
            .global(true)
            .overrides_with("log.format")
            .value_name("FORMAT")
            .value_parser(PossibleValuesParser::new(["logfmt", "json"]))
            .default_value("logfmt")
            .help("Form of log messages"),
    ]
}

fn collect() -> Command {
    Command::new("collect")
        .about("Print one scrape, or what each collector finds here")
        .arg(
            Arg::new("list")
                .long("list")
                .action(ArgAction::SetTrue)
                .help("A table instead: name, on or off, result, what it reads"),
        )
        .arg(
            Arg::new("verbose")
                .long("verbose")
                .action(ArgAction::SetTrue)
                .requires("list")
                .help("With --list: explain what is found on this host, and what is missing"),
        )
        .arg(output(&["text", "json"], "Form of the table"))
        .arg(
            Arg::new("exposition")
                .long("exposition")
                .value_name("FORMAT")
                .value_parser(PossibleValuesParser::new(["text", "openmetrics"]))
                .default_value("text")
                .help("Format of the scrape"),
        )
}

fn check() -> Command {
    let file = |name: &'static str, about: &'static str| {
        Command::new(name).about(about).arg(files("FILE"))
    };
    Command::new("check")
        .about("Check files before vigie reads them")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(file("config", "Check vigie.yml"))
        .subcommand(file("alertmanager", "Check alertmanager.yml"))
        .subcommand(file("web-config", "Check a web configuration file: TLS, users, headers"))
}

fn sla() -> Command {
    Command::new("sla")
        .about("Service levels of access logs: shares, percentiles, errors")
        .after_help("Exit code: 0 all objectives met, 1 one is broken, 2 the input is unusable.")
        .arg(files("FILE").help("Access logs, also .gz; - reads standard input"))
        .arg(
            Arg::new("format")
                .long("format")
                .value_name("FORMAT")
                .default_value("auto")
                .help("Format of the lines: auto, traefik-json, traefik-clf"),
        )
        .arg(output(&["text", "json"], "Form of the report"))
        .arg(config_file().help("A vigie.yml whose objectives (section slo) are judged"))
}

fn files(name: &'static str) -> Arg {
    Arg::new("files").required(true).num_args(1..).value_name(name)
}

fn output(forms: &[&'static str], help: &'static str) -> Arg {
    Arg::new("output")
        .long("output")
        .value_name("FORM")
        .value_parser(PossibleValuesParser::new(forms.to_vec()))
        .default_value("text")
        .help(help)
}

fn config_file() -> Arg {
    Arg::new("config.file").long("config.file").value_name("FILE").help("A vigie.yml")
}

/// Adds everything that `vigie.yml` can say too.
fn with_settings(command: Command, catalogue: &Catalogue) -> Command {
    let mut command = command.arg(config_file()).arg(
        Arg::new("plugin")
            .long("plugin")
            .value_name("FILE")
            .action(ArgAction::Append)
            .help("Load a collector plugin (.so); repeatable"),
    );
    for (heading, def) in catalogue.flags() {
        command = command.args(args_of(def.name, &def, heading));
    }
    for (plugin, info) in catalogue.collectors() {
        let name = format!("collector.{}", info.name);
        let state = if info.enabled { "on" } else { "off" };
        let help = format!("{} [default: {state}]", info.help);
        command = command.args(switch(&name, &help, plugin));
    }
    command
}

fn args_of(name: &str, def: &FlagDef, heading: &str) -> Vec<Arg> {
    let shown_default =
        if def.default.is_empty() { String::new() } else { format!(" [default: {}]", def.default) };
    let help = format!("{}{shown_default}", def.help);
    if def.kind == FlagKind::Switch {
        return switch(name, &help, heading);
    }
    let action = if def.kind == FlagKind::List { ArgAction::Append } else { ArgAction::Set };
    let arg = Arg::new(name.to_owned())
        .long(name.to_owned())
        .aliases(def.aliases.iter().copied())
        .value_name("VALUE")
        .allow_hyphen_values(true)
        .action(action)
        .help(help)
        .help_heading(heading.to_owned());
    // node_exporter refuses a flag that is given twice; a unit's line may be continued here.
    vec![if def.kind == FlagKind::Text { arg.overrides_with(name.to_owned()) } else { arg }]
}

/// `--name` and its hidden opposite `--no-name`; the last one counts.
fn switch(name: &str, help: &str, heading: &str) -> Vec<Arg> {
    let opposite = format!("no-{name}");
    let yes = Arg::new(name.to_owned())
        .long(name.to_owned())
        .action(ArgAction::SetTrue)
        .overrides_with_all([name.to_owned(), opposite.clone()])
        .help(help.to_owned())
        .help_heading(heading.to_owned());
    let no = Arg::new(opposite.clone())
        .long(opposite.clone())
        .action(ArgAction::SetTrue)
        .overrides_with_all([name.to_owned(), opposite])
        .hide(true);
    vec![yes, no]
}

/// The flags a user gave, by name.
pub(crate) fn given(matches: &ArgMatches, catalogue: &Catalogue) -> Given {
    let mut given = Given::new();
    let mut take = |name: &str, is_switch: bool| {
        if is_switch {
            let on = matches.get_flag(name);
            if on || matches.get_flag(&format!("no-{name}")) {
                given.insert(name.to_owned(), vec![on.to_string()]);
            }
        } else if let Some(values) = matches.get_many::<String>(name) {
            given.insert(name.to_owned(), values.cloned().collect());
        }
    };
    for (_, def) in catalogue.flags() {
        take(def.name, def.kind == FlagKind::Switch);
    }
    for (_, info) in catalogue.collectors() {
        take(&format!("collector.{}", info.name), true);
    }
    given
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<Given, clap::Error> {
        let catalogue = Catalogue::bundled();
        let words = std::iter::once("vigie").chain(words.iter().copied());
        let matches = command(&catalogue).try_get_matches_from(words)?;
        let (_, inner) = matches.subcommand().unwrap_or(("serve", &matches));
        Ok(given(inner, &catalogue))
    }

    #[test]
    fn the_command_is_consistent() {
        let catalogue = Catalogue::bundled();
        command(&catalogue).debug_assert();
    }

    #[test]
    fn both_spellings_of_a_value_work() {
        let given = parse(&["--web.listen-address=:1", "--web.listen-address", ":2"]).unwrap();
        assert_eq!(given["web.listen-address"], [":1", ":2"]);
        assert!(parse(&[]).unwrap().is_empty());
    }

    #[test]
    #[cfg(feature = "host")]
    fn of_a_switch_and_its_opposite_the_last_one_counts() {
        let given = parse(&["serve", "--collector.cpu", "--no-collector.cpu"]).unwrap();
        assert_eq!(given["collector.cpu"], ["false"]);
        let given = parse(&["collect", "--no-collector.cpu", "--collector.cpu"]).unwrap();
        assert_eq!(given["collector.cpu"], ["true"]);
    }

    #[test]
    fn levels_of_the_log_are_read_as_node_exporter_reads_them() {
        let words = ["vigie", "serve", "--log.level=WARN", "--log.level=Error"];
        let matches = command(&Catalogue::bundled()).try_get_matches_from(words).unwrap();
        let level: &String = matches.get_one("log.level").unwrap();
        assert_eq!(level.parse().ok(), Some(tracing_subscriber::filter::LevelFilter::ERROR));
    }

    #[test]
    fn unknown_flags_name_the_nearest() {
        let error = parse(&["--web.listen-adress=:1"]).unwrap_err().to_string();
        assert!(error.contains("web.listen-address"), "{error}");
    }
}
