//! The bundled binary: parse, run, exit code.

mod cli;

fn main() -> std::process::ExitCode {
    cli::run()
}
