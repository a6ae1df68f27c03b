//! What `mobula cc` understands itself; everything else is the compiler's.

use std::ffi::OsString;

use super::ToolchainError;

/// The stack of a guest, unless `--stack-size` says otherwise.
const STACK_BYTES: usize = 1 << 20;

/// The arguments, taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Options {
    /// `--native`: an ordinary program instead of a WebAssembly module.
    pub(super) native: bool,
    /// `--stack-size`: bytes of a guest's stack.
    pub(super) stack: usize,
    /// What the compiler gets, in order.
    pub(super) args: Vec<OsString>,
}

/// Takes our own options out of the arguments.
///
/// # Errors
/// [`ToolchainError::StackSize`].
pub(super) fn parse(args: &[OsString]) -> Result<Options, ToolchainError> {
    let mut options = Options { native: false, stack: STACK_BYTES, args: Vec::new() };
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        let text = arg.to_string_lossy();
        if text == "--native" {
            options.native = true;
        } else if text == "--stack-size" {
            let size = rest.next().map(|size| size.to_string_lossy().into_owned());
            options.stack = stack_size(size.as_deref().unwrap_or_default())?;
        } else if let Some(size) = text.strip_prefix("--stack-size=") {
            options.stack = stack_size(size)?;
        } else {
            options.args.push(arg.clone());
        }
    }
    Ok(options)
}

/// A stack is a multiple of 16 bytes, as the calling convention wants it.
fn stack_size(text: &str) -> Result<usize, ToolchainError> {
    let refused = |why: String| ToolchainError::StackSize { size: text.to_owned(), why };
    let bytes = crate::cli::parse::bytes(text).map_err(refused)?;
    let rounded = bytes.checked_next_multiple_of(16).filter(|&bytes| bytes < 1 << 31);
    rounded.ok_or_else(|| refused("at most 2 GiB are possible".to_owned()))
}

/// Whether these arguments link something: there are inputs, and nothing says to stop before.
pub(super) fn links(args: &[OsString]) -> bool {
    let stops = ["-c", "-S", "-E", "-fsyntax-only", "-M", "-MM", "--version", "--help"];
    let with_value = ["-o", "-x", "-I", "-D", "-U", "-L", "-isystem", "-include", "-MF", "-MT"];
    let mut values = 0;
    let mut inputs = 0;
    for arg in args {
        let option = arg.as_encoded_bytes().starts_with(b"-") && arg != "-";
        if values > 0 {
            values -= 1;
        } else if !option {
            inputs += 1;
        } else if stops.iter().any(|flag| arg == flag) {
            return false;
        } else if with_value.iter().any(|flag| arg == flag) {
            values = 1;
        }
    }
    inputs > 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn our_options_are_taken_out_wherever_they_are() {
        let options = parse(&words("-O1 --native a.c --stack-size 64K -lm")).unwrap();
        assert_eq!(options.args, words("-O1 a.c -lm"));
        assert!(options.native && options.stack == 64 << 10);
        assert_eq!(parse(&words("--stack-size=4M a.c")).unwrap().stack, 4 << 20);
        assert_eq!(parse(&words("a.c")).unwrap().stack, 1 << 20);
        assert_eq!(parse(&words("--stack-size=1000 a.c")).unwrap().stack, 1008);
    }

    #[test]
    fn a_stack_needs_a_size() {
        for line in ["--stack-size", "--stack-size=0 a.c", "--stack-size=5X a.c", "--stack-size=3G"]
        {
            let refused = parse(&words(line));
            assert!(matches!(refused, Err(ToolchainError::StackSize { .. })), "{line}");
        }
    }

    #[test]
    fn what_links_and_what_only_asks() {
        let links = |args: &str| links(&words(args));
        assert!(links("a.c") && links("-o a -O2 a.o") && links("-x c -"));
        assert!(!links("-v") && !links("--version") && !links("-c a.c") && !links("-D A -o a"));
    }
}
