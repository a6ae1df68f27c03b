//! Kernels of the host on a guest's memory: right results, refusals of whatever does not fit, and indices
//! that change while they are used.

mod common;

use std::time::Duration;

use common::{Guest, threads};
use mobula_runtime::{Config, Finished, Outcome};

/// A guest whose entries each pass 13 arguments on, from the start of the input, which is copied to address
/// 0 and is the output afterwards. Entry 6 returns its memory from `REST` on.
fn guest(pages: usize) -> String {
    let (i, f) = ("i32", "f64");
    let functions: [(&str, &[&str], &str); 6] = [
        ("ddot", &[i, i, i, i, i], "(result f64)"),
        ("daxpy", &[i, f, i, i, i, i], ""),
        ("dgemv", &[i, i, i, f, i, i, i, i, f, i, i], ""),
        ("dgemm", &[i, i, i, i, i, f, i, i, i, i, f, i, i], ""),
        ("sgemm", &[i, i, i, i, i, f, i, i, i, i, f, i, i], ""),
        ("dspmv", &[i, i, i, f, i, i, i, i, f, i], ""),
    ];
    let (mut imports, mut entries) = (String::new(), String::new());
    for (number, (name, params, result)) in functions.iter().enumerate() {
        let types = params.join(" ");
        imports += &format!(
            "(import \"env\" \"__mobula_blas_{name}\" (func ${name} (param {types}) {result}))"
        );
        let load = |(at, ty): (usize, &&str)| match *ty {
            "f64" => format!("(f64.load (i32.const {}))", 8 * at),
            _ => format!("(i32.wrap_i64 (i64.load (i32.const {})))", 8 * at),
        };
        let args: String = params.iter().enumerate().map(load).collect();
        let call = match result.is_empty() {
            true => format!("(call ${name} {args})"),
            false => format!("(f64.store (i32.const 0) (call ${name} {args}))"),
        };
        entries += &format!(
            "(func (export \"_faasm_func_{number}\") (result i32) (local $n i32)
               (local.set $n (call $input (i32.const 0) (i32.const {})))
               {call} (call $output (i32.const 0) (local.get $n)) (i32.const 0))",
            pages * 65536
        );
    }
    format!(
        "{imports} (memory (export \"memory\") {pages}) {entries}
         (func (export \"_faasm_func_6\") (result i32)
           (call $output (i32.const {REST}) (i32.const 1024)) (i32.const 0))"
    )
}

const PAGES: usize = 4;
const MEMORY: i64 = (PAGES * 65536) as i64;
const REST: i64 = MEMORY - 1024;
/// Where data begins in the input.
const DATA: i64 = 104;
const DOT: i32 = 0;
const AXPY: i32 = 1;
const GEMV: i32 = 2;
const GEMM: i32 = 3;
const SGEMM: i32 = 4;
const SPMV: i32 = 5;

/// A guest's data, written one after the other.
#[derive(Default)]
struct Data(Vec<u8>);

impl Data {
    /// Appends numbers; their address.
    fn put<T: Copy>(&mut self, values: &[T], bytes: impl Fn(T) -> Vec<u8>) -> i64 {
        self.0.resize(self.0.len().next_multiple_of(8), 0);
        let at = DATA + self.0.len() as i64;
        values.iter().for_each(|value| self.0.extend(bytes(*value)));
        at
    }

    fn reals(&mut self, values: &[f64]) -> i64 {
        self.put(values, |value| value.to_le_bytes().to_vec())
    }

    fn floats(&mut self, values: &[f64]) -> i64 {
        self.put(values, |value| (value as f32).to_le_bytes().to_vec())
    }

    fn integers(&mut self, values: &[i32]) -> i64 {
        self.put(values, |value| value.to_le_bytes().to_vec())
    }

    fn input(&self, args: &[i64]) -> Vec<u8> {
        let mut args = args.to_vec();
        args.resize(13, 0);
        args.iter().flat_map(|arg| arg.to_le_bytes()).chain(self.0.iter().copied()).collect()
    }
}

fn real(value: f64) -> i64 {
    value.to_bits().cast_signed()
}

fn run(guest: &Guest, entry: i32, args: &[i64], data: &Data) -> Result<Vec<u8>, String> {
    let Finished { outcome, output } = guest.call_with(entry, &data.input(args));
    match outcome.failure() {
        None => Ok(output),
        Some(why) => Err(why.to_owned()),
    }
}

fn reals_at(output: &[u8], at: i64, n: usize) -> Vec<f64> {
    let at = usize::try_from(at).unwrap();
    let bytes = output[at..at + 8 * n].as_chunks::<8>().0;
    bytes.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect()
}

/// Numbers that look random; small enough for sums to be exact.
fn numbers(n: usize, seed: usize) -> Vec<f64> {
    (0..n).map(|i| ((i * 7919 + seed * 104_729) % 17) as f64 - 8.0).collect()
}

/// The kernels that are built in, in steps too, and those of a system that has some.
fn guests(pages: usize) -> Vec<Guest> {
    let timed = Config { timeout: Some(Duration::from_secs(50)), ..threads(2) };
    let system = Config { blas: Some("system".into()), ..threads(2) };
    let said = std::sync::Arc::new(common::Remember::default());
    let there = mobula_runtime::Runtime::new(system.clone(), said).is_ok();
    let mut configs = vec![threads(2), timed];
    configs.extend(there.then_some(system));
    configs.into_iter().map(|config| Guest::new(config, &guest(pages))).collect()
}

/// A product by plain loops, and by the host, with gaps between rows that stay as they are.
fn check_product(guest: &Guest, (m, n, k): (usize, usize, usize), trans: (bool, bool), gap: usize) {
    for (alpha, beta) in [(1.0, 0.0), (2.0, 1.0), (-1.0, 0.5), (0.0, 2.0)] {
        let (a_rows, a_cols) = if trans.0 { (k, m) } else { (m, k) };
        let (b_rows, b_cols) = if trans.1 { (n, k) } else { (k, n) };
        let [lda, ldb, ldc] = [a_cols, b_cols, n].map(|cols| cols + gap + usize::from(cols == 0));
        let (a, b) = (numbers(a_rows * lda, 1), numbers(b_rows * ldb, 2));
        let mut c = numbers(m * ldc, 3);
        if beta == 0.0 {
            // What is not to be read.
            (0..m).for_each(|i| c[i * ldc..i * ldc + n].fill(f64::NAN));
        }
        let mut expected = c.clone();
        for i in 0..m {
            for j in 0..n {
                let of = |x: &[f64], t, r, s, ld| if t { x[s * ld + r] } else { x[r * ld + s] };
                let term = |l| of(&a, trans.0, i, l, lda) * of(&b, trans.1, l, j, ldb);
                let old = if beta == 0.0 { 0.0 } else { beta * c[i * ldc + j] };
                expected[i * ldc + j] = alpha * (0..k).map(term).sum::<f64>() + old;
            }
        }
        for single in [false, true] {
            let mut data = Data::default();
            let mut put = |x: &[f64]| if single { data.floats(x) } else { data.reals(x) };
            let (a_at, b_at, c_at) = (put(&a), put(&b), put(&c));
            let sizes = [m, n, k, lda, ldb, ldc].map(|x| x as i64);
            let [m, n, k, lda, ldb, ldc] = sizes;
            let (ta, tb) = (i64::from(trans.0), i64::from(trans.1));
            let (alpha, beta) = (real(alpha), real(beta));
            let args = [ta, tb, m, n, k, alpha, a_at, lda, b_at, ldb, beta, c_at, ldc];
            let output = run(guest, if single { SGEMM } else { GEMM }, &args, &data).unwrap();
            let found: Vec<f64> = match single {
                false => reals_at(&output, c_at, expected.len()),
                true => {
                    let at = usize::try_from(c_at).unwrap();
                    let bytes = output[at..].as_chunks::<4>().0;
                    let floats = bytes.iter().map(|b| f64::from(f32::from_le_bytes(*b)));
                    floats.take(expected.len()).collect()
                }
            };
            assert_eq!(found, expected, "{sizes:?} {trans:?}");
        }
    }
}

#[test]
fn products_of_matrices() {
    for guest in guests(PAGES) {
        let small = [(1, 1, 1), (2, 3, 4), (5, 1, 7), (1, 6, 7), (4, 4, 0), (0, 3, 2), (3, 0, 2)];
        for size in small.into_iter().chain([(33, 17, 40), (40, 41, 1), (3, 40, 2)]) {
            for trans in [(false, false), (false, true), (true, false), (true, true)] {
                check_product(&guest, size, trans, 0);
                check_product(&guest, size, trans, 3);
            }
        }
    }
}

#[test]
fn products_longer_than_a_step() {
    for guest in guests(400) {
        check_product(&guest, (2, 1030, 1100), (false, false), 0);
        check_product(&guest, (1030, 3, 1100), (true, true), 0);
        check_product(&guest, (1100, 2, 0), (false, false), 0);
    }
}

#[test]
fn products_with_vectors() {
    for guest in guests(PAGES) {
        for (m, n) in [(1, 1), (3, 5), (70, 33), (2, 0), (0, 2), (9, 1100), (1100, 3)] {
            for (trans, step, (alpha, beta)) in
                [(0, 1, (1.0, 0.0)), (1, 1, (2.0, 1.0)), (0, 3, (1.0, 1.0)), (1, 2, (2.0, 0.0))]
            {
                let (inner, outer) = if trans == 0 { (n, m) } else { (m, n) };
                let lda = n + 2;
                let (a, x) = (numbers(m * lda, 1), numbers(inner * step, 2));
                let y = numbers(outer * step, 3);
                let mut expected = y.clone();
                for i in 0..outer {
                    let at = |j| if trans == 0 { a[i * lda + j] } else { a[j * lda + i] };
                    let sum: f64 = (0..inner).map(|j| at(j) * x[j * step]).sum();
                    expected[i * step] = alpha * sum + beta * y[i * step];
                }
                let mut data = Data::default();
                let (a_at, x_at, y_at) = (data.reals(&a), data.reals(&x), data.reals(&y));
                let [m, n, lda, step] = [m, n, lda, step].map(|x| x as i64);
                let (alpha, beta) = (real(alpha), real(beta));
                let args = [trans, m, n, alpha, a_at, lda, x_at, step, beta, y_at, step];
                let output = run(&guest, GEMV, &args, &data).unwrap();
                assert_eq!(reals_at(&output, y_at, expected.len()), expected, "{m} {n} {trans}");
            }
        }
    }
}

#[test]
fn vectors() {
    for guest in guests(PAGES) {
        for (n, step_x, step_y) in [(0, 1, 1), (1, 1, 1), (100, 1, 1), (1000, 1, 1), (50, 3, 2)] {
            let (x, y) = (numbers(n * step_x, 1), numbers(n * step_y, 2));
            let mut data = Data::default();
            let (x_at, y_at) = (data.reals(&x), data.reals(&y));
            let [count, incx, incy] = [n, step_x, step_y].map(|x| x as i64);
            let dot: f64 = (0..n).map(|i| x[i * step_x] * y[i * step_y]).sum();
            let output = run(&guest, DOT, &[count, x_at, incx, y_at, incy], &data).unwrap();
            assert_eq!(reals_at(&output, 0, 1), [dot]);
            let args = [count, real(3.0), x_at, incx, y_at, incy];
            let output = run(&guest, AXPY, &args, &data).unwrap();
            let mut expected = y.clone();
            (0..n).for_each(|i| expected[i * step_y] += 3.0 * x[i * step_x]);
            assert_eq!(reals_at(&output, y_at, y.len()), expected);
        }
    }
}

/// 3 x 4 with 5 elements.
fn sparse(rows: &[i32], columns: &[i32]) -> (Data, [i64; 10]) {
    let mut data = Data::default();
    let rows = data.integers(rows);
    let columns = data.integers(columns);
    let values = data.reals(&[1.0, 2.0, 3.0, 4.0, 5.0]);
    let x = data.reals(&[1.0, 10.0, 100.0, 1000.0]);
    let y = data.reals(&[0.5, 0.5, 0.5]);
    (data, [3, 4, 5, real(2.0), rows, columns, values, x, real(1.0), y])
}

#[test]
fn sparse_matrices() {
    let guest = Guest::new(threads(1), &guest(PAGES));
    let (data, args) = sparse(&[0, 2, 2, 5], &[0, 3, 1, 2, 0]);
    let output = run(&guest, SPMV, &args, &data).unwrap();
    assert_eq!(reals_at(&output, args[9], 3), [4002.5, 0.5, 870.5]);
    // Rows 1 and 2 alone.
    let mut part = args;
    (part[0], part[4]) = (2, args[4] + 4);
    let output = run(&guest, SPMV, &part, &data).unwrap();
    assert_eq!(reals_at(&output, args[9], 3), [0.5, 870.5, 0.5]);
}

#[test]
fn wrong_indices_are_refused() {
    let guest = Guest::new(threads(1), &guest(PAGES));
    let good = ([0, 2, 2, 5], [0, 3, 1, 2, 0]);
    let cases: [([i32; 4], [i32; 5], &str); 8] = [
        ([0, 2, 2, 6], good.1, "row 2 has elements 2 to 6"),
        ([0, 3, 2, 5], good.1, "row 1 has elements 3 to 2"),
        ([-1, 2, 2, 5], good.1, "row 0 has elements -1"),
        ([6, 6, 6, 6], good.1, "row 0 has elements 6"),
        ([0, 2, 2, i32::MAX], good.1, "row 2"),
        (good.0, [0, 4, 1, 2, 0], "row 0 has column 4; there are 4"),
        (good.0, [0, 3, 1, -1, 0], "row 2 has column -1"),
        (good.0, [0, 3, 1, i32::MIN, 0], "row 2 has column -2147483648"),
    ];
    for (rows, columns, why) in cases {
        let (data, args) = sparse(&rows, &columns);
        let said = run(&guest, SPMV, &args, &data).unwrap_err();
        assert!(said.contains(why) && said.contains("mobula_blas_dspmv"), "{said}");
    }
}

/// Arguments of one good call, one of them replaced; what the refusal says.
#[test]
fn hostile_arguments_are_refused() {
    const MAX: i64 = i32::MAX as i64;
    const MIN: i64 = i32::MIN as i64;
    let (one, a, b, c) = (real(1.0), 1024, 2048, 4096);
    let dot = [8, a, 1, b, 1];
    let axpy = [8, one, a, 1, b, 1];
    let gemv = [0, 8, 8, one, a, 8, b, 1, one, c, 1];
    let gemm = [0, 0, 8, 8, 8, one, a, 8, b, 8, one, c, 8];
    let spmv = [3, 4, 5, one, 8192, 8292, a, b, one, c];
    let cases: &[(i32, &[i64], usize, i64, &str)] = &[
        (DOT, &dot, 0, -1, "x is negative: -1"),
        (DOT, &dot, 0, MIN, "negative"),
        (DOT, &dot, 0, MAX, "outside the memory"),
        (DOT, &dot, 1, MEMORY - 56, "outside the memory"),
        (DOT, &dot, 1, -8, "outside the memory"),
        (DOT, &dot, 1, 1028, "no multiple of 8"),
        (DOT, &dot, 2, 0, "from one row to the next"),
        (DOT, &dot, 2, -1, "from one row to the next"),
        (DOT, &dot, 2, MAX, "outside the memory"),
        (DOT, &dot, 3, MEMORY, "outside the memory"),
        (AXPY, &axpy, 0, 1 << 29, "outside the memory"),
        (AXPY, &axpy, 4, a, "y overlaps x"),
        (AXPY, &axpy, 4, a + 8, "y overlaps x"),
        (AXPY, &axpy, 5, MIN, "from one row to the next"),
        (GEMV, &gemv, 0, 2, "trans is 2"),
        (GEMV, &gemv, 1, -8, "negative"),
        (GEMV, &gemv, 2, 9, "8 elements from one row to the next"),
        (GEMV, &gemv, 5, MAX, "outside the memory"),
        (GEMV, &gemv, 9, a + 504, "y overlaps a"),
        (GEMV, &gemv, 9, b + 56, "y overlaps x"),
        (GEMM, &gemm, 0, -1, "transA is -1"),
        (GEMM, &gemm, 1, 111, "transB is 111"),
        (GEMM, &gemm, 2, -1, "m is negative"),
        (GEMM, &gemm, 3, MIN, "n is negative"),
        (GEMM, &gemm, 4, -1, "k is negative"),
        (GEMM, &gemm, 2, MAX, "outside the memory"),
        (GEMM, &gemm, 4, MAX, "from one row to the next"),
        (GEMM, &gemm, 6, MEMORY - 504, "outside the memory"),
        (GEMM, &gemm, 6, -512, "outside the memory"),
        (GEMM, &gemm, 7, 7, "7 elements from one row to the next"),
        (GEMM, &gemm, 7, MAX, "outside the memory"),
        (GEMM, &gemm, 8, MEMORY - 8, "outside the memory"),
        (GEMM, &gemm, 9, MIN, "from one row to the next"),
        (GEMM, &gemm, 11, 4100, "no multiple of 8"),
        (GEMM, &gemm, 11, a, "c overlaps a"),
        (GEMM, &gemm, 11, b + 504, "c overlaps b"),
        (GEMM, &gemm, 11, MEMORY - 504, "outside the memory"),
        (GEMM, &gemm, 12, 0, "from one row to the next"),
        (SGEMM, &gemm, 11, 4098, "no multiple of 4"),
        (SGEMM, &gemm, 11, MEMORY - 252, "outside the memory"),
        (SPMV, &spmv, 0, -1, "negative"),
        (SPMV, &spmv, 0, MAX, "negative"),
        (SPMV, &spmv, 0, MAX - 1, "outside the memory"),
        (SPMV, &spmv, 1, -1, "x is negative"),
        (SPMV, &spmv, 2, MAX, "outside the memory"),
        (SPMV, &spmv, 4, MEMORY - 12, "outside the memory"),
        (SPMV, &spmv, 5, 8294, "no multiple of 4"),
        (SPMV, &spmv, 9, b + 24, "y overlaps x"),
        (SPMV, &spmv, 9, 8192 + 8, "y overlaps the rows"),
    ];
    for guest in guests(PAGES) {
        for (entry, good, which, value, why) in cases {
            let mut args = good.to_vec();
            args[*which] = *value;
            let said = run(&guest, *entry, &args, &Data::default()).expect_err(why);
            assert!(said.contains(why), "{entry} {args:?}: {said}, not {why}");
        }
        for (entry, good) in [(DOT, &dot[..]), (AXPY, &axpy), (GEMV, &gemv), (GEMM, &gemm)] {
            run(&guest, entry, good, &Data::default()).unwrap();
        }
    }
}

/// Quarters of one matrix, as factorisations update them: their rows lie between each other's.
#[test]
fn parts_of_one_matrix_are_operands_and_result() {
    let guest = Guest::new(threads(1), &guest(PAGES));
    let (n, half) = (8usize, 4usize);
    let matrix = numbers(n * n, 1);
    let mut data = Data::default();
    let at = data.reals(&matrix);
    let part = |r: usize, c: usize| at + 8 * (r * n + c) as i64;
    let (h, ld) = (half as i64, n as i64);
    let args =
        [0, 0, h, h, h, real(-1.0), part(4, 0), ld, part(0, 4), ld, real(1.0), part(4, 4), ld];
    let output = run(&guest, GEMM, &args, &data).unwrap();
    let mut expected = matrix.clone();
    for i in half..n {
        for j in half..n {
            let term = |l: usize| matrix[i * n + l] * matrix[l * n + j];
            expected[i * n + j] -= (0..half).map(term).sum::<f64>();
        }
    }
    assert_eq!(reals_at(&output, at, n * n), expected);
    for (r, c) in [(4, 1), (3, 4), (1, 5), (0, 4), (7, 0)] {
        let mut args = args;
        args[11] = part(r, c);
        let said = run(&guest, GEMM, &args, &data).unwrap_err();
        assert!(said.contains("overlaps"), "{r} {c}: {said}");
    }
}

#[test]
fn what_a_kernel_wrote_is_gone_in_the_next_call() {
    for guest in guests(PAGES) {
        for _ in 0..40 {
            let mut data = Data::default();
            let x = data.reals(&numbers(8, 1));
            run(&guest, AXPY, &[8, real(1.0), x, 1, REST, 1], &data).unwrap();
            let Finished { outcome, output } = guest.call(6);
            assert_eq!(outcome, Outcome::Returned(0));
            assert!(output.iter().all(|byte| *byte == 0));
        }
    }
}

#[test]
fn a_long_product_ends_with_its_time() {
    let config = Config { timeout: Some(Duration::from_millis(100)), ..threads(1) };
    let guest = Guest::new(config, &guest(3200));
    let (n, c) = (3072, 3072 * 3072 * 8 + 1024);
    let args = [0, 0, n, n, n, real(1.0), 1024, n, 1024, n, real(0.0), c, n];
    let outcome = guest.call_with(GEMM, &Data::default().input(&args)).outcome;
    assert!(matches!(outcome, Outcome::TimedOut(_)), "{outcome:?}");
}

/// A call multiplies while another one changes the indices that it uses, through a window.
#[test]
fn indices_that_change_while_they_are_used() {
    let body = r#"
        (import "env" "__mobula_blas_dspmv"
            (func $dspmv (param i32 i32 i32 f64 i32 i32 i32 i32 f64 i32)))
        (memory (export "memory") 2) (data (i32.const 0) "k\00")
        ;; The columns are the window; x ends where the memory does.
        (func (export "_faasm_func_0") (result i32) (local $w i32) (local $i i32)
          (local.set $w (call $window (i32.const 0) (i32.const 4096)))
          (i32.store (i32.const 1028) (i32.const 1024))
          (loop $again
            (call $dspmv (i32.const 1) (i32.const 8) (i32.const 1024) (f64.const 1) (i32.const 1024)
              (local.get $w) (i32.const 8192) (i32.const 131008) (f64.const 0) (i32.const 2048))
            (br_if $again (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1)))
              (i32.const 2000))))
          (i32.const 0))
        (func (export "_faasm_func_1") (result i32) (local $w i32) (local $i i32)
          (local.set $w (call $window (i32.const 0) (i32.const 4096)))
          (loop $again
            (i32.store (i32.add (local.get $w) (i32.and (i32.mul (local.get $i) (i32.const 4))
                (i32.const 4092)))
              (i32.mul (i32.and (local.get $i) (i32.const 7)) (i32.const 0x10000001)))
            (i32.store (i32.add (local.get $w) (i32.and (i32.mul (local.get $i) (i32.const 4))
                (i32.const 4092))) (i32.const 7))
            (br_if $again (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1)))
              (i32.const 4000000))))
          (i32.const 0))
        (func (export "_faasm_func_2") (result i32) (local $id i32) (local $n i32)
          (local.set $id (call $chain (i32.const 1) (i32.const 0) (i32.const 0)))
          (loop $again
            (drop (call $await (call $chain (i32.const 0) (i32.const 0) (i32.const 0))))
            (br_if $again (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1)))
              (i32.const 20))))
          (call $await (local.get $id)))"#;
    let guest = Guest::new(threads(2), body);
    assert_eq!(guest.value(2), 0);
    let said = guest.said.stderr();
    assert!(said.is_empty() || said.contains("there are 8"), "{said}");
}

#[test]
fn a_library_that_is_none_is_refused() {
    for (name, why) in [("/nonexistent.so", "nonexistent"), ("libc.so.6", "no CBLAS")] {
        let config = Config { blas: Some(name.into()), ..threads(1) };
        let said = std::sync::Arc::new(common::Remember::default());
        let err = mobula_runtime::Runtime::new(config, said).unwrap_err().to_string();
        assert!(err.contains(name) && err.contains(why), "{err}");
    }
}
