//! The one rewriting of a guest module before it is compiled (pure: bytes in, bytes out).
//!
//! A faaslet is reset, not re-instantiated, so the runtime must be able to read and restore every
//! mutable thing of an instance, and must decide itself when start-up code runs:
//!
//! ```text
//!   section     what happens to it
//!   memory      declared maximum dropped (windows need address space; --max-memory limits the heap)
//!   export      + every mutable global, + the memory, + the start function, under names of our own
//!   start       removed: the runtime calls it once, before the snapshot
//!   all others  copied byte for byte, so that indices, offsets and names stay what they were
//! ```
//!
//! Invariant: the rewritten module computes what the original computes when its start function is
//! called first.

use std::collections::BTreeMap;

use mobula_guest::abi;
use serde::{Deserialize, Serialize};
use wasm_encoder as enc;
use wasmparser::{ExternalKind, Operator, Parser, Payload, TypeRef, ValType};

use crate::error::ModuleError;

/// Export name of the memory in a rewritten module.
pub(crate) const MEMORY_EXPORT: &str = "__mobula_memory";
/// Export name of the start function in a rewritten module.
pub(crate) const START_EXPORT: &str = "__mobula_start";
/// Prefix of the names under which mutable globals are exported.
const GLOBAL_PREFIX: &str = "__mobula_global_";

/// What the runtime knows about a module without compiling it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModuleInfo {
    /// Entry index to the export that implements it; entry 0 is the main one.
    pub entries: BTreeMap<i32, String>,
    /// Exports to call once, in this order, before the snapshot: start function and constructors.
    pub init: Vec<String>,
    /// Whether the module has a proto-function (`FAASM_ZYGOTE`).
    pub has_proto: bool,
    /// Whether functions can be called by their address.
    pub calls_pointers: bool,
    /// Names under which the mutable globals are exported, in index order.
    pub globals: Vec<String>,
    /// Initial size of the memory in 64 KiB pages; `None` when the module has no memory.
    pub memory_pages: Option<u64>,
    /// Imported functions as (module, name).
    pub imports: Vec<(String, String)>,
    /// Why the module cannot be snapshotted and reset; `None` when it can.
    pub unresettable: Option<String>,
}

impl ModuleInfo {
    /// Whether the module can open files and directories.
    #[must_use]
    pub fn opens_files(&self) -> bool {
        self.imports.iter().any(|(_, name)| name == "path_open")
    }
}

/// A module ready to be compiled, and what was learnt on the way.
#[derive(Debug)]
pub(crate) struct Rewritten {
    pub(crate) wasm: Vec<u8>,
    pub(crate) info: ModuleInfo,
}

/// Rewrites `wasm` as described in the module head.
///
/// # Errors
/// [`ModuleError::Invalid`] with the byte offset when the bytes are not a core module, and
/// [`ModuleError::Unsupported`] when the module wants something the runtime does not offer.
pub(crate) fn rewrite(wasm: &[u8]) -> Result<Rewritten, ModuleError> {
    let survey = Survey::of(wasm)?;
    let info = survey.info()?;
    Ok(Rewritten { wasm: survey.encode(wasm)?, info })
}

/// Everything that one pass over the sections finds.
#[derive(Default)]
struct Survey {
    exports: Vec<(String, ExternalKind, u32)>,
    start: Option<u32>,
    memory: Option<wasmparser::MemoryType>,
    /// Global index and name of the mutable globals.
    mutable_globals: Vec<u32>,
    imports: Vec<(String, String)>,
    imported_functions: u32,
    unresettable: Option<String>,
    sections: Vec<Section>,
}

enum Section {
    Raw(u8, std::ops::Range<usize>),
    Memory,
    Export,
}

impl Survey {
    fn of(wasm: &[u8]) -> Result<Self, ModuleError> {
        let mut survey = Self::default();
        let mut next_function = 0;
        for payload in Parser::new(0).parse_all(wasm) {
            let payload = payload?;
            match &payload {
                Payload::Version { encoding: wasmparser::Encoding::Component, .. } => {
                    return Err(unsupported("it is a component; Mobula runs core modules"));
                }
                Payload::ImportSection(reader) => {
                    survey.imports(reader.clone())?;
                    next_function = survey.imported_functions;
                }
                Payload::MemorySection(reader) => {
                    for memory in reader.clone() {
                        survey.memory(memory?)?;
                    }
                }
                Payload::GlobalSection(reader) => survey.globals(reader.clone())?,
                Payload::ExportSection(reader) => {
                    for export in reader.clone() {
                        let export = export?;
                        survey.exports.push((export.name.to_owned(), export.kind, export.index));
                    }
                }
                Payload::StartSection { func, .. } => survey.start = Some(*func),
                Payload::CodeSectionEntry(body) => {
                    survey.code(body, next_function)?;
                    next_function += 1;
                }
                _ => {}
            }
            survey.keep(&payload);
        }
        Ok(survey)
    }

    /// Remembers where a section lies, or that it is written anew.
    fn keep(&mut self, payload: &Payload<'_>) {
        match payload {
            Payload::StartSection { .. } => {}
            Payload::MemorySection(_) => self.sections.push(Section::Memory),
            Payload::ExportSection(_) => self.sections.push(Section::Export),
            other => {
                if let Some((id, range)) = other.as_section() {
                    self.sections.push(Section::Raw(id, range));
                }
            }
        }
    }

    fn imports(&mut self, reader: wasmparser::ImportSectionReader<'_>) -> Result<(), ModuleError> {
        for import in reader.into_imports() {
            let import = import?;
            let what = match import.ty {
                TypeRef::Func(_) | TypeRef::FuncExact(_) => {
                    self.imported_functions += 1;
                    self.imports.push((import.module.to_owned(), import.name.to_owned()));
                    continue;
                }
                TypeRef::Memory(_) => "memory",
                TypeRef::Table(_) => "table",
                TypeRef::Global(_) => "global",
                TypeRef::Tag(_) => "tag",
            };
            return Err(unsupported(&format!(
                "it imports a {what} ({}.{}); link it as a plain executable or reactor",
                import.module, import.name
            )));
        }
        Ok(())
    }

    fn memory(&mut self, memory: wasmparser::MemoryType) -> Result<(), ModuleError> {
        if self.memory.is_some() {
            return Err(unsupported("it has more than one memory"));
        }
        if memory.memory64 || memory.page_size_log2.is_some() {
            return Err(unsupported("its memory is 64-bit or has its own page size"));
        }
        if memory.shared {
            return Err(unsupported(
                "its memory is shared (built with -pthread); faaslets share state, not memory",
            ));
        }
        self.memory = Some(memory);
        Ok(())
    }

    fn globals(&mut self, reader: wasmparser::GlobalSectionReader<'_>) -> Result<(), ModuleError> {
        for (index, global) in (0u32..).zip(reader) {
            let ty = global?.ty;
            if !ty.mutable {
                continue;
            }
            if matches!(ty.content_type, ValType::Ref(_)) {
                self.refuse_reset("a mutable global holds a reference");
            }
            self.mutable_globals.push(index);
        }
        Ok(())
    }

    /// Looks for instructions whose effect lies outside memory and globals.
    fn code(
        &mut self,
        body: &wasmparser::FunctionBody<'_>,
        function: u32,
    ) -> Result<(), ModuleError> {
        let in_start = self.start == Some(function);
        for op in body.get_operators_reader()? {
            let why = match op? {
                Operator::TableSet { .. }
                | Operator::TableGrow { .. }
                | Operator::TableFill { .. }
                | Operator::TableCopy { .. }
                | Operator::TableInit { .. } => "it changes a table",
                Operator::ElemDrop { .. } => "it drops an element segment",
                Operator::DataDrop { .. } if !in_start => "it drops a data segment",
                _ => continue,
            };
            self.refuse_reset(&format!("{why} (function {function})"));
            break;
        }
        Ok(())
    }

    fn refuse_reset(&mut self, why: &str) {
        self.unresettable.get_or_insert_with(|| why.to_owned());
    }

    fn function_export(&self, name: &str) -> Option<String> {
        self.exports
            .iter()
            .find(|(n, kind, _)| n == name && *kind == ExternalKind::Func)
            .map(|(n, ..)| n.clone())
    }

    fn info(&self) -> Result<ModuleInfo, ModuleError> {
        let mut entries = BTreeMap::new();
        for (name, kind, _) in &self.exports {
            let index = name.strip_prefix(abi::FUNC_EXPORT_PREFIX).and_then(|n| n.parse().ok());
            if let (Some(index), ExternalKind::Func) = (index, *kind) {
                entries.insert(index, name.clone());
            }
        }
        let main = [abi::MAIN_EXPORT, abi::START_EXPORT];
        if let Some(name) = main.iter().find_map(|name| self.function_export(name)) {
            entries.entry(0).or_insert(name);
        }
        let start = self.start.map(|_| START_EXPORT.to_owned());
        let constructors = [abi::REACTOR_INIT_EXPORT, abi::INIT_EXPORT];
        let constructors = constructors.iter().find_map(|name| self.function_export(name));
        Ok(ModuleInfo {
            entries,
            init: start.into_iter().chain(constructors).collect(),
            calls_pointers: self.function_export(abi::POINTER_EXPORT).is_some(),
            has_proto: self.function_export(abi::ZYGOTE_EXPORT).is_some(),
            globals: self.mutable_globals.iter().map(|i| format!("{GLOBAL_PREFIX}{i}")).collect(),
            memory_pages: self.memory.map(|m| m.initial),
            imports: self.imports.clone(),
            unresettable: self.unresettable.clone(),
        })
    }

    fn encode(&self, wasm: &[u8]) -> Result<Vec<u8>, ModuleError> {
        let mut module = enc::Module::new();
        let mut exports = Some(self.encode_exports()?);
        for section in &self.sections {
            // Exports come after ids 1 to 6 and tags (13), before all others but custom ones (0).
            if let Section::Raw(8..=12, _) = section
                && let Some(section) = exports.take()
            {
                module.section(&section);
            }
            match section {
                Section::Raw(id, range) => {
                    let data = &wasm[range.clone()];
                    module.section(&enc::RawSection { id: *id, data });
                }
                Section::Memory => {
                    module.section(&self.encode_memory());
                }
                Section::Export => {
                    if let Some(section) = exports.take() {
                        module.section(&section);
                    }
                }
            }
        }
        if let Some(section) = exports.take() {
            module.section(&section);
        }
        Ok(module.finish())
    }

    fn encode_memory(&self) -> enc::MemorySection {
        let mut section = enc::MemorySection::new();
        if let Some(memory) = self.memory {
            section.memory(enc::MemoryType {
                minimum: memory.initial,
                maximum: None,
                memory64: false,
                shared: false,
                page_size_log2: None,
            });
        }
        section
    }

    fn encode_exports(&self) -> Result<enc::ExportSection, ModuleError> {
        let mut section = enc::ExportSection::new();
        for (name, kind, index) in &self.exports {
            if name.starts_with(GLOBAL_PREFIX) || [MEMORY_EXPORT, START_EXPORT].contains(&&**name) {
                return Err(unsupported(&format!("it exports {name}, a name of the runtime's")));
            }
            let kind = match kind {
                ExternalKind::Func | ExternalKind::FuncExact => enc::ExportKind::Func,
                ExternalKind::Table => enc::ExportKind::Table,
                ExternalKind::Memory => enc::ExportKind::Memory,
                ExternalKind::Global => enc::ExportKind::Global,
                ExternalKind::Tag => enc::ExportKind::Tag,
            };
            section.export(name, kind, *index);
        }
        for index in &self.mutable_globals {
            section.export(&format!("{GLOBAL_PREFIX}{index}"), enc::ExportKind::Global, *index);
        }
        if self.memory.is_some() {
            section.export(MEMORY_EXPORT, enc::ExportKind::Memory, 0);
        }
        if let Some(function) = self.start {
            section.export(START_EXPORT, enc::ExportKind::Func, function);
        }
        Ok(section)
    }
}

fn unsupported(why: &str) -> ModuleError {
    ModuleError::Unsupported { why: why.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(wat: &str) -> ModuleInfo {
        rewrite(&wat::parse_str(wat).unwrap()).unwrap().info
    }

    #[test]
    fn start_section_becomes_an_export_called_once() {
        let wat = r#"(module (memory 1 2) (global (mut i32) (i32.const 7)) (global i32 (i32.const 1))
            (func $s) (start $s) (func (export "_faasm_func_3") (result i32) i32.const 0))"#;
        let out = rewrite(&wat::parse_str(wat).unwrap()).unwrap();
        assert_eq!(out.info.init, ["__mobula_start"]);
        assert_eq!(out.info.globals, ["__mobula_global_0"]);
        assert_eq!(out.info.entries.get(&3).map(String::as_str), Some("_faasm_func_3"));
        assert_eq!(out.info.memory_pages, Some(1));
        wasmparser::validate(&out.wasm).expect("the rewritten module is valid");
        let again = Survey::of(&out.wasm).unwrap();
        assert!(again.start.is_none() && again.memory.unwrap().maximum.is_none());
        assert!(again.function_export("__mobula_start").is_some());
    }

    #[test]
    fn module_without_exports_gets_an_export_section_in_the_right_place() {
        let wat = r#"(module (memory 1) (func (drop (i32.const 1))) (data (i32.const 0) "x"))"#;
        let out = rewrite(&wat::parse_str(wat).unwrap()).unwrap();
        wasmparser::validate(&out.wasm).expect("valid");
        assert!(out.info.entries.is_empty());
    }

    #[test]
    fn table_changes_and_dropped_segments_defeat_the_reset() {
        let drops = r#"(module (memory 1) (data $d "x") (func data.drop $d))"#;
        assert!(info(drops).unresettable.unwrap().contains("data segment"));
        let start = r#"(module (memory 1) (data $d "x") (func $s data.drop $d) (start $s))"#;
        assert_eq!(info(start).unresettable, None);
        let table =
            r#"(module (table 1 funcref) (func (table.set (i32.const 0) (ref.null func))))"#;
        assert!(info(table).unresettable.unwrap().contains("table"));
    }

    #[test]
    fn what_cannot_run_is_refused_with_the_reason() {
        for (wat, part) in [
            (r#"(module (import "env" "memory" (memory 1)))"#, "imports a memory (env.memory)"),
            ("(module (memory 1 1 shared))", "shared"),
            ("(module (memory i64 1))", "64-bit"),
            ("(component)", "component"),
        ] {
            let err = rewrite(&wat::parse_str(wat).unwrap()).unwrap_err().to_string();
            assert!(err.contains(part), "{wat}: {err}");
        }
        assert!(rewrite(b"\0asm\x01\0\0\0\x05\xff").is_err());
        assert!(rewrite(b"").is_err());
    }
}
