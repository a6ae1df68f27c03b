//! Python functions: a file of the user's, run by CPython, which is a WebAssembly module itself.
//!
//! ```text
//!  register(text) ─▶ Script, and the interpreter's artifact ─▶ function
//!  first faaslet    turn(boot, library, the file) ─▶ snapshot
//!  call             turn("_mobula_boot_call(3)")
//!                     └─ _host.call(request) ─▶ the host function that the request names
//! ```
//!
//! A request is, little-endian:
//!
//! ```text
//!  u8 n │ n bytes: name │ u32 bytes of output │ u8 args │ args × (u8 kind, i64 value) │ blob
//!  reply   u8 0 │ i64 result │ output        or        u8 1 │ why it was refused, UTF-8
//!  kind    0 a number        1 a pointer to blob + value        2 a pointer to output + value
//!          3 the bits of a float
//! ```
//!
//! so that Python reaches every function of `mobula_guest::abi` as C does, by the same code, and a refusal
//! is an exception instead of a trap. `exit` is the one name more: its argument is the call's return code.
//!
//! Invariants: the interpreter is a guest as any other; nothing it passes is used before it was checked.

use std::path::PathBuf;

use mobula_guest::python::{BOOT, LIBRARY};
use wasmtime::{Caller, Func, Instance, Linker, Result, Store, TypedFunc, Val, ValType, bail};

use crate::host::Host;
use crate::hostcalls::memory;

/// Where the interpreter is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interpreter {
    /// The module, of which only the export `turn` and what it needs are used.
    pub module: PathBuf,
    /// A directory with the standard library, `python315.zip`.
    pub library: PathBuf,
    /// Directories of the guests in which modules are looked for first.
    pub paths: Vec<String>,
}

/// Where the interpreter looks for its standard library.
pub(crate) const LIBRARY_DIR: &str = "/usr/local/lib";
/// What it needs to know of its surroundings.
pub(crate) const ENVIRONMENT: [(&str, &str); 2] = [("TMPDIR", "/tmp"), ("PYTHONTZPATH", "")];

/// Runs a text: `(ptr, len) -> rc`, 0 when it ended well.
pub(crate) const TURN: &str = "turn";
/// `(len) -> ptr`: memory for what comes from outside.
const ALLOC: &str = "host_alloc";
/// Module and name of the way out.
const DOOR: (&str, &str) = ("host", "call");
/// Most arguments of a function of the host.
const ARGUMENTS: usize = 13;

/// The kind of an argument that is a float.
const REAL: u8 = 3;

/// A Python file that is a function.
#[derive(Debug)]
pub(crate) struct Script {
    /// As tracebacks show it.
    pub(crate) file: String,
    pub(crate) text: String,
}

impl Script {
    /// The file in `bytes`, if they are a text and not a module.
    pub(crate) fn of(name: &str, bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok().filter(|text| !text.contains('\0'))?;
        Some(Self { file: format!("{name}.py"), text: text.to_owned() })
    }

    /// What is run once, before the snapshot.
    fn prepare(&self, paths: &[String], args: &[String]) -> String {
        let library: Vec<_> = LIBRARY
            .iter()
            .map(|(name, text)| format!("{}: {}", quote(name), quote(text)))
            .collect();
        let list =
            |all: &[String]| all.iter().map(|text| quote(text)).collect::<Vec<_>>().join(", ");
        format!(
            "{BOOT}\n_mobula_boot_prepare({{{}}}, {}, {}, [{}], [{}])\n",
            library.join(", "),
            quote(&self.file),
            quote(&self.text),
            list(paths),
            list(args)
        )
    }
}

/// A text as a literal of Python: JSON's strings are some, but for surrogates, which UTF-8 does not have.
fn quote(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// The interpreter of one faaslet.
#[derive(Clone)]
pub(crate) struct Turns {
    turn: TypedFunc<(u32, u32), i32>,
    alloc: TypedFunc<u32, u32>,
}

impl Turns {
    pub(crate) fn of(instance: &Instance, store: &mut Store<Host>) -> Result<Self> {
        let turn = instance.get_typed_func(&mut *store, TURN)?;
        Ok(Self { turn, alloc: instance.get_typed_func(store, ALLOC)? })
    }

    /// Loads the function's file.
    pub(crate) async fn prepare(&self, store: &mut Store<Host>, script: &Script) -> Result<()> {
        let config = &store.data().rank.config;
        let paths = config.python.as_ref().map_or(&[][..], |python| &python.paths);
        let text = script.prepare(paths, config.args.get(1..).unwrap_or_default());
        match self.run(store, &text).await? {
            0 => Ok(()),
            _ => bail!("see the traceback"),
        }
    }

    /// Runs an entry; its return code.
    pub(crate) async fn call(&self, store: &mut Store<Host>, index: i32) -> Result<i32> {
        let ended = self.run(store, &format!("_mobula_boot_call({index})")).await?;
        match store.data_mut().call.code.take() {
            Some(code) if ended == 0 => Ok(code),
            _ => bail!("the interpreter gave up ({ended})"),
        }
    }

    async fn run(&self, store: &mut Store<Host>, text: &str) -> Result<i32> {
        let len = u32::try_from(text.len())?;
        let at = self.alloc.call_async(&mut *store, len).await?;
        memory(store.data())?.write(at, text.as_bytes())?;
        self.turn.call_async(store, (at, len)).await
    }
}

/// The same host functions, and the way out of the interpreter. Other modules do not get it: one whose
/// `host_alloc` used it again would go on taking stacks.
pub(crate) fn with_door(linker: &Linker<Host>) -> Result<Linker<Host>> {
    let (module, name) = DOOR;
    let mut linker = linker.clone();
    linker.func_wrap_async(
        module,
        name,
        |mut caller: Caller<'_, Host>, (ptr, len, out, out_len): (u32, u32, u32, u32)| {
            Box::new(async move {
                let (at, n) = answer(&mut caller, ptr, len).await?;
                let memory = memory(caller.data())?;
                memory.write(out, &at.to_le_bytes())?;
                memory.write(out_len, &n.to_le_bytes())?;
                Ok(0i32)
            })
        },
    )?;
    Ok(linker)
}

/// What the interpreter asks for.
#[derive(Debug)]
struct Request<'a> {
    name: &'a str,
    output: u32,
    args: Vec<(u8, i64)>,
    /// Where the blob begins in the request.
    blob: usize,
}

impl<'a> Request<'a> {
    fn read(bytes: &'a [u8]) -> Option<Self> {
        let (&len, rest) = bytes.split_first()?;
        let (name, rest) = rest.split_at_checked(len.into())?;
        let (output, rest) = rest.split_first_chunk::<4>()?;
        let (&count, rest) = rest.split_first()?;
        let (args, blob) = rest.split_at_checked(usize::from(count) * 9)?;
        let value = |arg: &[u8]| Some((arg[0], i64::from_le_bytes(arg[1..].try_into().ok()?)));
        Some(Self {
            name: std::str::from_utf8(name).ok()?,
            output: u32::from_le_bytes(*output),
            args: args.chunks_exact(9).map(value).collect::<Option<_>>()?,
            blob: bytes.len() - blob.len(),
        })
    }
}

/// Answers a request; where the reply lies in the guest's memory, and its length.
async fn answer(caller: &mut Caller<'_, Host>, ptr: u32, len: u32) -> Result<(u32, u32)> {
    let bytes = memory(caller.data())?.read(ptr, len as usize)?;
    let Some(request) = Request::read(&bytes) else { bail!("_host.call: no such request") };
    // The last one of a call. Nothing is left to say, and an empty answer has no memory.
    if request.name == "exit" {
        let [(0, code)] = request.args[..] else { bail!("exit has one argument") };
        caller.data_mut().call.code = Some(i32::try_from(code).unwrap_or(1));
        return Ok((0, 0));
    }
    const HEAD: u32 = 9;
    let Some(room) = request.output.checked_add(HEAD) else { bail!("_host.call: too long") };
    let at = allocate(caller, room).await?;
    // What a function leaves alone reads as zeros.
    memory(caller.data())?.bytes().fill_zero(at as usize, room as usize)?;
    match run(caller, &request, (ptr, at + HEAD)).await {
        Ok(result) => {
            let mut head = [0; HEAD as usize];
            head[1..].copy_from_slice(&result.to_le_bytes());
            memory(caller.data())?.write(at, &head)?;
            Ok((at, room))
        }
        Err(err) => {
            let why = format!("\x01{err:#}").into_bytes();
            let len = u32::try_from(why.len())?;
            let at = allocate(caller, len).await?;
            memory(caller.data())?.write(at, &why)?;
            Ok((at, len))
        }
    }
}

async fn allocate(caller: &mut Caller<'_, Host>, len: u32) -> Result<u32> {
    let export = caller.get_export(ALLOC).and_then(wasmtime::Extern::into_func);
    let Some(alloc) = export else { bail!("the module does not export {ALLOC}") };
    let at = alloc.typed::<u32, u32>(&*caller)?.call_async(&mut *caller, len).await?;
    // A null pointer is where it has no memory left.
    if at == 0 || memory(caller.data())?.check(at, len as usize).is_err() {
        bail!("out of memory: no {len} bytes for an answer of the host");
    }
    Ok(at)
}

/// Calls the host function that the request names. Its request lies at `from`, its output at `to`.
async fn run(
    caller: &mut Caller<'_, Host>,
    request: &Request<'_>,
    (from, to): (u32, u32),
) -> Result<i64> {
    let place = |kind: u8, value: i64| match kind {
        0 | REAL => Some(value),
        1 => Some(i64::from(from) + request.blob as i64 + value),
        2 => Some(i64::from(to) + value),
        _ => None,
    };
    let args = request.args.iter().map(|&(kind, value)| place(kind, value));
    let Some(args) = args.collect::<Option<Vec<i64>>>() else { bail!("an argument of no kind") };
    let func = function(caller, request.name)?;
    let ty = func.ty(&*caller);
    if ty.params().len() != args.len() || args.len() > ARGUMENTS {
        bail!("{} has {} arguments, not {}", request.name, ty.params().len(), args.len());
    }
    let value = |((ty, arg), kind): ((ValType, i64), u8)| match ty {
        ValType::F64 if kind == REAL => Ok(Val::F64(arg.cast_unsigned())),
        ValType::F64 => bail!("{} takes a float there", request.name),
        _ if kind == REAL => bail!("{} takes no float there", request.name),
        // Also an unsigned pointer or id.
        ValType::I32 => {
            let fits = i32::try_from(arg).or_else(|_| u32::try_from(arg).map(u32::cast_signed));
            fits.map(Val::I32).map_err(|_| wasmtime::format_err!("{arg} does not fit 32 bits"))
        }
        _ => Ok(Val::I64(arg)),
    };
    let kinds = request.args.iter().map(|&(kind, _)| kind);
    let args = ty.params().zip(args).zip(kinds).map(value).collect::<Result<Vec<_>>>()?;
    let mut results = [Val::I32(0)];
    let results = &mut results[..ty.results().len()];
    func.call_async(&mut *caller, &args, results).await?;
    Ok(match results {
        [Val::I32(result)] => i64::from(*result),
        [Val::I64(result)] => *result,
        [Val::F64(bits)] => bits.cast_signed(),
        _ => 0,
    })
}

/// The host function of that name, looked up at its first use: each look makes a new one in the store.
fn function(caller: &mut Caller<'_, Host>, name: &str) -> Result<Func> {
    if let Some(func) = caller.data().functions.get(name) {
        return Ok(*func);
    }
    let rank = caller.data().rank.clone();
    let found = rank.linker.get(&mut *caller, mobula_guest::abi::MODULE, name);
    let Some(func) = found.ok().and_then(wasmtime::Extern::into_func) else {
        bail!("there is no host function {name:?}");
    };
    caller.data_mut().functions.insert(name.into(), func);
    Ok(func)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_read_or_refused() {
        let mut bytes = vec![4];
        bytes.extend_from_slice(b"name");
        bytes.extend_from_slice(&7u32.to_le_bytes());
        bytes.push(2);
        for (kind, value) in [(0u8, -5i64), (1, 3)] {
            bytes.push(kind);
            bytes.extend_from_slice(&value.to_le_bytes());
        }
        bytes.extend_from_slice(b"blob");
        let request = Request::read(&bytes).expect("well formed");
        assert_eq!((request.name, request.output), ("name", 7));
        assert_eq!(request.args, [(0, -5), (1, 3)]);
        assert_eq!(&bytes[request.blob..], b"blob");
        for cut in [0, 1, 4, 8, 9, 12, 27] {
            assert!(Request::read(&bytes[..cut]).is_none(), "cut at {cut}");
        }
        assert!(Request::read(&[1, 0xff, 0, 0, 0, 0, 0]).is_none(), "a name is UTF-8");
    }

    #[test]
    fn texts_are_literals_of_python() {
        assert_eq!(quote("a\"b\\c\n\u{e4}"), "\"a\\\"b\\\\c\\n\u{e4}\"");
    }

    #[test]
    fn modules_and_binaries_are_no_scripts() {
        assert!(Script::of("a", b"print(1)\n").is_some_and(|script| script.file == "a.py"));
        assert!(Script::of("a", b"\0asm\x01\0\0\0").is_none());
        assert!(Script::of("a", &[0xff, 0xfe]).is_none());
    }
}
