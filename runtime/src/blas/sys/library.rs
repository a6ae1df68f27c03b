//! A BLAS of the system: found, tried out, and told to use one thread.
//!
//! Invariant: its functions are called through [`Library::functions`] only, so that each thread has told it
//! before its first call: some builds keep the number by thread.

use std::ffi::c_void;
use std::path::Path;

use libloading::os::unix::{Library as Loaded, Symbol};

/// A BLAS of the system, loaded for good.
pub(in super::super) struct Library {
    name: String,
    functions: Functions,
    /// What sets the number of threads; every one there is.
    set_threads: Vec<unsafe extern "C" fn(isize)>,
}

impl std::fmt::Debug for Library {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Library({})", self.name)
    }
}

// Sizes are `isize` whether the library was built for 32-bit or 64-bit integers: they fit 32 bits, and on
// x86-64 an argument has 64 bits wherever it is passed, of which a callee looks at those it knows.
pub(crate) type Dot = unsafe extern "C" fn(isize, *const f64, isize, *const f64, isize) -> f64;
pub(crate) type Axpy = unsafe extern "C" fn(isize, f64, *const f64, isize, *mut f64, isize);
pub(crate) type Gemv = unsafe extern "C" fn(
    isize,
    isize,
    isize,
    isize,
    f64,
    *const f64,
    isize,
    *const f64,
    isize,
    f64,
    *mut f64,
    isize,
);
pub(crate) type GemmOf<T> = unsafe extern "C" fn(
    isize,
    isize,
    isize,
    isize,
    isize,
    isize,
    T,
    *const T,
    isize,
    *const T,
    isize,
    T,
    *mut T,
    isize,
);

/// The functions of CBLAS that are used.
pub(crate) struct Functions {
    pub(super) ddot: Dot,
    pub(super) daxpy: Axpy,
    pub(super) dgemv: Gemv,
    pub(super) dgemm: GemmOf<f64>,
    pub(super) sgemm: GemmOf<f32>,
}

pub(super) const ROW_MAJOR: isize = 101;
pub(super) const PLAIN: isize = 111;
pub(super) const TRANSPOSED: isize = 112;

/// Where libraries have it: how many threads a call may use.
const SET_THREADS: [&[u8]; 5] = [
    b"openblas_set_num_threads\0",
    b"bli_thread_set_num_threads\0",
    b"MKL_Set_Num_Threads\0",
    b"flexiblas_set_num_threads\0",
    b"omp_set_num_threads\0",
];

impl Library {
    /// # Errors
    /// Why it cannot be used: it is not there, is no CBLAS, or computes something else.
    pub(in super::super) fn load(path: &Path) -> Result<Self, String> {
        // SAFETY: code of the library runs, as the user who started this process asks for.
        let opened = unsafe { Loaded::new(path) };
        let loaded = opened.map_err(|err| err.to_string())?;
        let functions = Functions {
            ddot: find(&loaded, b"cblas_ddot\0")?,
            daxpy: find(&loaded, b"cblas_daxpy\0")?,
            dgemv: find(&loaded, b"cblas_dgemv\0")?,
            dgemm: find(&loaded, b"cblas_dgemm\0")?,
            sgemm: find(&loaded, b"cblas_sgemm\0")?,
        };
        let set_threads = SET_THREADS.iter().filter_map(|name| find(&loaded, name).ok()).collect();
        // Threads of its own may be in its code: it is never unloaded.
        std::mem::forget(loaded);
        let library = Self { name: path.display().to_string(), functions, set_threads };
        library.probe()?;
        Ok(library)
    }

    pub(in super::super) fn name(&self) -> String {
        self.name.clone()
    }

    /// The functions, to be called by this thread.
    pub(super) fn functions(&self) -> &Functions {
        thread_local! {
            static TOLD: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
        }
        if !TOLD.replace(true) {
            for set in &self.set_threads {
                // SAFETY: takes one integer, by all of these names.
                unsafe { set(1) };
            }
        }
        &self.functions
    }

    /// One product of each kind: a library that is none, or takes arguments otherwise, is found out.
    fn probe(&self) -> Result<(), String> {
        let (a, b) = ([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [7.0, 8.0, 9.0, 10.0, 11.0, 12.0]);
        let (a32, b32) = (a.map(|x| x as f32), b.map(|x| x as f32));
        let (mut c, mut c32, mut y) = ([1.0; 4], [1.0f32; 4], [1.0; 2]);
        let f = self.functions();
        let (x, w, z) = (a.as_ptr(), b.as_ptr(), c.as_mut_ptr());
        // SAFETY: 6 elements each.
        let dot = unsafe { (f.ddot)(6, x, 1, w, 1) };
        // SAFETY: 2 x 3 times 3 x 2 is 2 x 2.
        unsafe { (f.dgemm)(ROW_MAJOR, PLAIN, PLAIN, 2, 2, 3, 1.0, x, 3, w, 2, 1.0, z, 2) };
        let (x32, w32, z32) = (a32.as_ptr(), b32.as_ptr(), c32.as_mut_ptr());
        // SAFETY: 2 x 3 times 3 x 2 is 2 x 2, the first one stored as 3 x 2.
        unsafe {
            (f.sgemm)(ROW_MAJOR, TRANSPOSED, PLAIN, 2, 2, 3, 1.0, x32, 2, w32, 2, 1.0, z32, 2)
        };
        // SAFETY: 2 x 3 times 3 is 2.
        unsafe { (f.dgemv)(ROW_MAJOR, PLAIN, 2, 3, 1.0, x, 3, w, 1, 1.0, y.as_mut_ptr(), 1) };
        // SAFETY: 2 elements each.
        unsafe { (f.daxpy)(2, 2.0, x, 1, y.as_mut_ptr(), 1) };
        let good = dot == 217.0
            && c == [59.0, 65.0, 140.0, 155.0]
            && c32 == [90.0, 99.0, 117.0, 129.0]
            && y == [53.0, 127.0];
        if good { Ok(()) } else { Err(format!("it computes {dot}, {c:?}, {c32:?}, {y:?}")) }
    }
}

/// A function of a library, of whatever type the caller knows it to have.
fn find<F: Copy>(library: &Loaded, name: &[u8]) -> Result<F, String> {
    const { assert!(size_of::<F>() == size_of::<*const c_void>()) };
    // SAFETY: `F` is the function's type in every CBLAS; `probe` looks whether it is.
    let found: Result<Symbol<F>, _> = unsafe { library.get(name) };
    found.map(|symbol| *symbol).map_err(|_| {
        let name = String::from_utf8_lossy(name.strip_suffix(b"\0").unwrap_or(name));
        format!("it has no {name}: it is no CBLAS")
    })
}
