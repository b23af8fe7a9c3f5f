//! Passwords come from a prompt or from standard input. Arguments are visible to every process of
//! the machine, and the shell keeps them in its history.

use std::io;

use zeroize::Zeroizing;

use crate::failure::Failure;

/// Asks for a new password twice, or reads it from the first line of standard input.
pub(crate) fn read(from_stdin: bool) -> Result<Zeroizing<String>, Failure> {
    if from_stdin {
        let mut line = Zeroizing::new(String::new());
        io::stdin()
            .read_line(&mut line)
            .map_err(Failure::io("the password cannot be read from standard input"))?;
        return Ok(Zeroizing::new(line.trim_end_matches(['\r', '\n']).to_owned()));
    }
    let ask = |prompt| {
        rpassword::prompt_password(prompt).map(Zeroizing::new).map_err(Failure::io(
            "there is no terminal to ask for the password; use --password-stdin",
        ))
    };
    let password = ask("Password: ")?;
    if password == ask("Once more: ")? {
        Ok(password)
    } else {
        Err(Failure::Refused("the two passwords differ".to_owned()))
    }
}
