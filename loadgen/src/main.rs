//! The command line of the load generator.

mod cli;

fn main() -> std::process::ExitCode {
    cli::main()
}
