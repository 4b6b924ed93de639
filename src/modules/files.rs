//! What `file`, `copy`, `template` and others share: owner, group, mode.

use super::{ArgError, FileAttributes, args::Opts, mode, script::Script};

/// The three options as every file module has them.
macro_rules! file_options {
    ($($more:expr),* $(,)?) => {
        &[
            $($more,)*
            $crate::modules::args::opt("mode", $crate::modules::OptionType::Mode),
            $crate::modules::args::opt("owner", $crate::modules::OptionType::Str),
            $crate::modules::args::opt("group", $crate::modules::OptionType::Str),
            $crate::modules::args::opt("unsafe_writes", $crate::modules::OptionType::Bool),
        ]
    };
}
pub(super) use file_options;

/// `kw_owner`, `kw_group`, `kw_mexpr` and `kw_mode` as they were asked for.
pub(super) fn attributes(script: Script, o: &Opts) -> Result<Script, ArgError> {
    with_mode(script, o, &o.text_or("mode", ""))
}

/// The same with a mode from elsewhere (`preserve`).
pub(super) fn with_mode(script: Script, o: &Opts, mode: &str) -> Result<Script, ArgError> {
    let expression = mode::arithmetic(mode).map_err(ArgError)?;
    let plain = if mode == "preserve" { "" } else { mode };
    Ok(script
        .set("kw_owner", &o.text_or("owner", ""))
        .set("kw_group", &o.text_or("group", ""))
        .set("kw_mexpr", &expression)
        .set("kw_mode", plain))
}

/// The same for an edit.
pub(super) fn of(o: &Opts) -> FileAttributes {
    FileAttributes { owner: o.text("owner"), group: o.text("group"), mode: o.text("mode") }
}
