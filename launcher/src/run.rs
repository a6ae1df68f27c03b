//! `mobula run` and `mobula invoke`: one rank, one main call, and everything it chains.

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use mobula_runtime::{
    Config, Dir, Finished, Outcome, ProcessStdio, Runtime, Store, UserState, Value,
};

use crate::cli::parse::{KeyValue, StateArg};
use crate::cli::run::{CallArgs, InvokeArgs, RunArgs};
use crate::compile::{cache, name_of, read_module};
use crate::functions::function_name;
use crate::job::Job;
use crate::placement::{Placement, place};
use crate::progress::compiling;
use crate::python::module_of;
use crate::store::{self, DirStore, keep};
use crate::{exit, tell};

/// Piece in which state files are copied, so that a large value is never held twice.
const PIECE: usize = 4 << 20;

pub fn run(args: RunArgs) -> Result<u8> {
    let job = Job::start(&args.call)?;
    let placement = place(&args.call, job.ranks);
    job.run(|| {
        if job.is_first() {
            lead(&args, &job, &placement)
        } else {
            serve(&args.call, &job, &placement)
        }
    })
}

/// A rank that is not the first: no files, no input, no main.
fn serve(args: &CallArgs, job: &Job, placement: &Placement) -> Result<u8> {
    let mut config = config(args, String::new(), None)?;
    placement.configure(&mut config);
    let runtime = runtime(config, job)?;
    Ok(job.serve(&runtime))
}

fn runtime(config: Config, job: &Job) -> Result<Runtime> {
    let stdio = Arc::new(ProcessStdio);
    Ok(match &job.fabric {
        Some(fabric) => Runtime::join(config, stdio, fabric.clone())?,
        None => Runtime::new(config, stdio)?,
    })
}

fn lead(args: &RunArgs, job: &Job, placement: &Placement) -> Result<u8> {
    let input = input(&args.call)?;
    let wasm = read_module(&args.file)?;
    let name = name_of(&args.file);
    let store = store_of(args)?;
    let mut config = config(&args.call, args.file.display().to_string(), store.clone())?;
    placement.configure(&mut config);
    let runtime = runtime(config, job)?;
    runtime.assemble()?;
    register(&runtime, &args.user, &name, &args.file, &wasm)?;
    for with in &args.with {
        let (name, file) = match with.split_once('=') {
            Some((name, file)) => (name.to_owned(), PathBuf::from(file)),
            None => (name_of(Path::new(with)), PathBuf::from(with)),
        };
        register(&runtime, &args.user, &name, &file, &read_module(&file)?)?;
    }
    for state in &args.state {
        load_state(&runtime, state)?;
    }
    let finished = runtime.call(&args.user, &name, args.call.func, input)?;
    if let Some(path) = &args.output {
        write_output(path, &finished.output)?;
    }
    for state in &args.save_state {
        save_state(&runtime, state)?;
    }
    end(&runtime, &args.call, &finished, store.filter(|_| args.keep_state).as_deref())
}

pub fn invoke(args: &InvokeArgs) -> Result<u8> {
    let job = Job::start(&args.call)?;
    let placement = place(&args.call, job.ranks);
    job.run(|| match job.is_first() {
        true => lead_invoke(args, &job, &placement),
        false => serve(&args.call, &job, &placement),
    })
}

fn lead_invoke(args: &InvokeArgs, job: &Job, placement: &Placement) -> Result<u8> {
    let (user, name) = (args.function.user.as_str(), function_name(&args.function)?);
    let input = input(&args.call)?;
    let store = Arc::new(store::open(args.store.as_deref())?);
    let mut config = config(&args.call, format!("{user}/{name}"), Some(store.clone()))?;
    placement.configure(&mut config);
    let runtime = runtime(config, job)?;
    runtime.assemble()?;
    let module = || store.function(user, name).ok().flatten().and_then(module_of);
    compiling(name, module, || runtime.prepare(user, name))?;
    let finished = runtime.call(user, name, args.call.func, input)?;
    write_output(args.output.as_deref().unwrap_or(Path::new("-")), &finished.output)?;
    end(&runtime, &args.call, &finished, Some(&store))
}

/// The store of a run: only one that was named, or that is to keep the state.
fn store_of(args: &RunArgs) -> Result<Option<Arc<DirStore>>> {
    let named = args.store.clone().or_else(store::named_by_environment);
    if named.is_none() && !args.keep_state {
        return Ok(None);
    }
    Ok(Some(Arc::new(store::open(named.as_deref())?)))
}

/// What comes after a call: statistics, state that stays, the exit code.
fn end(
    runtime: &Runtime,
    args: &CallArgs,
    finished: &Finished,
    keep_in: Option<&DirStore>,
) -> Result<u8> {
    if let Some(path) = &args.stats {
        write_stats(path, runtime)?;
    }
    if let Some(store) = keep_in {
        match finished.outcome {
            Outcome::Returned(_) | Outcome::Exited(_) => keep::keep(store, runtime.state())?,
            _ => tell("the call failed; the store stays as it was"),
        }
    }
    Ok(code(finished))
}

fn config(args: &CallArgs, program: String, store: Option<Arc<DirStore>>) -> Result<Config> {
    let mut config =
        Config { store: store.map(|store| store as Arc<dyn Store>), ..Config::default() };
    if let Some(threads) = args.threads {
        config.threads = threads.into();
    }
    if let Some(bytes) = args.max_memory {
        config.max_memory = bytes;
    }
    if let Some(limit) = args.max_faaslets {
        config.max_faaslets = usize::try_from(limit)?;
    }
    config.timeout = args.timeout;
    if let Some(limit) = args.peer_timeout {
        config.peer_timeout = limit;
    }
    // Ranks that were told something else are noticed.
    config.launch = std::env::args().skip(1).collect::<Vec<_>>().join(" ");
    config.track_writes = args.track_writes;
    let named = || std::env::var_os("MOBULA_BLAS").filter(|name| !name.is_empty());
    config.blas = args.blas.clone().or_else(|| named().map(PathBuf::from));
    for KeyValue { key, value } in &args.conf {
        match value.as_str() {
            "1" | "on" | "true" => config.conf.insert(key.clone()),
            "0" | "off" | "false" => config.conf.remove(key),
            other => bail!("--conf {key}={other}: use 1, on or true, or 0, off or false"),
        };
    }
    let pairs = args.env.iter().map(|pair| (pair.key.clone(), pair.value.clone()));
    config.env = pairs.collect();
    config.dirs = args
        .dir
        .iter()
        .map(|dir| Dir {
            host: dir.host.clone(),
            guest: dir.guest.clone(),
            read_only: dir.read_only,
        })
        .collect();
    config.args = std::iter::once(program).chain(args.args.clone()).collect();
    let (python, paths) = crate::python::with_paths(&args.py_path)?;
    config.python = python;
    config.dirs.extend(paths);
    if !args.no_cache {
        config.cache = cache();
    }
    config.on_scratch = Some(crate::reaper::watch);
    Ok(config)
}

fn register(runtime: &Runtime, user: &str, name: &str, file: &Path, wasm: &[u8]) -> Result<()> {
    compiling(name, || module_of(wasm.to_vec()), || runtime.register(user, name, wasm))
        .with_context(|| format!("{}", file.display()))
}

fn input(args: &CallArgs) -> Result<Vec<u8>> {
    match (&args.input, &args.input_file) {
        (Some(text), _) => Ok(text.clone().into_bytes()),
        (None, Some(path)) => {
            std::fs::read(path).with_context(|| format!("cannot read input {}", path.display()))
        }
        (None, None) => Ok(Vec::new()),
    }
}

fn load_state(runtime: &Runtime, arg: &StateArg) -> Result<()> {
    let what = || format!("--state {}/{}={}", arg.user, arg.key, arg.file.display());
    let mut file = std::fs::File::open(&arg.file).with_context(what)?;
    let meta = file.metadata().with_context(what)?;
    if !meta.is_file() {
        // A pipe or device does not know its length before its end.
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).with_context(what)?;
        let user = runtime.state().user(&arg.user);
        let value = user.for_whole_write(arg.key.as_bytes(), bytes.len() as u64);
        let value = value.with_context(what)?;
        return user.write(&value, 0, &bytes).with_context(what);
    }
    let len = meta.len();
    let user = runtime.state().user(&arg.user);
    let value = user.for_whole_write(arg.key.as_bytes(), len).with_context(what)?;
    let (mut piece, mut at) = (vec![0; PIECE], 0);
    while at < value.bytes().len() {
        let n = file.read(&mut piece).with_context(what)?;
        if n == 0 {
            bail!("{}: the file became shorter while it was read", what());
        }
        let n = n.min(value.bytes().len() - at);
        user.write(&value, at, &piece[..n]).with_context(what)?;
        at += n;
    }
    Ok(())
}

fn save_state(runtime: &Runtime, arg: &StateArg) -> Result<()> {
    let what = || format!("--save-state {}/{}={}", arg.user, arg.key, arg.file.display());
    let user = runtime.state().user(&arg.user);
    let value = user.known(arg.key.as_bytes()).with_context(what)?;
    if std::fs::metadata(&arg.file).is_ok_and(|meta| !meta.is_file()) {
        // A pipe or device is written to, not replaced.
        let mut file =
            std::fs::OpenOptions::new().write(true).open(&arg.file).with_context(what)?;
        return copy_value(&user, &value, &mut file).with_context(what);
    }
    let dir = arg.file.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // As readable as any new file: the umask takes away what it should.
    let readable = std::fs::Permissions::from_mode(0o666);
    let file = tempfile::Builder::new().permissions(readable).tempfile_in(dir);
    let mut file = file.with_context(what)?;
    copy_value(&user, &value, &mut file).with_context(what)?;
    file.persist(&arg.file).with_context(what)?;
    Ok(())
}

fn copy_value(user: &UserState, value: &Arc<Value>, to: &mut impl Write) -> Result<()> {
    keep::pieces(user, value, |piece| to.write_all(piece))?;
    Ok(to.flush()?)
}

fn write_output(path: &Path, output: &[u8]) -> Result<()> {
    if path == Path::new("-") {
        let mut out = std::io::stdout().lock();
        return out.write_all(output).and_then(|()| out.flush()).context("writing the output");
    }
    std::fs::write(path, output).with_context(|| format!("cannot write output {}", path.display()))
}

fn write_stats(path: &Path, runtime: &Runtime) -> Result<()> {
    let text = serde_json::to_string_pretty(&runtime.report())?;
    if path == Path::new("-") {
        return writeln!(std::io::stderr(), "{text}").context("writing the statistics");
    }
    std::fs::write(path, text + "\n").with_context(|| format!("cannot write {}", path.display()))
}

fn code(finished: &Finished) -> u8 {
    match &finished.outcome {
        Outcome::Returned(code) | Outcome::Exited(code) => {
            u8::try_from(*code).unwrap_or_else(|_| {
                tell(&format!("the guest returned {code}; exit code {}", exit::WIDE));
                exit::WIDE
            })
        }
        Outcome::TimedOut(_) => exit::TIMEOUT,
        Outcome::Trapped(_) | Outcome::Refused(_) => exit::TRAP,
    }
}
