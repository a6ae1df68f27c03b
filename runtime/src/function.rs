//! Functions: a module registered for a user under a name.

use std::sync::Arc;

use wasmtime::InstancePre;

use crate::error::ModuleError;
use crate::host::Host;
use crate::module::ModuleInfo;
use crate::snapshot::Snapshot;
use crate::state::UserState;

/// A module of a user's, ready to be instantiated.
pub(crate) struct Function {
    pub(crate) id: u32,
    pub(crate) user: Box<str>,
    pub(crate) name: Box<str>,
    pub(crate) state: Arc<UserState>,
    pub(crate) info: ModuleInfo,
    pub(crate) pre: InstancePre<Host>,
    /// Made by the first faaslet; the others wait for it.
    pub(crate) snapshot: tokio::sync::OnceCell<Arc<Snapshot>>,
}

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Function({})", self.title())
    }
}

impl Function {
    /// `user/name`, as messages call it.
    pub(crate) fn title(&self) -> String {
        format!("{}/{}", self.user, self.name)
    }

    /// The export that implements entry `index`.
    ///
    /// # Errors
    /// [`ModuleError::NoEntry`], which lists the entries there are.
    pub(crate) fn entry(&self, index: i32) -> Result<&str, ModuleError> {
        let found = self.info.entries.get(&index).map(String::as_str);
        found.ok_or_else(|| ModuleError::NoEntry {
            function: self.title(),
            index,
            available: describe_entries(self.info.entries.keys().copied()),
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
