//! Functions: a module registered for a user under a name.

use std::sync::Arc;

use mobula_guest::abi::POINTER_EXPORT;
use wasmtime::InstancePre;

use crate::error::ModuleError;
use crate::host::Host;
use crate::module::Artifact;
use crate::python::Script;
use crate::snapshot::Snapshot;
use crate::state::UserState;

/// A module of a user's, ready to be instantiated.
pub(crate) struct Function {
    pub(crate) id: u32,
    pub(crate) user: Box<str>,
    pub(crate) name: Box<str>,
    pub(crate) state: Arc<UserState>,
    /// The file, if it is a Python function; its code is then the interpreter's.
    pub(crate) script: Option<Script>,
    /// Its code and what is known about it; what other ranks get when they ask.
    pub(crate) artifact: Artifact,
    /// The module itself, where other ranks may have to compile it; else empty.
    pub(crate) wasm: Arc<[u8]>,
    pub(crate) pre: InstancePre<Host>,
    /// Made by the first faaslet; the others wait for it.
    pub(crate) snapshot: tokio::sync::OnceCell<Arc<Snapshot>>,
}

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Function({})", self.title())
    }
}

/// Which code of a function a call runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) enum Entry {
    /// An entry by its index.
    Index(i32),
    /// A function by its address, which is an index into the module's table.
    Pointer(u32),
}

impl Default for Entry {
    fn default() -> Self {
        Self::Index(0)
    }
}

impl Entry {
    /// What `faasmGetCurrentIdx` says.
    pub(crate) fn index(self) -> i32 {
        match self {
            Self::Index(index) => index,
            Self::Pointer(_) => 0,
        }
    }

    /// The address, as an i32 of the guest's; 0 for an entry by index.
    pub(crate) fn address(self) -> i32 {
        match self {
            Self::Index(_) => 0,
            Self::Pointer(address) => address.cast_signed(),
        }
    }
}

impl std::fmt::Display for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Index(index) => write!(f, "{index}"),
            Self::Pointer(address) => write!(f, "function {address:#x}"),
        }
    }
}

impl Function {
    /// `user/name`, as messages call it.
    pub(crate) fn title(&self) -> String {
        format!("{}/{}", self.user, self.name)
    }

    /// The export that implements an entry.
    ///
    /// # Errors
    /// [`ModuleError::NoEntry`], which lists the entries there are, or [`ModuleError::Unsupported`].
    pub(crate) fn export(&self, entry: Entry) -> Result<&str, ModuleError> {
        let index = match entry {
            // Which entries a file has only it knows.
            Entry::Index(_) if self.script.is_some() => return Ok(crate::python::TURN),
            Entry::Index(index) => index,
            Entry::Pointer(_) if self.script.is_some() => {
                let why = format!("{} is Python: its entries have no addresses", self.title());
                return Err(ModuleError::Unsupported { why });
            }
            Entry::Pointer(_) if self.artifact.info.calls_pointers => return Ok(POINTER_EXPORT),
            Entry::Pointer(_) => {
                let why = format!(
                    "{} exports no {POINTER_EXPORT}, which chaining by address needs; include \
                     faasm/core.h",
                    self.title()
                );
                return Err(ModuleError::Unsupported { why });
            }
        };
        let found = self.artifact.info.entries.get(&index).map(String::as_str);
        found.ok_or_else(|| ModuleError::NoEntry {
            function: self.title(),
            index,
            available: describe_entries(self.artifact.info.entries.keys().copied()),
        })
    }

    pub(crate) fn initialise_error(&self, step: &str, reason: String) -> ModuleError {
        ModuleError::Initialise { function: self.title(), step: step.to_owned(), reason }
    }
}

fn describe_entries(entries: impl Iterator<Item = i32>) -> String {
    let list: Vec<_> = entries.map(|index| index.to_string()).collect();
    match list.len() {
        0 => "none (a guest needs FAASM_MAIN_FUNC, FAASM_FUNC, main or _start)".to_owned(),
        1 => format!("only entry {}", list[0]),
        _ => format!("entries {}", list.join(", ")),
    }
}
