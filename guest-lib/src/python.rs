//! The library of Python functions, as the runtime hands it to the interpreter.

/// The first text that the interpreter runs. It defines `_mobula_boot_prepare(sources, name, source,
/// paths, argv)`, which loads the library and the user's file before the snapshot, and
/// `_mobula_boot_call(index)`, which runs an entry.
pub const BOOT: &str = include_str!("../python/_mobula_boot.py");

macro_rules! sources {
    ($($module:literal: $file:literal),* $(,)?) => {
        &[$(($module, include_str!(concat!("../python/", $file)))),*]
    };
}

/// Names and texts of the library's modules; without what only an ordinary Python needs.
pub const LIBRARY: &[(&str, &str)] = sources![
    "mobula": "mobula/__init__.py",
    "mobula._calls": "mobula/_calls.py",
    "mobula._describe": "mobula/_describe.py",
    "mobula._entries": "mobula/_entries.py",
    "mobula._errors": "mobula/_errors.py",
    "mobula._files": "mobula/_files.py",
    "mobula._host": "mobula/_host.py",
    "mobula._identity": "mobula/_identity.py",
    "mobula._locks": "mobula/_locks.py",
    "mobula._state": "mobula/_state.py",
    "mobula._windows": "mobula/_windows.py",
    "mobula.blas": "mobula/blas.py",
    "pyfaasm": "pyfaasm/__init__.py",
    "pyfaasm.code": "pyfaasm/code.py",
    "pyfaasm.core": "pyfaasm/core.py",
    "pyfaasm.state": "pyfaasm/state.py",
];
