//! What a module is and wants, found without running it; also for modules that cannot run here.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use wasmparser::{ExternalKind, KnownCustom, Parser, Payload, TypeRef};
use wasmtime::{Caller, Engine, Linker};

use crate::config::Config;
use crate::error::{ModuleError, RuntimeError};
use crate::host::Host;
use crate::limits;
use crate::memory::Creator;
use crate::module::rewrite::rewrite;
use crate::module::{Cache, ModuleInfo};
use crate::stdio::{Sink, Stream};

/// Code for time-outs is the same whatever their length.
const ANY_TIMEOUT: Duration = Duration::from_secs(1);

/// What a module is and wants.
#[derive(Debug, Default, Serialize)]
pub struct Inspection {
    /// Size of the file.
    pub bytes: u64,
    /// Why it cannot run here; `None` when it can.
    pub refusal: Option<String>,
    /// What can be called.
    pub entries: Vec<EntryInfo>,
    /// What it needs from the host.
    pub imports: Vec<ImportInfo>,
    /// Its memory.
    pub memory: Option<MemoryInfo>,
    /// Its globals.
    pub globals: Globals,
    /// Whether it has a proto-function.
    pub proto_function: bool,
    /// What runs once before the snapshot: start function and constructors.
    pub constructors: Vec<String>,
    /// Why it is instantiated for each call instead of reset; `None` when it can be reset.
    pub unresettable: Option<String>,
    /// Whether the cache has its code.
    pub cached: bool,
    /// Whether the cache has its code for runs with a time-out.
    pub cached_for_timeout: bool,
}

/// Something that can be called from outside or chained.
#[derive(Debug, Serialize)]
pub struct EntryInfo {
    /// Its index; 0 is the main function.
    pub index: i32,
    /// The export that implements it.
    pub export: String,
    /// What the function is called in the source, as far as the module still says.
    pub name: Option<String>,
}

/// Something that the module wants from outside.
#[derive(Debug, Serialize)]
pub struct ImportInfo {
    /// Module part of its name.
    pub module: String,
    /// The name itself.
    pub name: String,
    /// `function`, `memory`, `table`, `global` or `tag`.
    pub kind: &'static str,
    /// Whether Mobula has it.
    pub offered: bool,
}

/// A linear memory.
#[derive(Debug, Serialize)]
pub struct MemoryInfo {
    /// Its size at the start, in 64 KiB pages.
    pub pages: u64,
    /// Its declared maximum, which Mobula does not follow.
    pub maximum: Option<u64>,
    /// Whether it comes from outside.
    pub imported: bool,
}

/// Numbers of globals.
#[derive(Debug, Default, Serialize)]
pub struct Globals {
    /// Those that a reset must restore.
    pub mutable: usize,
    /// The others.
    pub constant: usize,
}

/// Looks at a module; `cache` is asked whether it has been compiled.
///
/// # Errors
/// [`ModuleError::Invalid`] or [`ModuleError::TooLarge`] for what is no module at all, and
/// [`RuntimeError::Engine`].
pub fn inspect(wasm: &[u8], cache: &Cache) -> Result<Inspection, RuntimeError> {
    if wasm.len() as u64 > limits::MODULE_BYTES {
        let (bytes, limit) = (wasm.len() as u64, limits::MODULE_BYTES);
        return Err(ModuleError::TooLarge { bytes, limit }.into());
    }
    let mut seen = Inspection { bytes: wasm.len() as u64, ..Inspection::default() };
    let names = survey(wasm, &mut seen).map_err(ModuleError::Invalid)?;
    let engine = engine(None)?;
    match rewrite(wasm) {
        Ok(rewritten) => describe(&mut seen, rewritten.info, &names),
        Err(err) => seen.refusal = Some(err.to_string()),
    }
    let linker = crate::hostcalls::linker(&engine, false)?;
    offered(&linker, &mut seen);
    if seen.refusal.is_none()
        && let Err(err) = wasmtime::Module::validate(&engine, wasm)
    {
        seen.refusal = Some(format!("not valid: {err:#}"));
    }
    let has = |engine: &Engine| cache.path(engine, wasm).is_some_and(|path| path.is_file());
    seen.cached = has(&engine);
    seen.cached_for_timeout = has(&self::engine(Some(ANY_TIMEOUT))?);
    Ok(seen)
}

/// An engine as a run would use it.
fn engine(timeout: Option<Duration>) -> Result<Engine, RuntimeError> {
    let config = Config { timeout, ..Config::default() };
    crate::runtime::engine(&config, Arc::new(Creator::default()), &Silent)
}

/// What the source calls the function behind each export.
type Names = HashMap<String, String>;

/// One pass over the sections, for modules of any origin.
fn survey(wasm: &[u8], seen: &mut Inspection) -> wasmparser::Result<Names> {
    let (mut exports, mut names) = (Vec::new(), HashMap::new());
    for payload in Parser::new(0).parse_all(wasm) {
        match payload? {
            Payload::ImportSection(reader) => {
                for import in reader.into_imports() {
                    note_import(seen, &import?);
                }
            }
            Payload::MemorySection(reader) => {
                for memory in reader {
                    note_memory(seen, &memory?, false);
                }
            }
            Payload::GlobalSection(reader) => {
                for global in reader {
                    note_global(seen, global?.ty.mutable);
                }
            }
            Payload::ExportSection(reader) => {
                for export in reader {
                    let export = export?;
                    if export.kind == ExternalKind::Func {
                        exports.push((export.name.to_owned(), export.index));
                    }
                }
            }
            Payload::CodeSectionEntry(body) => {
                for op in body.get_operators_reader()? {
                    op?;
                }
            }
            Payload::CustomSection(section) => {
                if let KnownCustom::Name(reader) = section.as_known() {
                    // A damaged name section changes nothing that runs.
                    let _ = note_names(reader, &mut names);
                }
            }
            _ => {}
        }
    }
    let named = |(export, index)| names.get(&index).cloned().map(|name| (export, name));
    Ok(exports.into_iter().filter_map(named).collect())
}

fn note_names(
    reader: wasmparser::NameSectionReader<'_>,
    names: &mut HashMap<u32, String>,
) -> wasmparser::Result<()> {
    for part in reader {
        if let wasmparser::Name::Function(map) = part? {
            for naming in map {
                let naming = naming?;
                names.insert(naming.index, naming.name.to_owned());
            }
        }
    }
    Ok(())
}

fn note_import(seen: &mut Inspection, import: &wasmparser::Import<'_>) {
    let kind = match &import.ty {
        TypeRef::Func(_) | TypeRef::FuncExact(_) => "function",
        TypeRef::Memory(memory) => {
            note_memory(seen, memory, true);
            "memory"
        }
        TypeRef::Table(_) => "table",
        TypeRef::Global(global) => {
            note_global(seen, global.mutable);
            "global"
        }
        TypeRef::Tag(_) => "tag",
    };
    let (module, name) = (import.module.to_owned(), import.name.to_owned());
    seen.imports.push(ImportInfo { module, name, kind, offered: false });
}

fn note_memory(seen: &mut Inspection, memory: &wasmparser::MemoryType, imported: bool) {
    let (pages, maximum) = (memory.initial, memory.maximum);
    seen.memory.get_or_insert(MemoryInfo { pages, maximum, imported });
}

fn note_global(seen: &mut Inspection, mutable: bool) {
    let count = if mutable { &mut seen.globals.mutable } else { &mut seen.globals.constant };
    *count += 1;
}

fn describe(seen: &mut Inspection, info: ModuleInfo, names: &Names) {
    let entry = |(index, export): (i32, String)| {
        let name = names.get(&export).filter(|name| **name != export).cloned();
        EntryInfo { index, export, name }
    };
    seen.entries = info.entries.into_iter().map(entry).collect();
    seen.proto_function = info.has_proto;
    seen.constructors = info.init;
    seen.unresettable = info.unresettable;
}

/// Marks the imports that Mobula has; what it lacks keeps the module from running.
fn offered(linker: &Linker<Host>, seen: &mut Inspection) {
    let mut probe = linker.clone();
    // Without a store only the names can be asked for: what is known cannot be defined again.
    probe.allow_shadowing(false);
    for import in seen.imports.iter_mut().filter(|import| import.kind == "function") {
        let never = |_: Caller<'_, Host>| ();
        import.offered = probe.clone().func_wrap(&import.module, &import.name, never).is_err();
    }
    let lacking = seen.imports.iter().filter(|import| !import.offered);
    let lacking: Vec<_> =
        lacking.map(|import| format!("{}.{}", import.module, import.name)).collect();
    if !lacking.is_empty() && seen.refusal.is_none() {
        seen.refusal = Some(format!("it imports what Mobula lacks: {}", lacking.join(", ")));
    }
}

/// Warnings about the machine are for runs.
#[derive(Debug)]
struct Silent;

impl Sink for Silent {
    fn write(&self, _: Stream, _: &[u8]) -> std::io::Result<()> {
        Ok(())
    }
    fn is_terminal(&self, _: Stream) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(wat: &str) -> Inspection {
        inspect(&wat::parse_str(wat).unwrap(), &Cache::none()).unwrap()
    }

    #[test]
    fn a_module_that_runs() {
        let seen = look(
            r#"(module (import "env" "__faasm_get_idx" (func (result i32)))
            (memory 3) (global (mut i32) (i32.const 1)) (global i32 (i32.const 1))
            (func $work (export "_faasm_func_2") (result i32) i32.const 0))"#,
        );
        assert_eq!((seen.refusal.as_deref(), seen.unresettable.as_deref()), (None, None));
        assert_eq!((seen.entries[0].index, seen.entries[0].name.as_deref()), (2, Some("work")));
        assert!(seen.imports[0].offered && seen.memory.unwrap().pages == 3);
        assert_eq!((seen.globals.mutable, seen.globals.constant), (1, 1));
    }

    #[test]
    fn modules_that_cannot_run_are_described_too() {
        let seen = look(
            r#"(module (import "js" "alert" (func)) (import "env" "__faasm_get_idx" (func (result i32))))"#,
        );
        assert!(seen.refusal.unwrap().contains("js.alert"));
        assert_eq!(seen.imports.iter().map(|i| i.offered).collect::<Vec<_>>(), [false, true]);
        let seen = look(r#"(module (import "env" "memory" (memory 5 9)))"#);
        assert!(seen.refusal.unwrap().contains("imports a memory"));
        assert_eq!(seen.memory.map(|m| (m.pages, m.imported)), Some((5, true)));
        assert!(look("(component)").refusal.unwrap().contains("component"));
        let wrong =
            [b"\0asm\x01\0\0\0".as_slice(), b"\x01\x04\x01\x60\0\0\x03\x02\x01\x05\x0a"].concat();
        assert!(inspect(&wrong, &Cache::none()).is_err(), "truncated");
        assert!(inspect(b"no module", &Cache::none()).is_err());
    }
}
