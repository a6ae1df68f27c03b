//! Kernels of linear algebra on the guest's memory, windows included.

use mobula_guest::abi;
use wasmtime::{Caller, Linker, Result, Trap};

use super::{memory, named};
use crate::blas::{BlasError, Gemv, Product, Spmv, dspmv};
use crate::host::Host;

pub(super) fn add(linker: &mut Linker<Host>) -> Result<()> {
    add_vectors(linker)?;
    add_products(linker)?;
    let env = abi::MODULE;
    linker.func_wrap(
        env,
        abi::BLAS_DSPMV,
        |caller: Caller<'_, Host>,
         m: i32,
         n: i32,
         nnz: i32,
         alpha: f64,
         rows: u32,
         columns: u32,
         values: u32,
         x: u32,
         beta: f64,
         y: u32| {
            let (size, scale) = ((m, n, nnz), (alpha, beta));
            let of = Spmv { size, scale, rows, columns, values, x, y };
            let host = caller.data();
            let done = dspmv(memory(host)?, &of, host.call.deadline);
            done.map_err(refusal(abi::BLAS_DSPMV))
        },
    )?;
    Ok(())
}

fn add_vectors(linker: &mut Linker<Host>) -> Result<()> {
    let env = abi::MODULE;
    linker.func_wrap(
        env,
        abi::BLAS_DDOT,
        |caller: Caller<'_, Host>, n: i32, x: u32, incx: i32, y: u32, incy: i32| {
            let host = caller.data();
            let dot = host.rank.blas.ddot(memory(host)?, n, (x, incx), (y, incy));
            dot.map_err(refusal(abi::BLAS_DDOT))
        },
    )?;
    linker.func_wrap(
        env,
        abi::BLAS_DAXPY,
        |caller: Caller<'_, Host>, n: i32, alpha: f64, x: u32, incx: i32, y: u32, incy: i32| {
            let host = caller.data();
            let done = host.rank.blas.daxpy(memory(host)?, (n, alpha), (x, incx), (y, incy));
            done.map_err(refusal(abi::BLAS_DAXPY))
        },
    )?;
    linker.func_wrap(
        env,
        abi::BLAS_DGEMV,
        |caller: Caller<'_, Host>,
         transposed: i32,
         m: i32,
         n: i32,
         alpha: f64,
         a: u32,
         lda: i32,
         x: u32,
         incx: i32,
         beta: f64,
         y: u32,
         incy: i32| {
            let (size, scale) = ((m, n), (alpha, beta));
            let (a, x, y) = ((a, lda), (x, incx), (y, incy));
            let host = caller.data();
            let of = Gemv { transposed, size, scale, a, x, y };
            let done = host.rank.blas.dgemv(memory(host)?, &of);
            done.map_err(refusal(abi::BLAS_DGEMV))
        },
    )?;
    Ok(())
}

/// The same for both kinds of numbers.
macro_rules! add_product {
    ($linker:ident, $name:expr, $of:ty) => {
        $linker.func_wrap(
            abi::MODULE,
            $name,
            |caller: Caller<'_, Host>,
             ta: i32,
             tb: i32,
             m: i32,
             n: i32,
             k: i32,
             alpha: f64,
             a: u32,
             lda: i32,
             b: u32,
             ldb: i32,
             beta: f64,
             c: u32,
             ldc: i32| {
                let (transposed, size, scale) = ((ta, tb), (m, n, k), (alpha, beta));
                let (a, b, c) = ((a, lda), (b, ldb), (c, ldc));
                let host = caller.data();
                let of = Product { transposed, size, scale, a, b, c };
                let done = host.rank.blas.gemm::<$of>(memory(host)?, &of, host.call.deadline);
                done.map_err(refusal($name))
            },
        )?;
    };
}

fn add_products(linker: &mut Linker<Host>) -> Result<()> {
    add_product!(linker, abi::BLAS_DGEMM, f64);
    add_product!(linker, abi::BLAS_SGEMM, f32);
    Ok(())
}

/// A refusal with the function's name; a call whose time is over ends as it does in its own code.
fn refusal(name: &'static str) -> impl Fn(BlasError) -> wasmtime::Error {
    move |err| match err {
        BlasError::Late => Trap::Interrupt.into(),
        err => named(name)(err.into()),
    }
}
