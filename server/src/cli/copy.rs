//! `baro backup` and `baro restore`: copy the store of a data folder to a file and back.

use crate::{config::Copy, engine::embedded};
use std::io::{IsTerminal, Write};

/// Copies a data folder's store into a new file.
///
/// # Errors
/// Returns an error if there is no store, the file already exists, or the disk is full.
pub fn backup(options: &Copy) -> anyhow::Result<()> {
    let shown = std::io::stderr().is_terminal();
    embedded::backup(&options.data, &options.file, |done, all| {
        if shown {
            let percent = (done * 100).checked_div(all).unwrap_or(100);
            let _ = write!(std::io::stderr(), "\r{percent:>3} % of {:.1} MB", all as f64 / 1e6);
        }
    })?;
    if shown {
        let _ = writeln!(std::io::stderr());
    }
    let size = std::fs::metadata(&options.file)?.len();
    let mut out = std::io::stdout();
    writeln!(out, "Copied {:.1} MB to {}", size as f64 / 1e6, options.file.display())?;
    writeln!(
        out,
        "The secret of the visitor cookies is not in it; keep {}/cookie-secret apart.",
        options.data.display()
    )?;
    Ok(())
}

/// Replaces the store of a data folder with a copy made by [`backup`].
///
/// # Errors
/// Returns an error if a server uses the folder, or if the file is not a complete copy.
pub fn restore(options: &Copy) -> anyhow::Result<()> {
    let before = embedded::restore(&options.data, &options.file)?;
    let mut out = std::io::stdout();
    writeln!(out, "{} is now what {} holds.", options.file.display(), options.data.display())?;
    if let Some(before) = before {
        writeln!(out, "What was there before is in {}; delete it when you do not need it.", before.display())?;
    }
    Ok(())
}
