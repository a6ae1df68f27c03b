//! The functions of a rank: found by number on the way of a call, by name when one is chained.
//!
//! A name that nobody registered is looked for in the store, then compiled and registered once, also
//! when many calls chain it at the same time. Compiling holds the worker, never the table.
//!
//! Invariant: a number means the same function for ever; a name registered again gets a new number.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::RwLock;

use crate::error::{ModuleError, RuntimeError};
use crate::function::Function;
use crate::limits;
use crate::module::Artifact;
use crate::python::Script;
use crate::runtime::Rank;
use crate::store::Turns;

/// Compiled code, and the file that it runs if it is the interpreter's.
pub(crate) type CodeOf = (Artifact, Option<Script>);

/// User and name.
type Title = (Box<str>, Box<str>);

/// The table of functions.
#[derive(Debug, Default)]
pub(crate) struct Functions {
    table: RwLock<Table>,
    turns: Turns<Title>,
}

#[derive(Debug, Default)]
struct Table {
    /// By number; those that did not come from rank 0 yet are missing.
    by_id: Vec<Option<Arc<Function>>>,
    by_name: HashMap<Title, u32>,
    main_cached: Option<bool>,
}

impl Functions {
    /// All functions, in the order in which they were registered.
    pub(crate) fn all(&self) -> Vec<Arc<Function>> {
        self.table.read().by_id.iter().flatten().cloned().collect()
    }

    /// Whether the first function came from the cache.
    pub(crate) fn main_cached(&self) -> bool {
        self.table.read().main_cached.unwrap_or(false)
    }

    fn id(&self, title: &Title) -> Option<u32> {
        self.table.read().by_name.get(title).copied()
    }

    fn names(&self, user: &str) -> Vec<String> {
        let table = self.table.read();
        let names = table.by_name.keys().filter(|(u, _)| **u == *user);
        names.map(|(_, name)| name.to_string()).collect()
    }
}

impl Rank {
    /// The function of that number, which is here.
    pub(crate) fn function(&self, id: u32) -> Arc<Function> {
        self.functions.table.read().by_id[id as usize].clone().expect("functions come before calls")
    }

    /// Whether the function of that number is here.
    pub(crate) fn has_function(&self, id: u32) -> bool {
        self.functions.table.read().by_id.get(id as usize).is_some_and(Option::is_some)
    }

    /// The number of `user/name`, if it is here.
    pub(crate) fn function_number(&self, user: &str, name: &str) -> Option<u32> {
        self.functions.id(&(user.into(), name.into()))
    }

    /// Compiles (or takes from the cache) a module and makes it the function `user/name`.
    pub(crate) fn register(&self, user: &str, name: &str, wasm: &[u8]) -> Result<u32, ModuleError> {
        if wasm.len() as u64 > limits::MODULE_BYTES {
            let (bytes, limit) = (wasm.len() as u64, limits::MODULE_BYTES);
            return Err(ModuleError::TooLarge { bytes, limit });
        }
        // Ranks with another kind of processor will ask for it.
        let kept = if self.remote.is_some() { wasm.into() } else { Arc::default() };
        self.add_function((None, user, name), self.code_of(name, wasm)?, kept)
    }

    /// The code of a module, or that of the interpreter for a file of Python.
    pub(crate) fn code_of(&self, name: &str, bytes: &[u8]) -> Result<CodeOf, ModuleError> {
        let cache = &self.config.cache;
        let Some(script) = Script::of(name, bytes) else {
            return Ok((cache.load(&self.engine, bytes)?, None));
        };
        let Some(python) = &self.config.python else { return Err(ModuleError::NoPython) };
        let failed =
            |err| ModuleError::Interpreter { path: python.module.clone(), err: Box::new(err) };
        Ok((cache.load_file(&self.engine, &python.module).map_err(failed)?, Some(script)))
    }

    /// Makes compiled code the function `user/name`, with the number that it has elsewhere, if it has
    /// one.
    pub(crate) fn add_function(
        &self,
        (number, user, name): (Option<u32>, &str, &str),
        (artifact, script): CodeOf,
        wasm: Arc<[u8]>,
    ) -> Result<u32, ModuleError> {
        let failed = |err: wasmtime::Error| ModuleError::Compile(format!("{err:#}"));
        let with_door = script.as_ref().map(|_| crate::python::with_door(&self.linker));
        let with_door = with_door.transpose().map_err(failed)?;
        let linker = with_door.as_ref().unwrap_or(&self.linker);
        let missing = crate::hostcalls::missing(linker, &artifact.module);
        if !missing.is_empty() {
            return Err(ModuleError::MissingImports(missing.join(", ")));
        }
        let pre = linker.instantiate_pre(&artifact.module).map_err(failed)?;
        let state = self.state.user(user);
        let mut table = self.functions.table.write();
        let next = u32::try_from(table.by_id.len()).expect("fewer than 2^32 functions");
        let id = number.unwrap_or(next);
        if id >= next {
            table.by_id.resize(id as usize + 1, None);
        }
        table.main_cached.get_or_insert(artifact.cached);
        table.by_id[id as usize] = Some(Arc::new(Function {
            id,
            user: user.into(),
            name: name.into(),
            state,
            script,
            artifact,
            wasm,
            pre,
            snapshot: tokio::sync::OnceCell::new(),
        }));
        table.by_name.insert((user.into(), name.into()), id);
        Ok(id)
    }

    /// The number of `user/name`, which may have to come from the store.
    pub(crate) fn find_function(&self, user: &str, name: &str) -> Result<u32, RuntimeError> {
        let title: Title = (user.into(), name.into());
        if let Some(id) = self.functions.id(&title) {
            return Ok(id);
        }
        let Some(store) = &self.config.store else { return Err(self.unknown(user, name)) };
        self.functions.turns.take(&title, || {
            if let Some(id) = self.functions.id(&title) {
                return Ok(id);
            }
            let wasm = store.function(user, name)?.ok_or_else(|| self.unknown(user, name))?;
            let (user, name) = (user.to_owned(), name.to_owned());
            self.register(&user, &name, &wasm).map_err(|why| RuntimeError::StoredFunction {
                user,
                name,
                why,
            })
        })
    }

    fn unknown(&self, user: &str, name: &str) -> RuntimeError {
        let mut names = self.functions.names(user);
        if let Some(store) = &self.config.store {
            names.extend(store.function_names(user));
        }
        names.sort();
        names.dedup();
        let available = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        RuntimeError::UnknownFunction { user: user.into(), name: name.into(), available }
    }
}
