//! `completions` and `man`: generated from the arguments.

use clap::CommandFactory;

use crate::args::{Cli, Completions};
use crate::failure::{Answer, Failure};
use crate::output::Output;

pub(crate) fn completions(args: &Completions, output: &Output) -> Result<Answer, Failure> {
    let mut bytes = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "stagegate", &mut bytes);
    output.text(&String::from_utf8_lossy(&bytes))?;
    Ok(Answer::Yes)
}

/// Prints the page of the command, then one for each verb.
pub(crate) fn man(output: &Output) -> Result<Answer, Failure> {
    let failed = |error| Failure::io("cannot generate the manual page", &error);
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    let mut bytes = Vec::new();
    clap_mangen::Man::new(command.clone()).render(&mut bytes).map_err(failed)?;
    for verb in command.get_subcommands() {
        let page = clap_mangen::Man::new(verb.clone());
        page.render(&mut bytes).map_err(failed)?;
    }
    output.text(&String::from_utf8_lossy(&bytes))?;
    Ok(Answer::Yes)
}
